//! An assigned partition, as its owner keeps it: how far it has come, and the worker that reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::Queue;
use crate::handle::Handle;
use crate::order::Order;
use crate::status::State;

/// A beginning or an end that is reported for so long is believed.
const SHORT_FOR: Duration = Duration::from_secs(5);

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

/// What is known after a broker has said where a log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing that was to be read is gone, or what is gone is named.
    Enough,
    /// Something may be gone: it is asked again.
    NotSure,
}

/// An assigned partition.
pub(super) struct Slot {
    pub(super) queue: Arc<Queue>,
    pub(super) order: Option<Order>,
    pub(super) stage: Stage,
    pub(super) is_paused: bool,
    pub(super) handle: Option<Handle>,
    /// The place before which records were missing once already.
    pub(super) gap: Option<i64>,
    /// Since when its log ends before what was read of it.
    pub(super) short_since: Option<Instant>,
    /// Since when its log is said to begin behind what is to be read next, and the first beginning that was named meanwhile.
    pub(super) behind_since: Option<(Instant, i64)>,
    /// It may be that the client reads it no further: a broker did not have a place.
    pub(super) must_look: bool,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            queue: Arc::default(),
            order: None,
            stage: Stage::New,
            is_paused: true,
            handle: None,
            gap: None,
            short_since: None,
            behind_since: None,
            must_look: false,
        }
    }
}

impl Slot {
    /// A record has come: the client reads it, and the log has what was to be read next.
    pub(super) fn is_fed(&mut self) {
        self.must_look = false;
        self.behind_since = None;
    }

    /// A broker did not have a place, and nothing has come since. Unless the log may begin behind what is to be read, it is read
    /// again from there: a broker that has just taken over may have been behind, and the client does not try by itself.
    pub(super) fn look(&mut self, low: i64, now: Instant) {
        if self.begins_at(low, now) == Told::NotSure {
            return;
        }
        self.must_look = false;
        if let (Stage::Flowing, Some(order)) = (self.stage, self.order) {
            self.stage = Stage::Seek(order.next());
        }
    }

    /// The log begins at `low` now, or so a broker says: what was to be read before that is gone, and named, and reading goes on
    /// there. What is passed over so is not read again, and one answer may be wrong.
    pub(super) fn begins_at(&mut self, low: i64, now: Instant) -> Told {
        let Some(next) = self.order.map(Order::next).filter(|next| *next < low) else {
            self.behind_since = None;
            return Told::Enough;
        };
        let (since, least) = self.behind_since.get_or_insert((now, low));
        *least = low.min(*least);
        if now.duration_since(*since) < SHORT_FOR {
            return Told::NotSure;
        }
        let low = *least;
        self.behind_since = None;
        self.queue.push_lost(next, low);
        // What is lost beyond that follows it, and is named by itself.
        self.order = Some(Order::from(low));
        self.stage = Stage::Seek(low);
        Told::Enough
    }

    /// The log ends at `end` now, or so a broker says. One that has lost its end has other records in these places from now on:
    /// nothing that is read there follows what was read before. A new leader may know of an end a little late.
    pub(super) fn ends_at(&mut self, partition: i32, end: i64, is_certain: bool, now: Instant) {
        let Some(next) = self.order.map(Order::next).filter(|next| end < *next) else {
            self.short_since = None;
            return;
        };
        let since = *self.short_since.get_or_insert(now);
        if is_certain || now.duration_since(since) >= SHORT_FOR {
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
        slot.ends_at(3, 10, false, now);
        slot.ends_at(3, 7, false, now);
        assert_eq!(says(&slot), Ok(Read::CaughtUp), "a new leader, perhaps");
        slot.ends_at(3, 10, false, now + SHORT_FOR);
        slot.ends_at(3, 7, false, now + SHORT_FOR);
        assert_eq!(says(&slot), Ok(Read::CaughtUp));
        slot.ends_at(3, 7, false, now + 2 * SHORT_FOR);
        let Err(SourceError::Failed(why)) = says(&slot) else {
            panic!("it is not named");
        };
        assert!(why.contains("read up to 9 and now ends at 7"), "{why}");

        let mut slot = Slot::new();
        slot.order = Some(Order::from(10));
        slot.ends_at(3, 7, true, now);
        assert!(says(&slot).is_err() && slot.queue.is_broken());
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
    fn what_a_log_no_longer_has_is_named_once_and_reading_goes_on_where_it_begins() {
        let now = Instant::now();
        let mut slot = Slot::new();
        assert_eq!(slot.begins_at(12, now), Told::Enough);
        slot.order = Some(Order::from(10));
        slot.stage = Stage::Flowing;
        assert_eq!(slot.begins_at(10, now), Told::Enough);
        assert_eq!(slot.begins_at(14, now), Told::NotSure, "said once");
        assert_eq!(slot.begins_at(0, now + SHORT_FOR), Told::Enough);
        assert_eq!(slot.begins_at(13, now + SHORT_FOR), Told::NotSure);
        assert_eq!(slot.queue.pop(), Ok(Read::CaughtUp));
        assert_eq!(slot.stage, Stage::Flowing);
        assert_eq!(slot.begins_at(12, now + 2 * SHORT_FOR), Told::Enough);
        assert_eq!(slot.begins_at(12, now + 2 * SHORT_FOR), Told::Enough);
        let lost = Read::Lost {
            first: 10,
            next: 12,
        };
        assert_eq!(slot.queue.pop(), Ok(lost));
        assert_eq!(slot.queue.pop(), Ok(Read::CaughtUp));
        assert_eq!(slot.stage, Stage::Seek(12));
        slot.stage = Stage::Flowing;
        slot.must_look = true;
        slot.look(15, now);
        assert_eq!((slot.stage, slot.must_look), (Stage::Flowing, true));
        slot.look(16, now + SHORT_FOR);
        assert!(!slot.must_look);
        let more = Read::Lost {
            first: 12,
            next: 15,
        };
        assert_eq!(slot.queue.pop(), Ok(more));
        assert_eq!(slot.stage, Stage::Seek(15));
        slot.stage = Stage::Flowing;
        slot.must_look = true;
        slot.look(15, now);
        assert_eq!(
            (slot.stage, slot.must_look),
            (Stage::Seek(15), false),
            "it was a broker that was behind"
        );
    }
}
