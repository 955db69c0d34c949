//! Archiving: reads a log and seals segments of it. Where a segment ends the log says, where reading goes on the archive says; so an
//! archiver keeps nothing of its own, and one more of them, or a dead one, changes nothing. Rows and the store must not live here.

use std::sync::Arc;
use std::time::Duration;

use archive::{ArchiveError, Boundaries, Due, Entry, Limits, LogId, Sealer, Shelf};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use crate::error::Halt;
use crate::metrics::Metrics;
use crate::signals::Signals;
use crate::source::{Read, Reader, Record, Source, SourceError};
use crate::status::{News, State};

/// How often an archiver that has read everything looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A cut that was asked for must come within this, or is asked for again.
const CUT_AGAIN: Duration = Duration::from_secs(10);
/// The pause before an archive that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// After so many records it is looked whether to stop.
const RECORDS_A_TURN: u32 = 256;

/// What the caller chooses of an archiver.
#[derive(Clone, Debug)]
pub struct Archiving {
    /// Where segments lie; the same for all archivers of a log.
    pub shelf: Arc<dyn Shelf>,
    /// How large and how old they become.
    pub limits: Limits,
    /// Where they may end.
    pub boundaries: Boundaries,
    /// What was sealed.
    pub metrics: ArchiveMetrics,
}

/// What archivers count; clones share the values.
#[derive(Clone, Debug, Default)]
pub struct ArchiveMetrics {
    segments: Counter,
    records: Counter,
    bytes: Counter,
}

impl ArchiveMetrics {
    /// Registers them under `tollgate_archive_`, with how far behind the readers of `of` are.
    pub(crate) fn register(&self, of: &Metrics, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tollgate_archive");
        registry.register("segments", "Segments sealed", self.segments.clone());
        registry.register("records", "Records in them", self.records.clone());
        registry.register_with_unit(
            "size",
            "What they take in the archive",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "unsealed_positions",
            "Readable log positions that are in no sealed segment",
            of.lag_positions.clone(),
        );
        registry.register(
            "lost_positions",
            "Log positions that were gone or unreadable before they could be archived",
            of.lost_positions.clone(),
        );
    }
}

/// Archives `source` until it is asked to end, the log closes, or a person is needed.
pub(crate) async fn archive_log<S: Source>(
    source: &S,
    archiving: Archiving,
    news: News,
    signals: Signals,
) -> Result<(), Halt> {
    loop {
        let mut archiver = Archiver {
            source,
            archiving: &archiving,
            news: &news,
            signals: &signals,
            cut_at: None,
        };
        match archiver.work().await {
            Err(Halt::Archive(ArchiveError::Taken { what })) => {
                tracing::info!(what, "another archiver was first; going on from its end");
            }
            Err(Halt::Archive(error @ ArchiveError::Io { .. })) => {
                tracing::warn!(%error, "the archive can not be written; trying again");
                news.change(|status| {
                    status.state = State::WaitingForStore;
                    status.last_error = Some(error.to_string());
                });
                let pause = tokio::time::sleep(AGAIN);
                if signals.stop.run_until_cancelled(pause).await.is_none() {
                    return Ok(());
                }
            }
            ended => return ended,
        }
    }
}

struct Archiver<'a, S: Source> {
    source: &'a S,
    archiving: &'a Archiving,
    news: &'a News,
    signals: &'a Signals,
    /// When a cut was last asked for.
    cut_at: Option<Instant>,
}

impl<'a, S: Source> Archiver<'a, S> {
    /// From the archive's end on. What is begun and not sealed when this ends is read again by the next.
    async fn work(&mut self) -> Result<(), Halt> {
        let (mut sealer, from) = self.open()?;
        let mut reader = self.source.read_from(from);
        self.tell(&mut sealer);
        self.news.state(State::Running);
        loop {
            for _ in 0..RECORDS_A_TURN {
                match reader.read() {
                    Ok(Read::Record(record)) => sealer.push(&entry_of(record))?,
                    Ok(Read::Lost { first, next }) => self.lose(&mut sealer, first, next)?,
                    Ok(Read::CaughtUp) => {
                        self.idle(&mut sealer)?;
                        if self.wait(&reader).await? {
                            return Ok(());
                        }
                        break;
                    }
                    Err(SourceError::Closed) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            self.tell(&mut sealer);
            if self.signals.stop.is_cancelled() {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) -> Result<(Sealer<'a>, i64), Halt> {
        let Archiving {
            shelf,
            limits,
            boundaries,
            ..
        } = self.archiving;
        let place = self.source.place();
        let unnamed = || SourceError::Failed(format!("topic {} has no identity", place.topic));
        let log = LogId::of_place(place.topic.as_str(), place.partition).ok_or_else(unnamed)?;
        let source = self.source;
        let mut sealer = Sealer::open(shelf.clone(), log.clone(), *limits, *boundaries)?
            .naming(|place| source.written_by(place));
        if let Some((archived, read, found)) = sealer.parted() {
            return Err(Halt::ArchivedByAnother {
                log: log.to_string(),
                archived,
                read,
                found,
            });
        }
        let (mut kept, end) = (self.source.first_kept(), self.source.readable_end());
        // What the archive passes over, it never has.
        let next = sealer.end().unwrap_or(kept - 1);
        if kept > 0 && next < kept {
            if !self.source.is_gone(next)? {
                let why = format!("it was said to begin at {kept}, and has {next}");
                return Err(SourceError::Failed(why).into());
            }
            // Where it begins was said again meanwhile.
            kept = self.source.first_kept();
        }
        match sealer.end() {
            None => sealer.begin_at(kept),
            Some(archived) if archived > end => {
                return Err(Halt::NotTheArchivedLog {
                    log: log.to_string(),
                    archived: archived - 1,
                    end,
                });
            }
            Some(archived) if archived < kept => self.lose(&mut sealer, archived, kept)?,
            Some(_) => {}
        }
        let from = sealer.end().unwrap_or(kept);
        Ok((sealer, from))
    }

    fn lose(&self, sealer: &mut Sealer<'_>, first: i64, next: i64) -> Result<(), Halt> {
        let lost = u64::try_from(next - first).unwrap_or(0);
        self.news.metrics.lost_positions.inc_by(lost);
        self.news.alarm(format!(
            "offsets {first} to {} of the log can not be read any more and are not archived",
            next - 1
        ));
        Ok(sealer.gap(first, next)?)
    }

    /// The age of a segment may be over though nothing more comes: where there is no boundary, a cut makes one, for all alike.
    fn idle(&mut self, sealer: &mut Sealer<'_>) -> Result<(), Halt> {
        let now_us = runtime::clock::now_us();
        let was_asked = self.cut_at.is_some_and(|at| at.elapsed() < CUT_AGAIN);
        if sealer.idle(now_us)? == Due::Cut && !was_asked {
            self.cut_at = Some(Instant::now());
            if let Err(error) = self.source.append_cut() {
                tracing::warn!(%error, "no cut record could be appended for the archive");
            }
        }
        self.tell(sealer);
        Ok(())
    }

    /// Waits for more; says whether to end.
    async fn wait(&self, reader: &S::Reader) -> Result<bool, Halt> {
        self.news.readable(self.source.readable_end());
        if self.signals.drain.is_cancelled() {
            return Ok(true);
        }
        let more = tokio::select! {
            biased;
            () = self.signals.stop.cancelled() => return Ok(true),
            more = reader.wait() => more,
            () = tokio::time::sleep(LOOK_EVERY) => Ok(()),
            () = self.signals.drain.cancelled() => Ok(()),
        };
        match more {
            Ok(()) => Ok(false),
            Err(SourceError::Closed) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Says what was sealed.
    fn tell(&self, sealer: &mut Sealer<'_>) {
        let news = sealer.take_sealed();
        let metrics = &self.archiving.metrics;
        metrics.segments.inc_by(news.segments);
        metrics.records.inc_by(news.records);
        metrics.bytes.inc_by(news.bytes);
        self.news.readable(self.source.readable_end());
        if let Some(end) = sealer.end()
            && end != self.news.boundary()
        {
            self.news.committed(end);
            self.source.archived(end);
        }
    }
}

fn entry_of(record: Record) -> Entry {
    let (time_us, envelope) = match record.kept {
        Some(kept) => (kept.time_us, Some(kept.envelope)),
        None => (
            schemas::topics::time_of(record.kind, &record.bytes).map(|time| time.0),
            None,
        ),
    };
    Entry {
        offset: record.offset,
        kind: record.kind as u8,
        time_us,
        envelope,
        bytes: record.bytes,
    }
}
