//! The months in which records of the scopes can lie: what keeps a question from reading the whole ledger.

use schemas::Micros;

use super::claims::{Moment, Scope};
use crate::sql::instant;

const DAY_US: i64 = 86_400_000_000;

/// Instants between which records are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    from: i64,
    to: i64,
}

impl Window {
    /// The period, what its scopes reach back and on to, and a day.
    pub(super) fn of(moment: Moment, scopes: &[Scope]) -> Self {
        let mut window = Self {
            from: moment.start,
            to: moment.end,
        };
        for scope in scopes {
            let known = scope.before.iter().chain(&scope.after);
            for claim in known {
                window.from = window.from.min(claim.at).min(claim.oldest);
                window.to = window.to.max(claim.at);
            }
        }
        window.by(DAY_US)
    }

    /// Far beyond.
    pub(super) fn widened(self) -> Self {
        self.by(40 * DAY_US)
    }

    fn by(self, margin: i64) -> Self {
        Self {
            from: self.from.saturating_sub(margin).max(0),
            to: self.to.saturating_add(margin),
        }
    }

    /// As a condition on `received`.
    pub(super) fn condition(self) -> String {
        format!(
            "received >= {} AND received < {}",
            instant(Micros(self.from)),
            instant(Micros(self.to))
        )
    }
}
