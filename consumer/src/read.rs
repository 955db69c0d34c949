//! Read: the first stage, which drives cut and decode: gives the next batch of the log, and appends a cut record where
//! records have waited too long. It writes nothing and moves no boundary.

use std::time::Duration;

use tokio::time::Instant;

use crate::cut::Gathering;
use crate::decode::Rows;
use crate::error::Halt;
use crate::signals::Signals;
use crate::source::{Read, Reader, Source, SourceError};
use crate::status::News;

/// After so many records other work of the thread gets its turn.
const RECORDS_A_TURN: u32 = 128;

/// A batch that has so many records at the end of the log is ended before its linger: what is held in memory stays
/// small, and an extra cut only makes a smaller batch, for everybody alike.
const RECORDS_ENOUGH: i64 = 2_048;

/// A batch and when its first record was read.
#[derive(Debug)]
pub(crate) struct Batch {
    pub rows: Rows,
    pub since: Instant,
}

/// Reads batches in order.
#[derive(Debug)]
pub(crate) struct Batches<'a, S: Source> {
    source: &'a S,
    reader: S::Reader,
    gathering: Gathering,
    /// When the first record of the open batch was read.
    since: Option<Instant>,
    /// When a cut record is appended, if the batch has not ended by then.
    cut_at: Instant,
    /// The open batch was ended early; the cut record is on its way through the log.
    ended_early: bool,
    linger: Duration,
    news: News,
    signals: Signals,
}

/// What waiting brought.
enum Woken {
    ByRecords,
    ByLinger,
    ToEnd,
}

impl<'a, S: Source> Batches<'a, S> {
    /// Reads `source` from a boundary on.
    pub(crate) fn new(
        source: &'a S,
        boundary: i64,
        linger: Duration,
        news: News,
        signals: Signals,
    ) -> Self {
        let rows = Rows::new(source.place().clone(), boundary);
        let (reader, gathering) = (source.read_from(boundary), Gathering::new(rows));
        Self {
            source,
            reader,
            gathering,
            since: None,
            cut_at: Instant::now(),
            ended_early: false,
            linger,
            news,
            signals,
        }
    }

    /// The next batch; `None` when there will be none.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>, Halt> {
        let mut turn = 0;
        loop {
            turn += 1;
            if turn % RECORDS_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
            // Asked before reading: what was synced before the order to end is then seen by the read.
            let draining = self.signals.drain.is_cancelled();
            match self.reader.read() {
                Ok(Read::Record(record)) => {
                    let since = self.begin_waiting();
                    if let Some(rows) = self.gathering.push(&record)? {
                        self.since = None;
                        self.ended_early = false;
                        self.news.unwritten(|unwritten| unwritten.being_read = None);
                        return Ok(Some(Batch { rows, since }));
                    }
                }
                Ok(Read::Lost { first, next }) => self.report_lost(first, next),
                Ok(Read::CaughtUp) => match self.wait(draining).await? {
                    Woken::ByRecords => {}
                    Woken::ByLinger => self.append_cut()?,
                    Woken::ToEnd => return Ok(None),
                },
                Err(SourceError::Closed) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn begin_waiting(&mut self) -> Instant {
        *self.since.get_or_insert_with(|| {
            let now = Instant::now();
            let linger = if self.signals.drain.is_cancelled() {
                Duration::ZERO
            } else {
                self.linger
            };
            self.cut_at = now + linger;
            self.news
                .unwritten(|unwritten| unwritten.being_read = Some(now));
            now
        })
    }

    async fn wait(&mut self, draining: bool) -> Result<Woken, Halt> {
        let waiting = self.gathering.is_waiting();
        if !waiting {
            self.news
                .passed(self.gathering.boundary(), self.reader.position());
        }
        if draining && !waiting {
            return Ok(Woken::ToEnd);
        }
        if self.gathering.records() >= RECORDS_ENOUGH && !self.ended_early {
            self.ended_early = true;
            return Ok(Woken::ByLinger);
        }
        let more = tokio::select! {
            biased;
            () = self.signals.stop.cancelled() => return Ok(Woken::ToEnd),
            more = self.reader.wait() => more,
            () = tokio::time::sleep_until(self.cut_at), if waiting => return Ok(Woken::ByLinger),
            () = self.signals.drain.cancelled(), if !draining => {
                self.cut_at = Instant::now();
                return Ok(Woken::ByRecords);
            }
        };
        match more {
            Ok(()) => Ok(Woken::ByRecords),
            Err(SourceError::Closed) => Ok(Woken::ToEnd),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the open batch, for everybody who reads the log. Where there is no room, it is tried again after a linger: room
    /// comes as earlier batches are written and their segments go.
    fn append_cut(&mut self) -> Result<(), Halt> {
        self.cut_at = Instant::now() + self.linger.max(Duration::from_millis(100));
        match self.source.append_cut() {
            Ok(()) => {
                self.news.metrics.cuts_appended.inc();
                Ok(())
            }
            Err(SourceError::NoCut(reason)) => {
                tracing::warn!(reason, "no cut record could be appended; trying again");
                self.news
                    .change(|status| status.last_error = Some(format!("no cut record: {reason}")));
                Ok(())
            }
            // What was read stays in the log; the next start reads it again.
            Err(SourceError::Closed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn report_lost(&self, first: i64, next: i64) {
        self.news
            .metrics
            .lost_positions
            .inc_by(u64::try_from(next - first).unwrap_or(0));
        self.news.alarm(format!(
            "offsets {first} to {} of the log can not be read; see `tollgate journal inspect`",
            next - 1
        ));
    }
}
