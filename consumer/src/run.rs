//! The consumer as one sentence: read, cut, decode, write, commit; and between two batches, audit. The worker says what is next,
//! this does it: the same for every source. Every stage is elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::audit::Auditor;
use crate::begin::{Begun, begin};
use crate::commit::{Commit, InWork, Mark};
use crate::decode::Rows;
use crate::error::Halt;
use crate::letters::{self, Unused, keep};
use crate::lives::{self, Waiting, watch_journal};
use crate::options::Options;
use crate::read::Reading;
use crate::signals::Signals;
use crate::source::{Source, SourceError};
use crate::status::News;
use crate::worker::{Bounds, Fate, Input, Output, Step, Worker};
use crate::write::Writer;

/// How often the end of the log is looked at while nothing else happens.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Records of the next batch that are read while one is written: reading takes a small part of the time, and two batches would take
/// twice the memory, beside a gateway.
const AHEAD_RECORDS: i64 = 64;
/// How long what producers say of themselves waits for a batch to go with.
const LIVES_EVERY: Duration = Duration::from_secs(5);

/// Consumes `source` until it is asked to end, the source closes, or a person is needed.
pub(crate) async fn run<S: Source>(
    source: &S,
    options: Options,
    news: News,
    signals: Signals,
) -> Result<(), Halt> {
    let (of_watch, news_of_watch) = (options.clone(), news.clone());
    let working = async {
        let writer = Writer::new(options.clone(), news.clone(), signals.stop.clone());
        let mut waiting = Waiting::beside(&options.cursor);
        if let Some(aside) = source.lives() {
            remember(&letters::beside(&options.cursor), &news);
            if let Err(error) = waiting.restore(&mut aside.lock()) {
                news.alarm(unkept(&waiting, &error));
            }
        }
        // Before the store is asked what is there.
        let started = Instant::now();
        let Begun { commit, doubtful } = begin(source, &writer).await?;
        let boundary = commit.mark().committed;
        let rows = Rows::new(source.place().clone(), boundary);
        let bounds = Bounds {
            ahead: AHEAD_RECORDS,
            ..options.bounds()
        };
        let auditor = Auditor::new(source, options.audit_every, signals.audit.clone());
        let hands = Hands {
            source,
            worker: Worker::new(rows, bounds, doubtful),
            reading: Reading::new(
                source,
                boundary,
                started,
                (news.clone(), signals.clone()),
                options.rooms.clone(),
            ),
            writer,
            commit,
            auditor,
            lives_at: started + LIVES_EVERY,
            kept: letters::beside(&options.cursor),
            waiting,
            signals,
        };
        hands.work().await
    };
    tokio::select! {
        ended = working => ended,
        () = look_at_the_end(source, &news) => Ok(()),
        () = watch_journal(source, &of_watch, &news_of_watch) => Ok(()),
    }
}

/// What no table took before this start is named again, until somebody has looked at it.
fn remember(path: &Path, news: &News) {
    match letters::kept(path) {
        Ok(letters) => {
            for letter in letters {
                news.unused_life(&letter.place, &letter.reason);
            }
        }
        Err(error) => news.alarm(format!("{} can not be read: {error}", path.display())),
    }
}

fn unkept(waiting: &Waiting, error: &io::Error) -> String {
    format!(
        "what producers say of themselves and no table has taken yet may be lost at a restart: {}: {error}",
        waiting.path().display()
    )
}

async fn look_at_the_end<S: Source>(source: &S, news: &News) {
    loop {
        news.readable(source.readable_end());
        news.unwritten(|_| {});
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Does what the worker says.
struct Hands<'a, S: Source> {
    source: &'a S,
    worker: Worker,
    reading: Reading<'a, S>,
    writer: Writer,
    commit: Commit,
    auditor: Auditor<'a, S>,
    lives_at: Instant,
    /// Where letters are kept.
    kept: PathBuf,
    /// What waits for a table that takes nothing.
    waiting: Waiting,
    signals: Signals,
}

impl<S: Source> Hands<'_, S> {
    async fn work(mut self) -> Result<(), Halt> {
        let ended = self.work_to_the_end().await;
        // What a producer said last, it said after its last record.
        if ended.is_ok() && self.lives().await.is_err() {
            tracing::info!("the store is away: the next start writes what producers said last");
        }
        ended
    }

    async fn work_to_the_end(&mut self) -> Result<(), Halt> {
        loop {
            match self.worker.output() {
                Some(Output::Begin(rows)) => self.begin(&rows).await?,
                Some(Output::Step {
                    rows,
                    step,
                    look_first,
                }) => self.step(&rows, step, look_first).await?,
                Some(Output::Wait(pause)) => self.pause(pause).await?,
                Some(Output::Commit(rows)) => {
                    self.commit(&rows).await?;
                    drop(rows);
                    self.reading.owe_memory();
                }
                // Reading appends it when it has caught up; what was asked for meanwhile is asked for again.
                Some(Output::AppendCut) => {}
                Some(Output::End) => return Ok(()),
                None => {
                    if let Some(ended) = self.idle().await? {
                        return ended;
                    }
                }
            }
        }
    }

    /// Nothing is in work: audits, reads on, and ends when nothing more comes.
    async fn idle(&mut self) -> Result<Option<Result<(), Halt>>, Halt> {
        if self.signals.stop.is_cancelled() {
            return Ok(Some(Ok(())));
        }
        if let Some(ended) = self.reading.is_over() {
            return Ok(Some(ended));
        }
        if self.writer.was_away.take() {
            self.auditor.hurry();
        }
        if self.auditor.is_due() {
            self.audit().await?;
            return Ok(None);
        }
        if self.lives_at <= Instant::now() {
            self.lives().await?;
            return Ok(None);
        }
        tokio::select! {
            biased;
            () = self.signals.stop.cancelled() => {}
            () = self.reading.go_on(&mut self.worker) => {}
            () = self.auditor.due() => {}
            () = tokio::time::sleep_until(self.lives_at) => {}
        }
        Ok(None)
    }

    /// Writes what producers said of themselves, as far as it was read. What the store refuses is an alarm, but no reason to leave
    /// what they were paid for unwritten; a table that takes nothing is tried again.
    async fn lives(&mut self) -> Result<(), Halt> {
        self.lives_at = Instant::now() + LIVES_EVERY;
        let Some(aside) = self.source.lives() else {
            return Ok(());
        };
        let mut read = aside.lock().hand_out();
        let news = &self.writer.news;
        let unreadable = read.take_unreadable();
        self.keep(&unreadable);
        if let Some(newer) = read.take_newer() {
            news.metrics.unreadable_lives.inc_by(newer.records);
            let (place, why) = (newer.place, newer.reason);
            news.alarm(format!(
                "what a producer says of itself is passed over: {place}: {why}"
            ));
        }
        if read.is_empty() {
            aside.lock().written(&read);
            return Ok(());
        }
        let writing = self
            .writer
            .until_answered("insert into producer_log", async |client| {
                lives::insert(&client, &read).await
            });
        match self.reading.meanwhile(&mut self.worker, writing).await {
            Ok(refused) => {
                let written = read.len().saturating_sub(refused.len());
                news.metrics.lives.inc_by(written as u64);
                let is_kept = self.keep(&refused);
                aside.lock().written(&read);
                if is_kept && let Err(error) = self.waiting.forget() {
                    let path = self.waiting.path().display();
                    tracing::warn!(%path, %error, "what the store has can not be removed: the next start writes it once more");
                }
            }
            Err(halt) => {
                aside.lock().put_back(read);
                let Halt::Rejected { .. } = halt else {
                    return Err(halt);
                };
                news.alarm(halt.to_string());
            }
        }
        Ok(())
    }

    /// Keeps letters of what is in no table, and names each. Says whether it could.
    fn keep(&self, unused: &[Unused]) -> bool {
        if unused.is_empty() {
            return true;
        }
        let news = &self.writer.news;
        for of in unused {
            news.unused_life(&of.place, &of.reason);
        }
        let kept = keep(&self.kept, unused);
        if let Err(error) = &kept {
            news.alarm(format!(
                "what a producer says of itself is in no table, and no letter could be kept of it: {error}"
            ));
        }
        kept.is_ok()
    }

    /// What waits still is passed by a batch up to `last`: from then on it is read from here.
    fn keep_waiting(&mut self, last: i64) {
        let Some(aside) = self.source.lives().map(Mutex::lock) else {
            return;
        };
        if aside.is_written_below(last + 1) {
            return;
        }
        if let Err(error) = self.waiting.keep(&aside) {
            let news = &self.writer.news;
            news.alarm(unkept(&self.waiting, &error));
        }
    }

    /// The next page of the audit. One that the store refuses, or for which the log can not be read, is an alarm, but no reason to
    /// leave what comes in unwritten.
    async fn audit(&mut self) -> Result<(), Halt> {
        let step = self.auditor.step(&self.writer, &mut self.commit);
        match self.reading.meanwhile(&mut self.worker, step).await {
            Err(halt @ (Halt::Rejected { .. } | Halt::Source(SourceError::Failed(_)))) => {
                self.writer
                    .news
                    .alarm(format!("the store can not be audited: {halt}"));
                self.auditor.give_up_pass();
                Ok(())
            }
            other => other,
        }
    }

    /// The mark names the batch before the first insert, and forgets it after the last. What producers said before the batch's end
    /// goes in first: whoever finds the batch's cut need not read it again.
    async fn begin(&mut self, rows: &Rows) -> Result<(), Halt> {
        check_unchanged(self.commit.mark(), rows)?;
        self.lives().await?;
        self.keep_waiting(rows.last());
        self.reading.note(&self.worker);
        Ok(self.commit.begin(InWork {
            first: rows.first(),
            last: rows.last(),
            repair_epoch: 0,
        })?)
    }

    async fn step(&mut self, rows: &Rows, step: Step, look_first: bool) -> Result<(), Halt> {
        let (source, writer) = (self.source, &self.writer);
        let doing = async {
            match step {
                Step::DeadLetters if rows.dead_letters() == 0 => Ok(Fate::Done),
                Step::DeadLetters => Ok(source.dead_letters(rows).await),
                table => writer.step(rows, table, look_first).await,
            }
        };
        let fate = self.reading.meanwhile(&mut self.worker, doing).await?;
        self.reading.tell(&mut self.worker, Input::Stepped(fate));
        Ok(())
    }

    /// The store is away. A worker that was asked to end does not wait for it.
    async fn pause(&mut self, pause: Duration) -> Result<(), Halt> {
        let stop = self.signals.stop.clone();
        let waiting = stop.run_until_cancelled(tokio::time::sleep(pause));
        let waited = self.reading.meanwhile(&mut self.worker, waiting).await;
        waited.ok_or(Halt::Asked)?;
        self.reading.tell(&mut self.worker, Input::Waited);
        Ok(())
    }

    async fn commit(&mut self, rows: &Rows) -> Result<(), Halt> {
        let options = &self.writer.options;
        options.pass("consumer.between_insert_and_commit").await;
        self.commit.finish(self.source.written_by(rows.last()))?;
        options.pass("consumer.after_commit").await;
        let metrics = &self.writer.news.metrics;
        metrics.batches.inc();
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        metrics.records.inc_by(count(rows.records()));
        metrics.events.inc_by(count(rows.events()));
        for (reason, count) in rows.reasons() {
            metrics.dead_letters(reason, *count);
        }
        if self.signals.stop.is_cancelled() {
            self.reading.tell(&mut self.worker, Input::Leave);
        }
        self.reading.tell(&mut self.worker, Input::Committed);
        self.reading.note(&self.worker);
        self.writer.news.committed(self.commit.mark().committed);
        Ok(())
    }
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
