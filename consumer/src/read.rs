//! Read: the first stage. Gives the worker the records of the log, tells it that the log has no more for now, and appends the cut
//! record that it asks for; all this while something else is being done. It writes nothing and moves no boundary.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Halt;
use crate::room::Rooms;
use crate::signals::Signals;
use crate::source::{Read, Reader, Source, SourceError};
use crate::status::News;
use crate::worker::{Input, Output, Worker};

/// After so many records other work of the thread gets its turn.
const RECORDS_A_TURN: u32 = 128;

/// Who has nothing to read for so long gives back the memory of the last batch: the next comes when it comes. In a backlog the next batch
/// takes it at once, and pages that were given back would be filled with zeros again.
const QUIET: Duration = Duration::from_millis(50);

/// Reads a source for a worker.
#[derive(Debug)]
pub(crate) struct Reading<'a, S: Source> {
    source: &'a S,
    reader: S::Reader,
    started: Instant,
    news: News,
    signals: Signals,
    rooms: Rooms,
    /// Nothing more is read, for this reason; `None` where there is none to give.
    #[expect(
        clippy::option_option,
        reason = "the outer says that it is over, the inner why"
    )]
    over: Option<Option<Halt>>,
    /// A batch was written since memory was last given back.
    owes_memory: bool,
}

impl<'a, S: Source> Reading<'a, S> {
    /// Reads `source` from a boundary on; the worker's time began at `started`.
    pub(crate) fn new(
        source: &'a S,
        boundary: i64,
        started: Instant,
        (news, signals): (News, Signals),
        rooms: Rooms,
    ) -> Self {
        Self {
            source,
            reader: source.read_from(boundary),
            started,
            news,
            signals,
            rooms,
            over: None,
            owes_memory: false,
        }
    }

    /// The time as the worker is told it.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A batch was written, and its memory freed.
    pub(crate) fn owe_memory(&mut self) {
        self.owes_memory = true;
    }

    /// Why nothing more is read, if that is so.
    pub(crate) fn is_over(&mut self) -> Option<Result<(), Halt>> {
        self.over.take().map(|reason| reason.map_or(Ok(()), Err))
    }

    /// Does `work`, and reads on meanwhile as far as there is room.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        worker: &mut Worker,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.go_on(worker), if self.has_room(worker) => {}
            }
        }
    }

    /// Whether reading on makes sense while something else is done: the worker has room, and nothing to be done first.
    fn has_room(&self, worker: &Worker) -> bool {
        worker.wants_records() && !worker.has_output() && self.over.is_none()
    }

    /// Reads some records, or waits for something to happen. Can be dropped at any time: nothing is lost by it.
    pub(crate) async fn go_on(&mut self, worker: &mut Worker) {
        if let Err(halt) = self.turn(worker).await {
            self.over = Some(halt);
        }
        self.note(worker);
    }

    async fn turn(&mut self, worker: &mut Worker) -> Result<(), Option<Halt>> {
        if worker.wants_room() {
            worker.give_room(self.rooms.take().await);
        }
        for _ in 0..RECORDS_A_TURN {
            // Asked before reading: what was synced before the order to end is then seen by the read.
            let draining = self.signals.drain.is_cancelled();
            if draining && !worker.hurries() {
                self.tell(worker, Input::Hurry);
            }
            let now = self.now();
            match self.reader.read() {
                Ok(Read::Record(record)) => {
                    let taken = worker.take(Input::Record(&record), now);
                    taken.map_err(|newer| Some(newer.into()))?;
                }
                Ok(Read::Lost { first, next }) => self.report_lost(first, next),
                Ok(Read::CaughtUp) => return self.wait(worker, draining).await,
                Err(SourceError::Closed) => return Err(None),
                Err(error) => return Err(Some(error.into())),
            }
            if !worker.wants_records() {
                return Ok(());
            }
        }
        self.note(worker);
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn wait(&mut self, worker: &mut Worker, draining: bool) -> Result<(), Option<Halt>> {
        self.note(worker);
        if worker.has_output() {
            return Ok(());
        }
        if !worker.is_waiting() {
            self.news.passed(worker.boundary(), self.reader.position());
            if draining {
                return Err(None);
            }
        }
        let on_its_way = self.reader.on_its_way_until();
        if on_its_way.is_none_or(|until| until <= Instant::now()) {
            self.append_cut_if_due(worker)?;
        }
        let cut_at = worker.cut_at().map(|at| self.started + at);
        let cut_at = cut_at.map(|at| on_its_way.map_or(at, |until| at.max(until)));
        let due = cut_at.unwrap_or(self.started);
        let quiet_at = Instant::now() + QUIET;
        let more = tokio::select! {
            biased;
            more = self.reader.wait() => more,
            () = tokio::time::sleep_until(due), if cut_at.is_some() => Ok(()),
            () = self.signals.drain.cancelled(), if !draining => Ok(()),
            () = tokio::time::sleep_until(quiet_at), if self.owes_memory => {
                self.owes_memory = false;
                runtime::memory::give_back();
                Ok(())
            }
        };
        match more {
            Ok(()) => Ok(()),
            Err(SourceError::Closed) => Err(None),
            Err(error) => Err(Some(error.into())),
        }
    }

    /// Ends the open batch, for everybody who reads the log. Where there is no room, it is tried again after a linger: room
    /// comes as earlier batches are written and their segments go.
    fn append_cut_if_due(&mut self, worker: &mut Worker) -> Result<(), Option<Halt>> {
        self.tell(worker, Input::CaughtUp);
        let Some(Output::AppendCut) = worker.output() else {
            return Ok(());
        };
        let appended = self.source.append_cut();
        self.tell(worker, Input::CutTried);
        match appended {
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
            Err(error) => Err(Some(error.into())),
        }
    }

    /// Tells the worker something that it cannot refuse.
    pub(crate) fn tell(&self, worker: &mut Worker, input: Input<'_>) {
        let told = worker.take(input, self.now());
        debug_assert!(told.is_ok(), "only a record is refused");
    }

    /// Notes since when records wait.
    pub(crate) fn note(&self, worker: &Worker) {
        let (in_work, being_read) = worker.unwritten_since();
        let at = |since: Option<Duration>| since.map(|since| self.started + since);
        self.news.unwritten(|unwritten| {
            unwritten.in_work = at(in_work);
            unwritten.being_read = at(being_read);
        });
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
