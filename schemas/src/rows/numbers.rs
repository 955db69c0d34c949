//! How a producer's numbers are found in `audit_log` without reading all of it. The index is in the migrations; a query uses it by the
//! very words that are here. Which numbers are looked for must not live here.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// So many numbers of a start are found together.
const STRETCH: i64 = 16_384;
/// More stretches than this are not told apart: the index on starts has to do.
const MAX_STRETCHES: usize = 1_024;
/// What the index `numbers` keeps.
const KEY: &str = "cityHash64(producer, boot, intDiv(ifNull(producer_seq, -1), 16384))";

/// A condition, to be joined by ` AND `, that holds for every row of `audit_log` with a number in one of `ranges` (first and last) of a
/// start, and lets the store skip most others; empty where there is too much to look for. `producer` and `boot` are SQL of constants.
#[must_use]
pub fn near(producer: &str, boot: &str, ranges: &[(i64, i64)]) -> String {
    let mut stretches = BTreeSet::new();
    for (first, last) in ranges {
        for stretch in first / STRETCH..=last / STRETCH {
            stretches.insert(stretch);
            if stretches.len() > MAX_STRETCHES {
                return String::new();
            }
        }
    }
    let mut condition = format!(" AND {KEY} IN (");
    for (at, stretch) in stretches.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        // Writing into a text does not fail.
        let _ok = write!(
            condition,
            "{comma}cityHash64({producer}, {boot}, toInt64({stretch}))"
        );
    }
    condition + ")"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::ALL;

    #[test]
    fn what_is_asked_is_what_the_index_keeps() {
        let indexed = ALL[8].2;
        assert!(
            indexed.contains(&format!(" numbers {KEY} TYPE ")),
            "{indexed}"
        );
        assert!(KEY.contains(&format!(", {STRETCH})")));
    }

    #[test]
    fn stretches_of_all_ranges_are_asked_for_once_and_too_many_are_not() {
        let condition = near("'p'", "'b'", &[(0, STRETCH), (STRETCH + 1, 2 * STRETCH)]);
        let each: Vec<String> = (0..3)
            .map(|stretch| format!("cityHash64('p', 'b', toInt64({stretch}))"))
            .collect();
        assert_eq!(condition, format!(" AND {KEY} IN ({})", each.join(", ")));
        assert_eq!(near("'p'", "'b'", &[(0, i64::MAX)]), "");
    }
}
