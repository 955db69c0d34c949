//! What the connections of a run measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::client::{Client, Exchange};
use super::client_log::Seen;
use super::schedule::Turn;

/// Longest time a histogram holds; longer ones count as this.
const MAX_US: u64 = 600_000_000;

/// Measurements of the turns that counted.
#[derive(Debug)]
pub(super) struct Stats {
    /// From when it was due to the end of the answer.
    pub(super) latency: Histogram<u64>,
    /// From sending to the end of the answer.
    pub(super) service: Histogram<u64>,
    /// From when it was due to sending.
    pub(super) send_lag: Histogram<u64>,
    /// From sending to the first content of a stream.
    pub(super) first_content: Histogram<u64>,
    /// From one event with content to the next.
    pub(super) gap: Histogram<u64>,
    pub(super) outcomes: BTreeMap<Seen, u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) events: u64,
    pub(super) body_bytes: u64,
    pub(super) with_usage: u64,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) last_end: Option<Instant>,
}

impl Stats {
    pub(super) fn new() -> Self {
        Self {
            latency: histogram(),
            service: histogram(),
            send_lag: histogram(),
            first_content: histogram(),
            gap: histogram(),
            outcomes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            events: 0,
            body_bytes: 0,
            with_usage: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            last_end: None,
        }
    }

    /// Takes in one exchange. Times are those of complete answers; failures are counted, not averaged in.
    pub(super) fn record(
        &mut self,
        turn: &Turn,
        sent: Instant,
        exchange: Exchange,
        client: &Client,
    ) {
        let now = Instant::now();
        *self.outcomes.entry(exchange.seen).or_default() += 1;
        *self.statuses.entry(exchange.status).or_default() += 1;
        let observed = &client.observed;
        self.events += observed.events;
        self.body_bytes += observed.body_bytes;
        if let Some(usage) = observed.usage {
            self.with_usage += 1;
            self.prompt_tokens += usage.prompt_tokens;
            self.completion_tokens += usage.completion_tokens;
        }
        self.last_end = Some(now);
        add(&mut self.send_lag, sent - turn.due);
        if exchange.seen == Seen::Complete {
            add(&mut self.latency, now - turn.due);
            add(&mut self.service, now - sent);
            if let Some(first) = observed.first_content {
                add(&mut self.first_content, first - sent);
            }
            for gap_us in &observed.gaps_us {
                self.gap.saturating_record(u64::from(*gap_us).max(1));
            }
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_US, 3).expect("bounds in order and three digits are valid")
}

fn add(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(
        u64::try_from(time.as_micros())
            .unwrap_or(MAX_US)
            .clamp(1, MAX_US),
    );
}
