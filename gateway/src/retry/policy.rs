//! Whether a call that failed is made again, and after which pause. Pure.
//!
//! A call is made again only where its route says so for this failure, and only while the app has nothing of an answer.
//! No pause is shorter than the provider asks for, and none ends after the request's own limit: then the failure
//! is passed on as it came, and an SDK decides for itself.

use std::time::Duration;

use super::told::Told;

/// How a call failed that the app has seen nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody took the connection: nothing was sent.
    Connect,
    /// The connection broke before the head of an answer. The provider may have done the work.
    Reset,
    /// No head came in time. The provider may have done the work.
    Silent,
    /// The provider answered with this status.
    Status(u16),
}

/// A failure after which a route calls again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// See [`Failure::Connect`].
    Connect,
    /// See [`Failure::Reset`].
    Reset,
    /// See [`Failure::Silent`].
    Silent,
    /// This status.
    Status(u16),
    /// Any status from 500 to 599.
    Any5xx,
}

impl On {
    fn covers(self, failure: Failure) -> bool {
        match (self, failure) {
            (Self::Connect, Failure::Connect)
            | (Self::Reset, Failure::Reset)
            | (Self::Silent, Failure::Silent)
            | (Self::Any5xx, Failure::Status(500..=599)) => true,
            (Self::Status(one), Failure::Status(other)) => one == other,
            _ => false,
        }
    }
}

/// When a route calls again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The most calls for one request.
    pub calls: usize,
    /// After which failures.
    pub on: Vec<On>,
    /// The longest first pause; it doubles with each call.
    pub backoff: Duration,
    /// The longest pause that is not asked for.
    pub backoff_max: Duration,
    /// The longest pause that a provider may ask for.
    pub retry_after_max: Duration,
}

/// How a request stands when a call of it has failed.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Calls that were made.
    pub made: usize,
    /// Whether the same bytes can be sent again.
    pub is_repeatable: bool,
    /// Time until the request's own limit.
    pub left: Duration,
    /// Drawn anew each time.
    pub drawn: u64,
}

impl Policy {
    /// Whether this failure can lead to a further call at all, whatever the provider says.
    #[must_use]
    pub fn covers(&self, failure: Failure) -> bool {
        self.on.iter().any(|on| on.covers(failure))
    }

    /// The pause before the next call; `None` where there is none, and the failure is the request's end.
    #[must_use]
    pub fn pause(&self, failure: Failure, told: Told, standing: Standing) -> Option<Duration> {
        if standing.made >= self.calls || !standing.is_repeatable || !self.covers(failure) {
            return None;
        }
        let asked = match told {
            Told::Nothing => Duration::ZERO,
            Told::After(asked) => asked,
            Told::Never => return None,
        };
        if asked > self.retry_after_max {
            return None;
        }
        let pause = asked + self.jitter(standing);
        (pause < standing.left).then_some(pause)
    }

    /// Anything up to the doubled pause: those that failed together do not come again together.
    fn jitter(&self, standing: Standing) -> Duration {
        let doublings = u32::try_from(standing.made.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let ceiling = self.backoff.saturating_mul(factor).min(self.backoff_max);
        let ceiling_us = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(standing.drawn % ceiling_us.saturating_add(1))
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
