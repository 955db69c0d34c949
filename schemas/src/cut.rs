//! Cut rule v1: where one batch ends and the next begins, read from the log itself.
//!
//! Starting at a boundary, a batch ends with the first cut record, or after [`MAX_RECORDS`] records or
//! [`MAX_BYTES`] bytes, whichever comes first. From any boundary all later ones follow from the records
//! alone, whoever reads them and however often. These are constants of the wire version, never settings.

use crate::wire::RecordKind;

/// A batch ends with this many records.
pub const MAX_RECORDS: usize = 65_536;
/// A batch ends with the record that brings it to this many bytes.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The rule as a value: feed it the records of one partition in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutRule {
    records: usize,
    bytes: usize,
}

/// Whether the batch goes on after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutter {
    /// The next record belongs to the same batch.
    GoesOn,
    /// This record is the last of its batch; the rule is at a boundary again.
    EndsHere,
}

impl CutRule {
    /// Takes the next record into the batch.
    pub fn push(&mut self, kind: RecordKind, bytes: usize) -> Cutter {
        self.records += 1;
        self.bytes += bytes;
        let ends =
            kind == RecordKind::Cut || self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES;
        if !ends {
            return Cutter::GoesOn;
        }
        *self = Self::default();
        Cutter::EndsHere
    }

    /// The bytes of the records since the last boundary.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing has been read since the last boundary.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.records == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boundaries(log: &[(RecordKind, usize)], from: usize) -> Vec<usize> {
        let mut rule = CutRule::default();
        let mut ends = Vec::new();
        for (at, (kind, bytes)) in log.iter().enumerate().skip(from) {
            if rule.push(*kind, *bytes) == Cutter::EndsHere {
                ends.push(at);
            }
        }
        ends
    }

    #[test]
    fn a_batch_ends_at_a_cut_at_the_count_and_at_the_bytes() {
        let mut rule = CutRule::default();
        assert_eq!(rule.push(RecordKind::Usage, 10), Cutter::GoesOn);
        assert!(!rule.is_at_boundary());
        assert_eq!(rule.push(RecordKind::Cut, 10), Cutter::EndsHere);
        assert!(rule.is_at_boundary());
        for _ in 1..MAX_RECORDS {
            assert_eq!(rule.push(RecordKind::Usage, 1), Cutter::GoesOn);
        }
        assert_eq!(rule.push(RecordKind::Usage, 1), Cutter::EndsHere);
        assert_eq!(rule.push(RecordKind::Usage, MAX_BYTES), Cutter::EndsHere);
    }

    proptest! {
        /// Whoever starts at any boundary finds the same later boundaries.
        #[test]
        fn boundaries_do_not_depend_on_where_reading_began(
            log in prop::collection::vec((prop::bool::weighted(0.1), 1_usize..12_000_000), 1..200),
        ) {
            let log: Vec<_> = log
                .into_iter()
                .map(|(cut, bytes)| if cut { (RecordKind::Cut, 20) } else { (RecordKind::Usage, bytes) })
                .collect();
            let all = boundaries(&log, 0);
            for (index, end) in all.iter().enumerate() {
                prop_assert_eq!(&boundaries(&log, end + 1), &all[index + 1..]);
            }
        }
    }
}
