//! The result of a run, for people and for ratchets.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::client_log::Seen;
use super::cpu::CpuReport;
use super::stats::Stats;

/// Percentiles of a time in µs; all 0 where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p99_9: u64,
    /// The longest.
    pub max: u64,
    /// The mean.
    pub mean: f64,
}

/// What a run measured, warm-up left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Requests that came to an end.
    pub requests: u64,
    /// Complete answers with 200.
    pub complete: u64,
    /// Turns that were due and never sent, because the run fell too far behind.
    pub unsent: u64,
    /// Everything else than complete answers, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Answers by status; 0 where there was none.
    pub statuses: BTreeMap<u16, u64>,
    /// Length of the window in seconds.
    pub seconds: f64,
    /// Complete answers a second.
    pub rps: f64,
    /// From when a request was due to the end of its answer.
    pub latency_us: Latency,
    /// From when it was sent.
    pub service_us: Latency,
    /// How late requests were sent: the generator's own lateness, or too few connections.
    pub send_lag_us: Latency,
    /// From sending to the first content of a stream.
    pub first_content_us: Latency,
    /// From one event with content to the next, as they were read.
    pub gap_us: Latency,
    /// Events of streams, without `[DONE]`.
    pub events: u64,
    /// Events a second.
    pub events_per_s: f64,
    /// Bytes of bodies received.
    pub body_bytes: u64,
    /// Bytes on the wire to the server, warm-up included.
    pub wire_bytes_out: u64,
    /// Bytes on the wire from the server, warm-up included.
    pub wire_bytes_in: u64,
    /// Answers that reported usage.
    pub with_usage: u64,
    /// Prompt tokens as reported.
    pub prompt_tokens: u64,
    /// Completion tokens as reported.
    pub completion_tokens: u64,
    /// CPU time and memory of the watched process.
    pub cpu: Option<CpuReport>,
    /// CPU µs of each group for each complete answer.
    pub cpu_us_per_request: BTreeMap<String, f64>,
    /// CPU µs of each group for each event.
    pub cpu_us_per_event: BTreeMap<String, f64>,
}

impl LoadReport {
    /// Whether every request was sent and answered completely.
    pub fn is_clean(&self) -> bool {
        self.unsent == 0 && self.errors.is_empty() && self.complete > 0
    }

    pub(super) fn new(
        stats: &Stats,
        window: Duration,
        unsent: u64,
        cpu: Option<CpuReport>,
    ) -> Self {
        let count = |seen| stats.outcomes.get(&seen).copied().unwrap_or(0);
        let complete = count(Seen::Complete);
        let failed = stats
            .outcomes
            .iter()
            .filter(|(seen, _)| **seen != Seen::Complete);
        let seconds = window.as_secs_f64();
        Self {
            requests: stats.outcomes.values().sum(),
            complete,
            unsent,
            errors: failed
                .map(|(seen, count)| (seen.name().to_owned(), *count))
                .collect(),
            statuses: stats.statuses.clone(),
            seconds,
            rps: per(complete, seconds),
            latency_us: percentiles(&stats.latency),
            service_us: percentiles(&stats.service),
            send_lag_us: percentiles(&stats.send_lag),
            first_content_us: percentiles(&stats.first_content),
            gap_us: percentiles(&stats.gap),
            events: stats.events,
            events_per_s: per(stats.events, seconds),
            body_bytes: stats.body_bytes,
            wire_bytes_out: 0,
            wire_bytes_in: 0,
            with_usage: stats.with_usage,
            prompt_tokens: stats.prompt_tokens,
            completion_tokens: stats.completion_tokens,
            cpu_us_per_request: each(cpu.as_ref(), complete),
            cpu_us_per_event: each(cpu.as_ref(), stats.events),
            cpu,
        }
    }
}

fn percentiles(times: &Histogram<u64>) -> Latency {
    if times.is_empty() {
        return Latency::default();
    }
    Latency {
        count: times.len(),
        p50: times.value_at_quantile(0.5),
        p90: times.value_at_quantile(0.9),
        p99: times.value_at_quantile(0.99),
        p99_9: times.value_at_quantile(0.999),
        max: times.max(),
        mean: times.mean(),
    }
}

fn each(cpu: Option<&CpuReport>, count: u64) -> BTreeMap<String, f64> {
    let Some(cpu) = cpu.filter(|_| count > 0) else {
        return BTreeMap::new();
    };
    cpu.groups_us
        .iter()
        .map(|(group, us)| (group.clone(), ratio(*us, count)))
        .collect()
}

fn per(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        ratio(count, 1) / seconds
    } else {
        0.0
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "measurements, read to three digits"
)]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}
