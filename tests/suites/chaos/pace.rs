//! Requests and faults in step: faults are spread over the requests, no kind runs ahead of another, and there is always some
//! traffic while a fault waits to bite.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::load::Load;

const EVERY: Duration = Duration::from_millis(100);
/// So many requests more may begin in [`EVERY`], whatever the faults do.
const TRICKLE: u64 = 20;

/// What all lanes share.
pub struct Pace {
    requests: u64,
    load: Arc<Load>,
    lanes: Mutex<Vec<Progress>>,
}

#[derive(Clone, Copy)]
struct Progress {
    done: usize,
    of: usize,
}

/// One kind of faults, one after the other.
pub struct Lane<'a> {
    pace: &'a Pace,
    number: usize,
}

impl Pace {
    pub fn new(requests: u64, load: Arc<Load>) -> Self {
        Self {
            requests,
            load,
            lanes: Mutex::default(),
        }
    }

    /// A lane of so many faults.
    pub fn lane(&self, of: usize) -> Lane<'_> {
        let mut lanes = self.lanes.lock();
        lanes.push(Progress { done: 0, of });
        Lane {
            pace: self,
            number: lanes.len() - 1,
        }
    }

    fn share(&self, faults: usize, of: usize) -> u64 {
        let share = u128::from(self.requests) * faults as u128 / of.max(1) as u128;
        u64::try_from(share).unwrap_or(self.requests)
    }

    /// Lets requests begin as faults are done, until this is dropped.
    pub async fn keep(&self) -> std::convert::Infallible {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tick.tick().await;
            let lanes = self.lanes.lock().clone();
            let next = lanes.iter().map(|lane| self.share(lane.done + 1, lane.of));
            let in_step = next.min().unwrap_or(0);
            self.load.allow(in_step.max(self.load.done() + TRICKLE));
        }
    }
}

impl Lane<'_> {
    /// Waits until the next fault may come.
    pub async fn next(&self) {
        let Progress { done, of } = self.pace.lanes.lock()[self.number];
        let from = self.pace.share(done, of);
        // Other kinds may hold it up for as long as they like: only the run as a whole has a bound.
        let mut tick = tokio::time::interval(EVERY);
        while self.pace.load.done() < from {
            tick.tick().await;
        }
    }

    /// A fault is over.
    pub fn done(&self) {
        self.pace.lanes.lock()[self.number].done += 1;
    }
}
