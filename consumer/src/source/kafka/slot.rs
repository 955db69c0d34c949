//! An assigned partition, as its owner keeps it: how far it has come, and the worker that reads it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::damage;
use super::queue::Queue;
use crate::handle::Handle;
use crate::order::Order;
use crate::status::State;

/// An end that is reported for so long is believed.
const SHORT_FOR: Duration = Duration::from_secs(5);
/// A partition of which nothing comes for so long, after a broker did not have a place of some partition, is the one that is not
/// read any further.
const STOPPED_FOR: Duration = Duration::from_secs(5);

/// Where a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is not known where the group was.
    New,
    /// Its worker looks where to begin.
    Beginning,
    /// It is to be read from here on.
    Seek(i64),
    Flowing,
    /// Its worker stopped then, for a person.
    Halted(Instant),
}

/// For so long it is waited for partitions whose brokers do not answer, before it is looked for one that is not read any further:
/// whether they have lost their end this client knows alone.
pub(super) const ASKED_FOR: Duration = Duration::from_mins(1);

/// Of records whose times are so near to each other, the first is noted.
const TIME_EVERY_MS: i64 = 1_000;
/// The most times that are noted; of more the first ones count, which are the oldest.
const MOST_TIMES: usize = 4_096;

/// When the log took what was read of it, as the log says, one record a second: enough to say how old the oldest is that is not in
/// the store.
#[derive(Debug, Default)]
pub(super) struct Times {
    noted: VecDeque<(i64, i64)>,
    /// The place after the last that was read.
    next: i64,
}

impl Times {
    /// A record was read that the log took then, if it says so.
    pub(super) fn read(&mut self, offset: i64, logged_ms: Option<i64>) {
        self.next = offset + 1;
        let Some(logged_ms) = logged_ms else { return };
        let last = self.noted.back().map(|(_, last)| *last);
        let is_due = last.is_none_or(|last| logged_ms >= last + TIME_EVERY_MS);
        if is_due && self.noted.len() < MOST_TIMES {
            self.noted.push_back((offset, logged_ms));
        }
    }

    /// It is read from here on.
    pub(super) fn begin_at(&mut self, offset: i64) {
        self.noted.retain(|noted| noted.0 < offset);
        self.next = self.next.min(offset);
    }

    /// The age of the oldest record behind what is settled; 0 where all that was read is settled. A second too high at most, where the
    /// log's times only grow.
    pub(super) fn age(&mut self, settled: i64, now_ms: i64) -> Duration {
        if settled >= self.next {
            self.noted.clear();
        }
        let is_settled = |noted: &(i64, i64)| noted.0 <= settled;
        while self.noted.get(1).is_some_and(is_settled) {
            self.noted.pop_front();
        }
        let oldest = self.noted.front();
        let oldest_ms = oldest.map_or(now_ms, |(_, logged_ms)| *logged_ms);
        Duration::from_millis(u64::try_from(now_ms - oldest_ms).unwrap_or(0))
    }
}

/// An assigned partition.
pub(super) struct Slot {
    pub(super) queue: Arc<Queue>,
    pub(super) times: Times,
    pub(super) order: Option<Order>,
    pub(super) stage: Stage,
    pub(super) is_paused: bool,
    pub(super) handle: Option<Handle>,
    /// The place before which records were missing once already.
    pub(super) gap: Option<i64>,
    /// Since when its log ends before what was read of it.
    pub(super) short_since: Option<Instant>,
    /// Since when it may be that the client reads it no further: a broker did not have a place.
    pub(super) must_look: Option<Instant>,
    /// It was broken off at a batch that does not have its checksum.
    is_damaged: bool,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            queue: Arc::default(),
            times: Times::default(),
            order: None,
            stage: Stage::New,
            is_paused: true,
            handle: None,
            gap: None,
            short_since: None,
            must_look: None,
            is_damaged: false,
        }
    }
}

impl Slot {
    /// For how long only another client would read it on: a broker did not have a place, and of a log that goes on to `end` nothing has
    /// come since.
    pub(super) fn stopped_for(&mut self, end: i64, now: Instant) -> Option<Duration> {
        let is_awaited = !self.is_paused && self.order.is_some_and(|order| order.next() < end);
        let since = self.must_look.as_mut()?;
        if !is_awaited {
            *since = now;
        }
        Some(now.duration_since(*since)).filter(|silent| *silent >= STOPPED_FOR)
    }

    /// Whether its log has lost its end, or may have.
    pub(super) fn has_lost_its_end(&self) -> bool {
        self.short_since.is_some() || self.queue.is_broken() && !self.is_damaged
    }

    /// Whether it may be read on after a pause: one that has lost its end would seem whole again as soon as it has grown.
    pub(super) fn may_be_mended(&self) -> bool {
        !self.queue.is_broken() || self.is_damaged && self.short_since.is_none()
    }

    /// A broker has other bytes there than were written. Nothing of the batch is taken, nor passed over: another replica may have it.
    pub(super) fn is_damaged_at(&mut self, partition: i32) {
        self.must_look = None;
        // One that has lost its end has done so for good.
        if self.queue.is_broken() {
            return;
        }
        self.is_damaged = true;
        let place = self.order.map_or(0, Order::next);
        let words = damage::words(partition, place);
        self.queue.break_off(words + "; it is tried again");
    }

    /// The log ends at `end` now, or so a broker says. One that has lost its end has other records in these places from now on:
    /// nothing that is read there follows what was read before. A new leader may know of an end a little late.
    pub(super) fn ends_at(&mut self, partition: i32, end: i64, now: Instant) {
        let Some(next) = self.order.map(Order::next).filter(|next| end < *next) else {
            self.short_since = None;
            return;
        };
        let since = *self.short_since.get_or_insert(now);
        if now.duration_since(since) >= SHORT_FOR {
            self.queue.break_off(format!(
                "partition {partition} was read up to {} and now ends at {end}: it has lost its end, and places {end} to {} may hold \
                 other records than those that were written from there; make sure that gateways publish again what was lost, and \
                 begin a new topic",
                next - 1,
                next - 1
            ));
        }
    }
}

/// All partitions, those from `from` on first.
pub(super) fn in_turn(slots: &BTreeMap<i32, Slot>, from: i32) -> Vec<i32> {
    let turn = slots.range(from..).chain(slots.range(..from));
    turn.map(|(partition, _)| *partition).collect()
}

pub(super) fn has_ended(handle: &Handle) -> bool {
    matches!(handle.status().state, State::Ended | State::Halted(_))
}

/// What was begun is done again by whoever has the partition, with the same tokens.
pub(super) fn abandon(slot: Slot) {
    if let Some(handle) = slot.handle {
        handle.abort();
        handle.join();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Read, SourceError};
    use super::*;

    #[test]
    fn a_log_that_ends_before_what_was_read_is_named_once_that_is_certain() {
        let now = Instant::now();
        let mut slot = Slot::new();
        slot.order = Some(Order::from(10));
        let says = |slot: &Slot| slot.queue.pop();
        slot.ends_at(3, 10, now);
        slot.ends_at(3, 7, now);
        assert_eq!(says(&slot), Ok(Read::CaughtUp), "a new leader, perhaps");
        slot.ends_at(3, 10, now + SHORT_FOR);
        slot.ends_at(3, 7, now + SHORT_FOR);
        assert_eq!(says(&slot), Ok(Read::CaughtUp));
        slot.ends_at(3, 7, now + 2 * SHORT_FOR);
        let Err(SourceError::Failed(why)) = says(&slot) else {
            panic!("it is not named");
        };
        assert!(why.contains("read up to 9 and now ends at 7"), "{why}");
        assert!(slot.queue.is_broken());
    }

    #[test]
    fn the_oldest_that_is_not_settled_is_as_old_as_the_log_says() {
        let mut times = Times::default();
        for offset in 0..10 {
            times.read(offset, Some(offset * 500));
        }
        let seconds = Duration::from_secs;
        assert_eq!(times.age(0, 10_000), seconds(10));
        assert_eq!(times.age(4, 10_000), seconds(8));
        assert_eq!(times.age(5, 10_000), seconds(8), "a second at most");
        assert_eq!(times.age(10, 10_000), seconds(0), "nothing is owed");
        times.read(10, Some(20_000));
        let ahead = times.age(10, 10_000);
        assert_eq!(ahead, seconds(0), "another clock is ahead");
    }

    #[test]
    fn who_does_not_answer_is_asked_last_the_next_time() {
        let slots: BTreeMap<_, _> = [2, 3, 7].map(|partition| (partition, Slot::new())).into();
        for (from, turn) in [
            (0, [2, 3, 7]),
            (3, [3, 7, 2]),
            (4, [7, 2, 3]),
            (8, [2, 3, 7]),
        ] {
            assert_eq!(in_turn(&slots, from), turn, "{from}");
        }
    }

    #[test]
    fn a_partition_is_stopped_where_more_is_to_come_and_nothing_does() {
        let now = Instant::now();
        let mut slot = Slot::new();
        slot.order = Some(Order::from(10));
        slot.is_paused = false;
        let later = now + STOPPED_FOR;
        assert_eq!(slot.stopped_for(12, later), None);
        slot.must_look = Some(now);
        assert_eq!(slot.stopped_for(12, now), None, "more may be on its way");
        assert_eq!(slot.stopped_for(12, later), Some(STOPPED_FOR));
        assert_eq!(slot.stopped_for(10, later), None, "it is read to its end");
        assert_eq!(slot.stopped_for(12, later), None, "that has just grown");
        slot.is_paused = true;
        assert_eq!(slot.stopped_for(12, later + STOPPED_FOR), None);
        slot.is_paused = false;
        let resumed = slot.stopped_for(12, later + STOPPED_FOR);
        assert_eq!(resumed, None, "it was just resumed");
        let silent = slot.stopped_for(12, later + 2 * STOPPED_FOR);
        assert_eq!(silent, Some(STOPPED_FOR));
        slot.ends_at(3, 7, now);
        assert!(slot.has_lost_its_end(), "it may have");
        slot.ends_at(3, 10, now);
        assert!(!slot.has_lost_its_end());
        slot.ends_at(3, 7, now);
        slot.ends_at(3, 7, now + SHORT_FOR);
        slot.ends_at(3, 12, now + SHORT_FOR);
        assert!(slot.has_lost_its_end() && !slot.may_be_mended(), "for good");
    }

    #[test]
    fn a_damaged_batch_is_named_with_its_place_and_tried_again() {
        let mut slot = Slot::new();
        slot.order = Some(Order::from(10));
        assert!(slot.may_be_mended());
        slot.is_damaged_at(3);
        let Err(SourceError::Failed(why)) = slot.queue.pop() else {
            panic!("it is not named");
        };
        assert!(why.contains("partition 3 from place 10 on"), "{why}");
        assert!(slot.may_be_mended() && !slot.has_lost_its_end());
        slot.ends_at(3, 9, Instant::now());
        assert!(!slot.may_be_mended(), "whoever leads now has less of it");
    }

    #[test]
    fn one_that_has_lost_its_end_is_not_mended_by_damage_that_is_heard_of() {
        let now = Instant::now();
        let mut slot = Slot::new();
        slot.order = Some(Order::from(10));
        slot.ends_at(3, 7, now);
        slot.ends_at(3, 7, now + SHORT_FOR);
        slot.ends_at(3, 12, now + SHORT_FOR);
        slot.is_damaged_at(3);
        assert!(slot.has_lost_its_end() && !slot.may_be_mended());
    }
}
