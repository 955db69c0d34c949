//! One side of a usage object: its total, its named parts, and the rest.

use schemas::{Unit, Units};
use smallvec::SmallVec;

use super::counts::{NotACount, count};
use super::parse::Object;

/// The parts of a side that are told.
pub(super) type Parts = SmallVec<[(Unit, i64); 8]>;

/// What was read so far, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Disjoint counts.
    pub(super) units: Units,
    /// A sum, a sign or a type is wrong.
    pub(super) inconsistent: bool,
    /// A figure has no unit.
    pub(super) unmapped: bool,
}

impl Draft {
    /// Sets a count; zero counts of parts are not set, for their total says as much.
    pub(super) fn set_part(&mut self, unit: Unit, count: i64) {
        if count > 0 {
            self.set(unit, count);
        }
    }

    /// Sets a count.
    pub(super) fn set(&mut self, unit: Unit, count: i64) {
        self.inconsistent |= self.units.set(unit, count).is_err();
    }

    /// A count of `map`; one that is no count is missing, and the figures are inconsistent.
    pub(super) fn count(&mut self, map: &Object<'_>, name: &str) -> Option<i64> {
        self.checked(count(map, name))
    }

    /// A count that was looked up.
    pub(super) fn checked(&mut self, count: Result<Option<i64>, NotACount>) -> Option<i64> {
        count.unwrap_or_else(|NotACount| {
            self.inconsistent = true;
            None
        })
    }

    /// Divides a total into its named parts and the rest. Parts that are more than the whole divide nothing.
    pub(super) fn divide(&mut self, total: i64, parts: Result<Parts, NotACount>, rest: Unit) {
        let Ok(parts) = parts else {
            self.inconsistent = true;
            self.set(rest, total);
            return;
        };
        let named: i64 = parts.iter().map(|(_, count)| count).sum();
        if named > total {
            self.inconsistent = true;
            self.set(rest, total);
            return;
        }
        for (unit, count) in parts {
            self.set_part(unit, count);
        }
        self.set(rest, total - named);
    }
}
