//! Producer numbers are dense: which are missing between those that arrived? Pure.

use std::collections::BTreeMap;

use schemas::event::FIRST_PRODUCER_SEQ;

use super::facts::Run;

/// Missing numbers of one boot of one producer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hole {
    pub producer: String,
    pub boot: String,
    pub first: i64,
    pub last: i64,
}

/// The numbers that arrived, as stretches without a hole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    boots: BTreeMap<(String, String), Vec<(i64, i64)>>,
}

impl Sequences {
    /// Adds stretches.
    pub(crate) fn add(&mut self, runs: Vec<Run>) {
        for (producer, boot, first, last) in runs {
            let stretches = self.boots.entry((producer, boot)).or_default();
            stretches.push((first, last));
            merge(stretches);
        }
    }

    /// The numbers that are missing between the first one of a boot and the last that arrived.
    pub(crate) fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        for ((producer, boot), stretches) in &self.boots {
            let mut next = FIRST_PRODUCER_SEQ;
            for (first, last) in stretches {
                if *first > next {
                    let (producer, boot) = (producer.clone(), boot.clone());
                    holes.push(Hole {
                        producer,
                        boot,
                        first: next,
                        last: first - 1,
                    });
                }
                next = last + 1;
            }
        }
        holes
    }
}

fn merge(stretches: &mut Vec<(i64, i64)>) {
    stretches.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::with_capacity(stretches.len());
    for (first, last) in stretches.drain(..) {
        match merged.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    *stretches = merged;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_hole_is_named_and_filled() {
        let run = |first, last| ("p".to_owned(), "1-0".to_owned(), first, last);
        let mut sequences = Sequences::default();
        sequences.add(vec![run(FIRST_PRODUCER_SEQ, 4), run(7, 9)]);
        let hole = Hole {
            producer: "p".into(),
            boot: "1-0".into(),
            first: 5,
            last: 6,
        };
        assert_eq!(sequences.holes(), [hole]);
        sequences.add(vec![run(5, 6)]);
        assert_eq!(sequences.holes(), []);
    }

    proptest! {
        #[test]
        fn holes_are_exactly_the_numbers_that_are_missing(present in prop::collection::btree_set(FIRST_PRODUCER_SEQ..60, 1..40)) {
            let mut sequences = Sequences::default();
            for seq in &present {
                sequences.add(vec![("p".into(), "b".into(), *seq, *seq)]);
            }
            let missing: BTreeSet<i64> = sequences.holes().iter().flat_map(|hole| hole.first..=hole.last).collect();
            let last = *present.last().unwrap();
            let wanted: BTreeSet<i64> = (FIRST_PRODUCER_SEQ..last).filter(|seq| !present.contains(seq)).collect();
            prop_assert_eq!(missing, wanted);
        }
    }
}
