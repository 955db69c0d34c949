//! Where a segment ends: read from the log, as the end of a batch is, so that whoever archives makes the same segments. Pure.
//!
//! From the end of the segment before, a segment ends with the first batch that brings it to its size, or before the first record
//! that was appended an age after its first. Both follow from the records alone. An archiver that has read everything and whose
//! clock says that the age is over does not wait for that record; should clocks disagree, the archive itself decides, for a
//! segment's place in the chain is given once.

use schemas::{CutRule, Cutter, RecordKind};

use crate::entry::Entry;

/// Where a segment of a log may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundaries {
    /// Where a batch ends: the log has cuts in it.
    Cuts,
    /// After any record.
    Everywhere,
}

/// How large and how old a segment becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes before compression.
    pub bytes: u64,
    /// From its first record on, in microseconds.
    pub age_us: i64,
}

/// The records since the last end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    limits: Limits,
    boundaries: Boundaries,
    cut: CutRule,
    bytes: u64,
    first_us: Option<i64>,
    is_at_boundary: bool,
}

impl Rule {
    pub(crate) fn new(limits: Limits, boundaries: Boundaries) -> Self {
        Self {
            limits,
            boundaries,
            cut: CutRule::default(),
            bytes: 0,
            first_us: None,
            is_at_boundary: false,
        }
    }

    /// Whether the segment ends before this record.
    pub(crate) fn ends_before(&self, entry: &Entry) -> bool {
        self.is_at_boundary && entry.time_us.is_some_and(|time_us| self.is_old_at(time_us))
    }

    /// Takes a record of so many bytes; says whether the segment ends with it.
    pub(crate) fn push(&mut self, entry: &Entry, bytes: u64) -> bool {
        self.bytes += bytes;
        self.first_us = self.first_us.or(entry.time_us);
        let kind = RecordKind::from_byte(entry.kind).filter(|kind| kind.is_published());
        self.is_at_boundary = match (self.boundaries, kind) {
            (Boundaries::Everywhere, _) => true,
            (Boundaries::Cuts, Some(kind)) => {
                self.cut.push(kind, entry.bytes.len()) == Cutter::EndsHere
            }
            (Boundaries::Cuts, None) => false,
        };
        self.is_at_boundary && self.bytes >= self.limits.bytes
    }

    /// Whether nothing was taken since the last end.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether the segment may end after the last record.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.is_at_boundary
    }

    /// Whether the age is over at that time.
    pub(crate) fn is_old_at(&self, time_us: i64) -> bool {
        self.first_us
            .is_some_and(|first_us| time_us.saturating_sub(first_us) >= self.limits.age_us)
    }

    /// The next segment begins.
    pub(crate) fn end(&mut self) {
        *self = Self::new(self.limits, self.boundaries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        bytes: 1_000,
        age_us: 50,
    };

    fn entry(offset: usize, kind: RecordKind, time_us: Option<i64>) -> Entry {
        Entry {
            offset: i64::try_from(offset).unwrap(),
            kind: kind as u8,
            time_us,
            envelope: None,
            bytes: bytes::Bytes::from(vec![0; 90]),
        }
    }

    /// The places after which a segment ends.
    fn ends(log: &[Entry], boundaries: Boundaries) -> Vec<i64> {
        let mut rule = Rule::new(LIMITS, boundaries);
        let mut ends = Vec::new();
        for entry in log {
            if rule.ends_before(entry) {
                ends.push(entry.offset - 1);
                rule.end();
            }
            if rule.push(entry, 100) {
                ends.push(entry.offset);
                rule.end();
            }
        }
        ends
    }

    proptest! {
        /// Whoever begins at any end finds the same later ones, and every end is an end of a batch.
        #[test]
        fn ends_follow_from_the_records_alone(
            kinds in prop::collection::vec((0_u8..6, prop::option::of(0_i64..30)), 1..200),
        ) {
            let mut now = 0;
            let log: Vec<Entry> = kinds.iter().enumerate().map(|(offset, (kind, passed))| {
                let kind = match kind {
                    0 => RecordKind::Cut,
                    1 => RecordKind::Heartbeat,
                    _ => RecordKind::Usage,
                };
                now += passed.unwrap_or(0);
                entry(offset, kind, passed.map(|_| now))
            }).collect();
            for boundaries in [Boundaries::Cuts, Boundaries::Everywhere] {
                let all = ends(&log, boundaries);
                for (at, end) in all.iter().enumerate() {
                    let from = usize::try_from(end + 1).unwrap();
                    prop_assert_eq!(&ends(&log[from..], boundaries), &all[at + 1..]);
                    let is_cut = log[from - 1].kind == RecordKind::Cut as u8;
                    prop_assert!(is_cut || boundaries == Boundaries::Everywhere);
                }
            }
        }
    }

    #[test]
    fn a_segment_ends_by_size_and_by_age() {
        let usage = |at| entry(at, RecordKind::Usage, Some(0));
        let log: Vec<Entry> = (0..25).map(usage).collect();
        assert_eq!(ends(&log, Boundaries::Everywhere), [9, 19]);
        assert_eq!(ends(&log, Boundaries::Cuts), Vec::<i64>::new());
        let aged: Vec<Entry> = (0..6)
            .zip((0..).step_by(20))
            .map(|(at, time_us)| entry(at, RecordKind::Heartbeat, Some(time_us)))
            .collect();
        assert_eq!(ends(&aged, Boundaries::Everywhere), [2]);
    }
}
