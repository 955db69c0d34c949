//! The worker of one partition as a state machine: read ▸ cut ▸ decode ▸ write ▸ commit. It is told what happened and says what
//! to do next; every source, the model test and every fault go through it. What must not live here: I/O, a clock, a source.
//!
//! One batch is in work and one more is gathered; a step whose fate is unknown is repeated with the same token, so that who
//! repeats it, after what, makes no difference. Nothing is committed before every step of the batch is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::cut::Gathering;
use crate::decode::{Newer, Rows};
use crate::room::Room;
use crate::source::Record;

/// A batch that has so many records at the end of the log is ended before its linger: what is held in memory stays
/// small, and an extra cut only makes a smaller batch, for everybody alike.
const RECORDS_ENOUGH: i64 = 2_048;
/// A cut record that found no room is tried again after this, or the linger if that is longer.
const CUT_AGAIN: Duration = Duration::from_millis(100);

/// Bounds of a worker. Times are since any fixed moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long records wait for their batch to end before a cut record is appended.
    pub linger: Duration,
    /// The first pause before a step is repeated; each further one is twice as long.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_most: Duration,
    /// So long after it was last looked whether another writes the same, the store is trusted to know the tokens used since.
    pub token_trust: Duration,
    /// The most records of the next batch that are gathered while one is in work.
    pub ahead: i64,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// The next record was read.
    Record(&'a Record),
    /// There is no more to read for now.
    CaughtUp,
    /// The cut record that was asked for is in the log, or there was no room for it.
    CutTried,
    /// The step that was asked for has ended so.
    Stepped(Fate),
    /// The pause that was asked for is over.
    Waited,
    /// The boundary that was asked for is kept.
    Committed,
    /// End the batches that wait without the linger.
    Hurry,
    /// Take up nothing more: another owns the partition, or the process ends.
    Leave,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It was looked for, and another had done it, all or part of it.
    WasThere,
    /// It may have been done, or not, or may still be.
    Unknown,
    /// It was not done.
    NotDone,
}

/// A part of writing a batch, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Rows of `audit_log`.
    Audit,
    /// Rows of `usage_events`.
    Usage,
    /// Unreadable records, told to whoever mends them.
    DeadLetters,
    /// The row of `cuts`: whoever finds it knows that the others are there, and that the letters were told. Whoever comes next
    /// begins behind it.
    Cut,
}

impl Step {
    pub(crate) const ALL: [Self; 4] = [Self::Audit, Self::Usage, Self::DeadLetters, Self::Cut];
}

/// What to do.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    /// Note that the batch is in work. Answered by nothing.
    Begin(Arc<Rows>),
    /// Do this step of the batch. Answered by [`Input::Stepped`].
    Step {
        rows: Arc<Rows>,
        step: Step,
        /// Look first whether it is done already.
        look_first: bool,
    },
    /// Wait before the same step is tried again. Answered by [`Input::Waited`].
    Wait(Duration),
    /// All steps are done: keep the boundary after the batch. Answered by [`Input::Committed`].
    Commit(Arc<Rows>),
    /// Append a cut record. Answered by [`Input::CutTried`].
    AppendCut,
    /// Nothing more will be done.
    End,
}

/// A batch and when its first record was read.
#[derive(Clone, Debug)]
struct Batch {
    rows: Arc<Rows>,
    since: Duration,
}

/// The batch in work.
#[derive(Debug)]
struct Work {
    batch: Batch,
    /// How many of its steps are done.
    done: usize,
    failures: u32,
    /// When the step under way was told to look, if it was.
    looks_since: Option<Duration>,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Worker {
    bounds: Bounds,
    gathering: Gathering,
    /// When the first record of the open batch was read.
    since: Option<Duration>,
    /// When a cut record is appended, if the batch has not ended by then.
    cut_at: Duration,
    /// The open batch was ended early; the cut record is on its way through the log.
    ended_early: bool,
    ready: Option<Batch>,
    work: Option<Work>,
    outputs: VecDeque<Output>,
    /// What begins at or before this place may have been written in part by another, long ago.
    doubtful: Option<i64>,
    /// When it was last seen that nobody has written what comes next. Everybody writes batches in the order of the log: what is
    /// not there of one is not there of those after it either, so that their tokens were not used before.
    untouched_at: Duration,
    hurries: bool,
    leaves: bool,
}

impl Worker {
    /// Begins with an empty batch at a boundary, at time zero: by then no row was there after the place `doubtful`.
    pub(crate) fn new(rows: Rows, bounds: Bounds, doubtful: Option<i64>) -> Self {
        Self {
            bounds,
            gathering: Gathering::new(rows),
            since: None,
            cut_at: Duration::ZERO,
            ended_early: false,
            ready: None,
            work: None,
            outputs: VecDeque::new(),
            doubtful,
            untouched_at: Duration::ZERO,
            hurries: false,
            leaves: false,
        }
    }

    /// The next thing to do.
    pub(crate) fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Whether there is room for another record.
    pub(crate) fn wants_records(&self) -> bool {
        let is_ahead = self.work.is_some() && self.gathering.records() >= self.bounds.ahead;
        self.ready.is_none() && !self.leaves && !is_ahead
    }

    /// Whether the open batch grows without having room for it.
    pub(crate) fn wants_room(&self) -> bool {
        self.gathering.wants_room()
    }

    /// The open batch may grow.
    pub(crate) fn give_room(&mut self, room: Room) {
        self.gathering.give_room(room);
    }

    /// Whether batches are ended without the linger.
    pub(crate) fn hurries(&self) -> bool {
        self.hurries
    }

    /// Whether records wait for their batch to end.
    pub(crate) fn is_waiting(&self) -> bool {
        self.gathering.is_waiting()
    }

    /// When a cut record is due.
    pub(crate) fn cut_at(&self) -> Option<Duration> {
        (self.is_waiting() && self.wants_records()).then_some(self.cut_at)
    }

    /// Where the open batch starts.
    pub(crate) fn boundary(&self) -> i64 {
        self.gathering.boundary()
    }

    /// When the oldest record was read that is not written: of the batch in work, and of what was read after it.
    pub(crate) fn unwritten_since(&self) -> (Option<Duration>, Option<Duration>) {
        let in_work = self.work.as_ref().map(|work| work.batch.since);
        let ready = self.ready.as_ref().map(|batch| batch.since);
        (in_work, ready.or(self.since))
    }

    /// Takes what happened at `now`. A record of a newer version is not taken.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an input is used up by taking it"
    )]
    pub(crate) fn take(&mut self, input: Input<'_>, now: Duration) -> Result<(), Newer> {
        match input {
            Input::Record(record) => self.record(record, now)?,
            Input::CaughtUp => self.caught_up(now),
            Input::CutTried => self.cut_at = now + self.bounds.linger.max(CUT_AGAIN),
            Input::Stepped(fate) => self.stepped(fate, now),
            Input::Waited => self.next_step(now),
            Input::Committed => self.committed(now),
            Input::Hurry => {
                self.hurries = true;
                self.cut_at = now;
            }
            Input::Leave => self.leave(),
        }
        Ok(())
    }

    fn record(&mut self, record: &Record, now: Duration) -> Result<(), Newer> {
        debug_assert!(self.wants_records(), "a record without room for it");
        if self.since.is_none() {
            let linger = if self.hurries {
                Duration::ZERO
            } else {
                self.bounds.linger
            };
            self.cut_at = now + linger;
        }
        let since = *self.since.get_or_insert(now);
        if let Some(rows) = self.gathering.push(record)? {
            self.since = None;
            self.ended_early = false;
            self.ready = Some(Batch {
                rows: Arc::new(rows),
                since,
            });
            self.take_up(now);
        }
        Ok(())
    }

    fn caught_up(&mut self, now: Duration) {
        if !self.is_waiting() || !self.wants_records() {
            return;
        }
        let is_enough = self.gathering.records() >= RECORDS_ENOUGH && !self.ended_early;
        if is_enough || self.cut_at <= now {
            self.ended_early |= is_enough;
            self.outputs.push_back(Output::AppendCut);
        }
    }

    /// Begins the batch that waits, if none is in work.
    fn take_up(&mut self, now: Duration) {
        if self.work.is_some() || self.leaves {
            return;
        }
        let Some(batch) = self.ready.take() else {
            return;
        };
        self.outputs.push_back(Output::Begin(batch.rows.clone()));
        self.work = Some(Work {
            batch,
            done: 0,
            failures: 0,
            looks_since: None,
        });
        self.next_step(now);
    }

    fn next_step(&mut self, now: Duration) {
        let Some(work) = &mut self.work else { return };
        let rows = work.batch.rows.clone();
        let output = match Step::ALL.get(work.done) {
            None => Output::Commit(rows),
            Some(step) => {
                let is_old = now.saturating_sub(self.untouched_at) > self.bounds.token_trust;
                let is_doubtful = self.doubtful.is_some_and(|place| rows.first() <= place);
                let look_first = is_old || is_doubtful;
                work.looks_since = look_first.then_some(now);
                Output::Step {
                    rows,
                    step: *step,
                    look_first,
                }
            }
        };
        self.outputs.push_back(output);
    }

    fn stepped(&mut self, fate: Fate, now: Duration) {
        let Some(work) = &mut self.work else { return };
        if matches!(fate, Fate::Done | Fate::WasThere) {
            if let (Fate::Done, Some(looked), Some(Step::Audit)) =
                (fate, work.looks_since, Step::ALL.get(work.done))
            {
                self.untouched_at = looked;
            }
            work.done += 1;
            work.failures = 0;
            return self.next_step(now);
        }
        let doubled = 1_u32 << work.failures.min(16);
        work.failures += 1;
        let pause = self.bounds.retry_first.saturating_mul(doubled);
        self.outputs.push_back(if self.leaves {
            Output::End
        } else {
            Output::Wait(pause.min(self.bounds.retry_most))
        });
    }

    fn committed(&mut self, now: Duration) {
        self.work = None;
        if self.leaves {
            self.outputs.push_back(Output::End);
        } else {
            self.take_up(now);
        }
    }

    /// What is in work is brought to its end if the store lets it; the rest stays in the log for who comes next.
    fn leave(&mut self) {
        if self.leaves {
            return;
        }
        self.leaves = true;
        let is_paused = self
            .outputs
            .iter()
            .any(|output| matches!(output, Output::Wait(_)));
        if self.work.is_none() || is_paused {
            self.outputs.clear();
            self.outputs.push_back(Output::End);
        }
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
