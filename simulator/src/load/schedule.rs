//! Whose turn it is, and when it was due. An open loop's turns come from the clock alone: answers that are late
//! delay no turn, and a turn taken late still counts from when it was due (no coordinated omission).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::settings::{LoadSettings, Pace, Stop};

/// Longest nap of the ticker, so that it notices the end of a run.
const MAX_NAP: Duration = Duration::from_millis(20);

/// One request's turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) index: u64,
    pub(super) due: Instant,
    /// Whether it counts, or belongs to the warm-up.
    pub(super) counts: bool,
}

/// The turns of a run, shared by all connections.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    counted_from: Instant,
    /// Nobody takes a turn after this.
    last_call: Option<Instant>,
    /// There are no more turns than this.
    total: u64,
    taken: AtomicU64,
    open: Option<OpenLoop>,
}

#[derive(Debug)]
struct OpenLoop {
    interval_ns: f64,
    due: Semaphore,
    over: AtomicBool,
}

impl Schedule {
    pub(super) fn new(settings: &LoadSettings) -> Self {
        let start = Instant::now();
        let warmup = Duration::from_millis(settings.warmup_ms);
        let span = match settings.stop {
            Stop::Millis(ms) => Some(warmup + Duration::from_millis(ms)),
            Stop::Requests(_) => None,
        };
        let (open, total, last_call) = match settings.pace {
            Pace::Closed => (None, requests(settings.stop), span.map(|span| start + span)),
            Pace::Rate(rate) => {
                let total =
                    span.map_or_else(|| requests(settings.stop), |span| turns_in(span, rate));
                let end = start + Duration::from_secs_f64(turns_to_f64(total) / rate);
                (
                    Some(OpenLoop::new(rate)),
                    total,
                    Some(end + Duration::from_millis(settings.drain_ms)),
                )
            }
        };
        Self {
            start,
            counted_from: start + warmup,
            last_call,
            total,
            taken: AtomicU64::new(0),
            open,
        }
    }

    /// The next turn, once it is due; `None` when there is none left.
    pub(super) async fn next(&self) -> Option<Turn> {
        if let Some(open) = &self.open {
            open.due.acquire().await.ok()?.forget();
        }
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        if index >= self.total || self.last_call.is_some_and(|last| now >= last) {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let due = self
            .open
            .as_ref()
            .map_or(now, |open| self.start + open.offset(index));
        Some(Turn {
            index,
            due,
            counts: due >= self.counted_from,
        })
    }

    /// Turns that were due and that nobody took.
    pub(super) fn unsent(&self) -> u64 {
        if self.open.is_none() {
            0
        } else {
            self.total - self.taken.load(Ordering::Relaxed).min(self.total)
        }
    }

    /// When counting begins.
    pub(super) fn counted_from(&self) -> Instant {
        self.counted_from
    }

    /// Starts the clock of an open loop on a thread of its own: the runtime's timers are a millisecond coarse.
    pub(super) fn start_ticker(
        self: &Arc<Self>,
        connections: usize,
    ) -> std::io::Result<Option<JoinHandle<()>>> {
        if self.open.is_none() {
            return Ok(None);
        }
        let schedule = Arc::clone(self);
        let tick = move || schedule.tick(connections);
        std::thread::Builder::new()
            .name("load-ticker".to_owned())
            .spawn(tick)
            .map(Some)
    }

    /// The run is over, whatever the clock says.
    pub(super) fn stop(&self) {
        if let Some(open) = &self.open {
            open.over.store(true, Ordering::Relaxed);
        }
    }

    fn tick(&self, connections: usize) {
        let Some(open) = &self.open else { return };
        let mut released = 0;
        while released < self.total && !open.over.load(Ordering::Relaxed) {
            let now = self.start.elapsed();
            let due = open.due_by(now).min(self.total);
            if due > released {
                open.due
                    .add_permits(usize::try_from(due - released).unwrap_or(Semaphore::MAX_PERMITS));
                released = due;
            } else {
                nap(open.offset(released).saturating_sub(now).min(MAX_NAP));
            }
        }
        // One more for each connection, so that all of them learn that there is no turn left.
        open.due.add_permits(connections);
    }
}

impl OpenLoop {
    fn new(rate: f64) -> Self {
        Self {
            interval_ns: 1e9 / rate,
            due: Semaphore::new(0),
            over: AtomicBool::new(false),
        }
    }

    fn offset(&self, index: u64) -> Duration {
        Duration::from_secs_f64(turns_to_f64(index) * self.interval_ns / 1e9)
    }

    /// How many turns are due by then.
    fn due_by(&self, elapsed: Duration) -> u64 {
        turns_in(elapsed, 1e9 / self.interval_ns) + 1
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a clock of its own thread, which waits for time and nothing else"
)]
fn nap(time: Duration) {
    std::thread::sleep(time);
}

fn requests(stop: Stop) -> u64 {
    match stop {
        Stop::Requests(requests) => requests,
        Stop::Millis(_) => u64::MAX,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of requests are far below 2^52"
)]
fn turns_to_f64(turns: u64) -> f64 {
    turns as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and floor is meant"
)]
fn turns_in(span: Duration, rate: f64) -> u64 {
    (span.as_secs_f64() * rate) as u64
}
