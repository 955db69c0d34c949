//! Instants as the records hold them, and the clock as a parameter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Microseconds in a second.
    pub const PER_SECOND: i64 = 1_000_000;

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(Self::PER_SECOND)
    }

    /// Microseconds from `earlier` to `self`; 0 when the clock went backwards.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }

    /// The calendar month as the stores partition by it: `year * 100 + month`, UTC.
    #[must_use]
    pub fn month(self) -> u32 {
        use chrono::Datelike;
        let Some(instant) = chrono::DateTime::from_timestamp_micros(self.0) else {
            return 0;
        };
        let year = u32::try_from(instant.year()).unwrap_or(0);
        year * 100 + instant.month()
    }
}

/// Where the time comes from: the system in production, the test's hand in tests.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC microseconds.
    fn now(&self) -> Micros;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn month_is_utc() {
        assert_eq!(Micros(0).month(), 197_001);
        // 2026-11-30T23:59:59.999999Z and the next microsecond
        assert_eq!(Micros(1_796_083_199_999_999).month(), 202_611);
        assert_eq!(Micros(1_796_083_200_000_000).month(), 202_612);
    }

    #[test]
    fn since_never_runs_backwards() {
        assert_eq!(Micros(5).since(Micros(9)), 0);
        assert_eq!(Micros(9).since(Micros(5)), 4);
    }
}
