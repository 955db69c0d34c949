//! The consumer as one sentence: read, cut, decode, write, commit; and between two batches, audit. Every stage is elsewhere.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::audit::Auditor;
use crate::begin::begin;
use crate::commit::{Commit, InWork, Mark};
use crate::decode::Rows;
use crate::error::Halt;
use crate::options::Options;
use crate::read::{Batch, Batches};
use crate::signals::Signals;
use crate::source::Source;
use crate::status::News;
use crate::write::Writer;

/// How often the end of the log is looked at while nothing else happens.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Consumes `source` until it is asked to end, the source closes, or a person is needed.
pub(crate) async fn run<S: Source>(
    source: &S,
    options: Options,
    news: News,
    signals: Signals,
) -> Result<(), Halt> {
    let working = async {
        let writer = Writer::new(options.clone(), news.clone(), signals.stop.clone());
        let commit = begin(source, &writer).await?;
        let boundary = commit.mark().committed;
        let batches = Batches::new(
            source,
            boundary,
            options.linger,
            news.clone(),
            signals.clone(),
        );
        let auditor = Auditor::new(source, options.audit_every, signals.audit.clone());
        // One batch in work, one being read or waiting here.
        let (ready, work) = mpsc::channel(1);
        let reading = read_cut_decode(batches, ready);
        join(
            reading,
            write_commit(Sink {
                source,
                writer,
                commit,
                auditor,
                work,
                signals,
            }),
        )
        .await
    };
    tokio::select! {
        ended = working => ended,
        () = look_at_the_end(source, &news) => Ok(()),
    }
}

/// When reading ends, what was read is still written; when writing ends, nobody needs the reader.
async fn join(
    reading: impl Future<Output = Result<(), Halt>>,
    writing: impl Future<Output = Result<(), Halt>>,
) -> Result<(), Halt> {
    let (reading, mut writing) = (pin!(reading), pin!(writing));
    let read = tokio::select! {
        wrote = &mut writing => return wrote,
        read = reading => read,
    };
    writing.await?;
    read
}

async fn look_at_the_end<S: Source>(source: &S, news: &News) {
    loop {
        news.readable(source.readable_end());
        news.unwritten(|_| {});
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn read_cut_decode<S: Source>(
    mut batches: Batches<'_, S>,
    ready: mpsc::Sender<Batch>,
) -> Result<(), Halt> {
    loop {
        // A place first, then the batch: what is in memory stays bounded.
        let Ok(place) = ready.reserve().await else {
            return Ok(());
        };
        let Some(batch) = batches.next().await? else {
            return Ok(());
        };
        place.send(batch);
    }
}

struct Sink<'a, S: Source> {
    source: &'a S,
    writer: Writer,
    commit: Commit,
    auditor: Auditor<'a, S>,
    work: mpsc::Receiver<Batch>,
    signals: Signals,
}

async fn write_commit<S: Source>(mut sink: Sink<'_, S>) -> Result<(), Halt> {
    loop {
        if sink.writer.was_away.take() {
            sink.auditor.hurry();
        }
        if sink.auditor.is_due() {
            audit(&mut sink).await?;
        }
        let batch = tokio::select! {
            biased;
            () = sink.signals.stop.cancelled() => return Ok(()),
            batch = sink.work.recv() => batch,
            () = sink.auditor.due() => continue,
        };
        let Some(batch) = batch else {
            return Ok(());
        };
        let written_by = sink.source.written_by(batch.rows.last());
        write_one(&sink.writer, &mut sink.commit, &batch, written_by).await?;
    }
}

/// The next page of the audit. One that the store refuses is an alarm, but no reason to leave what comes in unwritten.
async fn audit<S: Source>(sink: &mut Sink<'_, S>) -> Result<(), Halt> {
    match sink.auditor.step(&sink.writer, &mut sink.commit).await {
        Err(halt @ Halt::Rejected { .. }) => {
            sink.writer
                .news
                .alarm(format!("the store can not be audited: {halt}"));
            sink.auditor.give_up_pass();
            Ok(())
        }
        other => other,
    }
}

/// Write ▸ commit of one batch: the cursor names it before the first insert, and forgets it after the last.
async fn write_one(
    writer: &Writer,
    commit: &mut Commit,
    batch: &Batch,
    written_by: Option<String>,
) -> Result<(), Halt> {
    let (rows, metrics) = (&batch.rows, &writer.news.metrics);
    writer
        .news
        .unwritten(|unwritten| unwritten.in_work = Some(batch.since));
    check_unchanged(commit.mark(), rows)?;
    commit.begin(InWork {
        first: rows.first(),
        last: rows.last(),
        repair_epoch: 0,
    })?;
    writer.write(rows, 0).await?;
    writer
        .options
        .pass("consumer.between_insert_and_commit")
        .await;
    commit.finish(written_by)?;
    writer.options.pass("consumer.after_commit").await;
    metrics.batches.inc();
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    metrics.records.inc_by(count(rows.records()));
    metrics.events.inc_by(count(rows.events()));
    metrics.dead_letters.inc_by(count(rows.dead_letters()));
    writer.news.unwritten(|unwritten| unwritten.in_work = None);
    writer.news.committed(commit.mark().committed);
    Ok(())
}

/// A batch that was begun before a crash must be found again as it was.
fn check_unchanged(mark: &Mark, rows: &Rows) -> Result<(), Halt> {
    match mark.in_work {
        Some(begun) if (begun.first, begun.last) != (rows.first(), rows.last()) => {
            Err(Halt::Changed {
                first: begun.first,
                last: begun.last,
                found_first: rows.first(),
                found_last: rows.last(),
            })
        }
        _ => Ok(()),
    }
}
