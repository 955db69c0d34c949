//! From places in the topic to a position of the journal. Pure, and bounded.
//!
//! A checkpoint says: every usage record of the journal below `position` stands in the topic before the place `ends` of its
//! partition. Once the readers have committed all of these places, everything below `position` is in the store.
//!
//! | known | holds |
//! |---|---|
//! | places that were acknowledged | any position that was acknowledged before they were looked at |
//! | high watermarks | any position that was acknowledged before they were asked for: after a start, without any checkpoint |

use std::collections::VecDeque;

/// The most checkpoints that are kept. Beyond, every second goes: each is true by itself.
const MAX_CHECKPOINTS: usize = 64;

/// What is published and not confirmed.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    /// Positions and ends grow.
    list: VecDeque<Checkpoint>,
    confirmed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Checkpoint {
    position: u64,
    /// By partition; 0 where none of the records stands.
    ends: Vec<i64>,
}

/// A place that the readers have not committed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub partition: usize,
    pub wanted: i64,
    pub committed: Option<i64>,
}

impl Checkpoint {
    fn missing(&self, committed: &[Option<i64>]) -> Option<Missing> {
        let places = self.ends.iter().enumerate();
        places
            .filter(|(_, wanted)| **wanted > 0)
            .map(|(partition, wanted)| Missing {
                partition,
                wanted: *wanted,
                committed: committed.get(partition).copied().flatten(),
            })
            .find(|missing| missing.committed.is_none_or(|place| place < missing.wanted))
    }
}

impl Checkpoints {
    /// Everything below is in the store.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Every usage record below `position` stands before `ends`.
    pub(crate) fn add(&mut self, position: u64, ends: Vec<i64>) {
        let newest = self
            .list
            .back()
            .map_or(self.confirmed, |last| last.position);
        if position <= newest {
            return;
        }
        if self.list.len() >= MAX_CHECKPOINTS {
            let mut number = 0;
            self.list.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        self.list.push_back(Checkpoint { position, ends });
    }

    /// Takes what the readers have committed, by partition. Says what the oldest checkpoint still waits for.
    pub(crate) fn take(&mut self, committed: &[Option<i64>]) -> Option<Missing> {
        while let Some(oldest) = self.list.front() {
            if let Some(missing) = oldest.missing(committed) {
                return Some(missing);
            }
            self.confirmed = self.confirmed.max(oldest.position);
            self.list.pop_front();
        }
        None
    }

    /// Places of another topic mean nothing any more. What was confirmed is in the store and stays so.
    pub(crate) fn forget(&mut self) {
        self.list.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_position_is_confirmed_when_every_partition_is_and_says_which_is_not() {
        let mut checkpoints = Checkpoints::default();
        checkpoints.add(10, vec![4, 0, 9]);
        checkpoints.add(20, vec![8, 0, 9]);
        let missing = checkpoints.take(&[Some(5), None]);
        let wanted = Missing {
            partition: 2,
            wanted: 9,
            committed: None,
        };
        assert_eq!(missing, Some(wanted));
        assert_eq!(checkpoints.confirmed(), 0);
        let missing = checkpoints.take(&[Some(5), None, Some(9)]);
        assert_eq!(missing.map(|missing| missing.wanted), Some(8));
        assert_eq!(checkpoints.confirmed(), 10);
        // A group that went back takes nothing back that the store has.
        assert!(checkpoints.take(&[Some(0), None, Some(0)]).is_some());
        assert_eq!(checkpoints.confirmed(), 10);
        checkpoints.forget();
        assert_eq!(checkpoints.take(&[]), None);
        assert_eq!(checkpoints.confirmed(), 10);
    }

    proptest! {
        /// A log of partitions, records acknowledged in order of the journal, readers that commit what they please: a record below
        /// the confirmed position is always committed, the list is bounded, and at last everything is confirmed.
        #[test]
        fn nothing_is_confirmed_that_is_not_committed(
            steps in prop::collection::vec((0_usize..4, 0_usize..3, 0_i64..200), 1..400),
        ) {
            let mut checkpoints = Checkpoints::default();
            let mut ends = vec![0_i64; 4];
            let mut places: Vec<(usize, i64)> = Vec::new();
            let mut committed: Vec<Option<i64>> = vec![None; 4];
            for (partition, act, place) in steps {
                match act {
                    0 => {
                        places.push((partition, ends[partition]));
                        ends[partition] += 1;
                    }
                    1 => checkpoints.add(places.len() as u64, ends.clone()),
                    _ => committed[partition] = Some(place.min(ends[partition])),
                }
                let was = checkpoints.confirmed();
                checkpoints.take(&committed);
                let now = checkpoints.confirmed();
                for (partition, place) in &places[usize::try_from(was).unwrap()..usize::try_from(now).unwrap()] {
                    prop_assert!(committed[*partition].is_some_and(|committed| committed > *place));
                }
                prop_assert!(checkpoints.list.len() <= MAX_CHECKPOINTS);
            }
            checkpoints.add(places.len() as u64, ends.clone());
            checkpoints.take(&ends.iter().map(|end| Some(*end)).collect::<Vec<_>>());
            prop_assert_eq!(checkpoints.confirmed(), places.len() as u64);
        }
    }
}
