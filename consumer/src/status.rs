//! What the consumer says about itself, for `doctor`, the console and the tests. Only news, no decisions.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::letters::LetterPlace;
use crate::lives::Board;
use crate::metrics::Metrics;

/// The most alarms that are kept; later ones are only counted and logged.
const MAX_ALARMS: usize = 32;

/// What the consumer is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Comparing the cursor with the store.
    #[default]
    Starting,
    /// Reading and writing.
    Running,
    /// The store does not answer; the same call is repeated until it does.
    WaitingForStore,
    /// It was asked to end, and has.
    Ended,
    /// It stopped and needs a person.
    Halted(String),
}

/// A snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Everything before this boundary is in the store.
    pub committed: i64,
    /// Everything before this place is in the store or was passed over; at rest the end of the log.
    pub settled: i64,
    /// All places of the log below can be read.
    pub readable_end: i64,
    /// Everything before this boundary was found again in the store by the audit, or is in neither any more, which is an alarm.
    pub verified: i64,
    /// Audits that ran to the end of what is committed.
    pub audits: u64,
    /// The last request for an audit that was answered.
    pub(crate) answered: u64,
    /// Between this boundary and this place there is no record.
    pub(crate) passed: (i64, i64),
    /// Batches that were inserted again.
    pub repairs: u64,
    /// Rows of `audit_log` beyond one for each record.
    pub surplus_copies: u64,
    /// How long ago the log took the oldest record that was read and is not in the store, or, where it does not say so, how long ago
    /// it was read; in seconds, at the last look.
    pub oldest_unwritten_s: f64,
    /// The last call that failed.
    pub last_error: Option<String>,
    /// What a person has to look at.
    pub alarms: Vec<String>,
}

impl Status {
    /// Places of the log that can be read and are not settled.
    pub fn lag(&self) -> i64 {
        (self.readable_end - self.settled).max(0)
    }
}

/// When the oldest records were read that are not in the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unwritten {
    /// Of the batch in work.
    pub in_work: Option<Instant>,
    /// Of the batch that is being read.
    pub being_read: Option<Instant>,
}

/// Where the consumer puts its news.
#[derive(Clone, Debug)]
pub(crate) struct News {
    status: watch::Sender<Status>,
    unwritten: Arc<Mutex<Unwritten>>,
    pub(crate) metrics: Metrics,
    pub(crate) board: Board,
}

impl News {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            status: watch::Sender::new(Status::default()),
            unwritten: Arc::default(),
            metrics,
            board: Board::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Everything before this place is in the store or was passed over.
    pub(crate) fn settled(&self) -> i64 {
        self.status.borrow().settled
    }

    /// The last request for an audit that was answered.
    pub(crate) fn answered(&self) -> u64 {
        self.status.borrow().answered
    }

    /// Everything before this boundary is in its place.
    pub(crate) fn boundary(&self) -> i64 {
        self.status.borrow().committed
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
    }

    pub(crate) fn state(&self, state: State) {
        self.status.send_if_modified(|status| {
            let is_news = status.state != state;
            status.state = state;
            is_news
        });
    }

    /// Everything before `boundary` is in the store.
    pub(crate) fn committed(&self, boundary: i64) {
        self.change(|status| {
            status.committed = boundary;
            self.settle(status);
        });
    }

    /// The log was read up to `position`, and there is no record between it and `boundary`.
    pub(crate) fn passed(&self, boundary: i64, position: i64) {
        self.change(|status| {
            status.passed = (boundary, position);
            self.settle(status);
        });
    }

    /// Notes since when records wait.
    pub(crate) fn unwritten(&self, change: impl FnOnce(&mut Unwritten)) {
        let mut unwritten = self.unwritten.lock();
        change(&mut unwritten);
        let oldest = unwritten.in_work.or(unwritten.being_read);
        let age = oldest.map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.metrics.oldest_unwritten.set(age);
    }

    /// How far the log can be read.
    pub(crate) fn readable(&self, end: i64) {
        self.status.send_if_modified(|status| {
            let is_news = status.readable_end != end;
            status.readable_end = end;
            status.oldest_unwritten_s = self.metrics.oldest_unwritten.get();
            self.settle(status);
            is_news
        });
    }

    fn settle(&self, status: &mut Status) {
        let (boundary, position) = status.passed;
        let passed = if status.committed >= boundary {
            position
        } else {
            0
        };
        status.settled = status.settled.max(status.committed).max(passed);
        status.readable_end = status.readable_end.max(status.settled);
        self.metrics.lag_positions.set(status.lag());
    }

    /// What a producer says of itself is in no table.
    pub(crate) fn unused_life(&self, place: &LetterPlace, why: &str) {
        self.metrics.unreadable_lives.inc();
        self.alarm(format!(
            "what a producer says of itself is in no table: {place}: {why}; see `tollgate dlq list`"
        ));
    }

    /// Something that a person has to look at; said once.
    pub(crate) fn alarm(&self, text: String) {
        self.status.send_if_modified(|status| {
            if status.alarms.contains(&text) {
                return false;
            }
            tracing::error!(alarm = text, "the consumer raises an alarm");
            if status.alarms.len() < MAX_ALARMS {
                status.alarms.push(text);
            }
            true
        });
    }
}
