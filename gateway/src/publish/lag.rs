//! How old the oldest record is that Kafka does not have: from samples of the journal's end over time. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Beyond this many samples none is taken: the oldest one tells the age.
const MAX_SAMPLES: usize = 4_096;

/// Samples of the journal's synced end that are not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    samples: VecDeque<(Duration, u64)>,
}

impl Lag {
    /// Takes a sample at `now`, any clock that only runs forward. Says how old the oldest unacknowledged record is, to the
    /// accuracy of the samples.
    pub(crate) fn sample(&mut self, now: Duration, synced_end: u64, acked: u64) -> Duration {
        while self.samples.front().is_some_and(|(_, end)| *end <= acked) {
            self.samples.pop_front();
        }
        let is_new = self.samples.back().is_none_or(|(_, end)| *end < synced_end);
        if synced_end > acked && is_new && self.samples.len() < MAX_SAMPLES {
            self.samples.push_back((now, synced_end));
        }
        let oldest = self.samples.front().map_or(now, |(then, _)| *then);
        now.saturating_sub(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_oldest_record_and_falls_as_it_drains() {
        let at = Duration::from_secs;
        let mut lag = Lag::default();
        assert_eq!(lag.sample(at(0), 10, 10), at(0));
        assert_eq!(lag.sample(at(1), 20, 10), at(0));
        assert_eq!(lag.sample(at(2), 30, 10), at(1));
        assert_eq!(lag.sample(at(5), 30, 10), at(4));
        assert_eq!(lag.sample(at(6), 30, 20), at(4));
        assert_eq!(lag.sample(at(7), 30, 30), at(0));
    }

    #[test]
    fn a_long_outage_keeps_its_age_and_its_memory() {
        let mut lag = Lag::default();
        let last = (1..=10_000)
            .map(|tick| lag.sample(Duration::from_secs(tick), tick, 0))
            .last();
        assert_eq!(last, Some(Duration::from_secs(9_999)));
        assert!(lag.samples.len() <= MAX_SAMPLES);
    }
}
