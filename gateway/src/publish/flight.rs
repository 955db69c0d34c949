//! What is on its way to Kafka, and how far everything is acknowledged. Acknowledgements come in any order over partitions;
//! the position moves only over what is acknowledged without a gap. What must not live here: the client library, files.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use schemas::Topic;
use tokio::sync::watch;

/// Where a record came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub partition: i32,
    pub offset: i64,
}

/// The records of one session on their way. A session that failed keeps its own: what comes late changes nothing of the next.
#[derive(Debug)]
pub(crate) struct Flight {
    inner: Mutex<Inner>,
    moved: Condvar,
    acked: watch::Sender<u64>,
    max_records: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Inner {
    /// The number of the oldest record of `sent`.
    first: usize,
    sent: VecDeque<Sent>,
    bytes: usize,
    /// Since the last time that was asked.
    acked_records: u64,
    /// Of the usage topic: the place after the last acknowledged record, by partition.
    ends: Vec<i64>,
    failure: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    /// When this and all before it are acknowledged, everything in the journal below here is done.
    next_position: u64,
    bytes: usize,
    topic: Topic,
    is_acked: bool,
}

impl Flight {
    /// Nothing on its way. `acked` tells everybody how far everything is acknowledged.
    pub(crate) fn new(
        acked: watch::Sender<u64>,
        ends: Vec<i64>,
        max_records: usize,
        max_bytes: usize,
    ) -> Self {
        Self {
            inner: Mutex::new(Inner {
                first: 0,
                sent: VecDeque::new(),
                bytes: 0,
                acked_records: 0,
                ends,
                failure: None,
            }),
            moved: Condvar::new(),
            acked,
            max_records,
            max_bytes,
        }
    }

    /// Whether one more may be sent.
    pub(crate) fn has_room(&self) -> bool {
        let inner = self.inner.lock();
        inner.sent.len() < self.max_records && inner.bytes < self.max_bytes
    }

    /// A record is about to be sent. Its number comes back with its acknowledgement.
    pub(crate) fn begin(&self, next_position: u64, topic: Topic, bytes: usize) -> usize {
        let mut inner = self.inner.lock();
        inner.bytes += bytes;
        inner.sent.push_back(Sent {
            next_position,
            bytes,
            topic,
            is_acked: false,
        });
        inner.first + inner.sent.len() - 1
    }

    /// Whether everything before this one is acknowledged.
    pub(crate) fn is_first(&self, number: usize) -> bool {
        self.inner.lock().first == number
    }

    /// The last one begun was not sent after all.
    pub(crate) fn take_back(&self) {
        let mut inner = self.inner.lock();
        if let Some(sent) = inner.sent.pop_back() {
            inner.bytes -= sent.bytes;
        }
    }

    /// Everything up to `next_position` was passed over: it is done as soon as all before it is.
    pub(crate) fn pass(&self, next_position: u64) {
        let mut inner = self.inner.lock();
        match inner.sent.back_mut() {
            Some(sent) => sent.next_position = next_position,
            None => self.advance(next_position),
        }
    }

    /// A record was acknowledged.
    pub(crate) fn acknowledge(&self, number: usize, place: Place) {
        let mut inner = self.inner.lock();
        let index = number.wrapping_sub(inner.first);
        let Some(sent) = inner.sent.get_mut(index).filter(|sent| !sent.is_acked) else {
            return;
        };
        sent.is_acked = true;
        let topic = sent.topic;
        inner.acked_records += 1;
        if topic == Topic::Usage {
            inner.note_end(place);
        }
        let mut position = None;
        while let Some(done) = inner.sent.front().copied().filter(|sent| sent.is_acked) {
            inner.sent.pop_front();
            inner.first += 1;
            inner.bytes -= done.bytes;
            position = Some(done.next_position);
        }
        if let Some(position) = position {
            self.advance(position);
            self.moved.notify_all();
        }
    }

    /// A record will not be acknowledged, or none will: the session is over.
    pub(crate) fn fail(&self, why: String) {
        self.inner.lock().failure.get_or_insert(why);
        self.moved.notify_all();
    }

    /// Why the session is over, if it is.
    pub(crate) fn failure(&self) -> Option<String> {
        self.inner.lock().failure.clone()
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().sent.is_empty()
    }

    /// How many records were acknowledged since the last call.
    pub(crate) fn take_acked_records(&self) -> u64 {
        std::mem::take(&mut self.inner.lock().acked_records)
    }

    /// The place after the last acknowledged record of the usage topic, by partition.
    pub(crate) fn ends(&self) -> Vec<i64> {
        self.inner.lock().ends.clone()
    }

    /// Waits until something was acknowledged or failed, no longer than `at_most`.
    pub(crate) fn wait(&self, at_most: Duration) {
        let mut inner = self.inner.lock();
        if inner.failure.is_none() && !inner.sent.is_empty() {
            self.moved.wait_for(&mut inner, at_most);
        }
    }

    /// Positions only grow while one log is published.
    fn advance(&self, position: u64) {
        self.acked.send_if_modified(|acked| {
            let grows = position > *acked;
            *acked = position.max(*acked);
            grows
        });
    }
}

impl Inner {
    fn note_end(&mut self, place: Place) {
        let Ok(partition) = usize::try_from(place.partition) else {
            return;
        };
        if self.ends.len() <= partition {
            self.ends.resize(partition + 1, 0);
        }
        self.ends[partition] = self.ends[partition].max(place.offset + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flight() -> (Flight, watch::Receiver<u64>) {
        let (acked, seen) = watch::channel(0);
        (Flight::new(acked, Vec::new(), 3, 100), seen)
    }

    fn at(offset: i64) -> Place {
        Place {
            partition: 1,
            offset,
        }
    }

    #[test]
    fn the_position_moves_only_without_a_gap_and_over_what_was_passed() {
        let (flight, acked) = flight();
        flight.pass(2);
        assert_eq!(*acked.borrow(), 2);
        let first = flight.begin(3, Topic::Usage, 10);
        let second = flight.begin(4, Topic::Usage, 10);
        flight.pass(6);
        flight.acknowledge(second, at(8));
        assert_eq!(*acked.borrow(), 2);
        assert!(flight.is_first(first) && !flight.is_first(second));
        flight.acknowledge(first, at(7));
        assert_eq!(*acked.borrow(), 6);
        assert_eq!(flight.ends(), [0, 9]);
        assert_eq!((flight.is_empty(), flight.take_acked_records()), (true, 2));
    }

    #[test]
    fn what_is_on_its_way_is_bounded_by_records_and_bytes() {
        let (flight, _acked) = flight();
        flight.begin(1, Topic::Usage, 100);
        assert!(!flight.has_room());
        flight.take_back();
        assert!(flight.has_room());
        for position in 1..=3 {
            flight.begin(position, Topic::Producers, 1);
        }
        assert!(!flight.has_room());
    }

    #[test]
    fn an_acknowledgement_counts_once_and_the_first_failure_stays() {
        let (flight, acked) = flight();
        let number = flight.begin(1, Topic::Admissions, 1);
        flight.acknowledge(number, at(0));
        flight.acknowledge(number, at(0));
        flight.acknowledge(99, at(0));
        assert_eq!((*acked.borrow(), flight.take_acked_records()), (1, 1));
        flight.fail("one".into());
        flight.fail("two".into());
        assert_eq!(flight.failure().as_deref(), Some("one"));
    }

    proptest! {
        /// Whatever the order, the position is the end of the acknowledged prefix, and all of it at last.
        #[test]
        fn the_position_is_the_acknowledged_prefix(
            order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let (acked, seen) = watch::channel(0);
            let flight = Flight::new(acked, Vec::new(), 100, 1_000);
            for position in 0..40 {
                flight.begin(position + 1, Topic::Usage, 1);
            }
            let mut done = [false; 40];
            for number in order {
                flight.acknowledge(number, at(0));
                done[number] = true;
                let prefix = done.iter().take_while(|done| **done).count();
                prop_assert_eq!(*seen.borrow(), prefix as u64);
            }
        }
    }
}
