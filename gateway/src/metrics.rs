//! The gateway's metrics, each with what it means. Labels come from closed lists only.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use schemas::UsageEvent;

/// Labels of `tollgate_requests`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    api: &'static str,
    outcome: &'static str,
    usage_source: &'static str,
}

/// Everything that the gateway counts.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    first_byte_seconds: Histogram,
    gateway_seconds: Histogram,
    inconsistent_usage: Counter,
    /// Requests admitted and not closed.
    pub open_requests: Gauge,
    /// Connections of apps.
    pub connections: Gauge,
    /// Answers read on after their app has gone.
    pub drains: Gauge,
    /// Outcomes that the journal did not take.
    pub unrecorded_outcomes: Counter,
    /// Requests whose guard was dropped without an outcome; an alarm.
    pub dropped_without_outcome: Counter,
    /// Refusals of strangers folded into counted records.
    pub folded_refusals: Counter,
    /// Requests of an earlier start closed as unknown.
    pub orphans: Counter,
    /// Reloads of the configuration that were refused.
    pub refused_reloads: Counter,
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let seconds = || Histogram::new([0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0]);
        let metrics = Self {
            requests: Family::default(),
            first_byte_seconds: seconds(),
            gateway_seconds: Histogram::new([
                0.000_05, 0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1,
            ]),
            inconsistent_usage: Counter::default(),
            open_requests: Gauge::default(),
            connections: Gauge::default(),
            drains: Gauge::default(),
            unrecorded_outcomes: Counter::default(),
            dropped_without_outcome: Counter::default(),
            folded_refusals: Counter::default(),
            orphans: Counter::default(),
            refused_reloads: Counter::default(),
        };
        metrics.register(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter(
            "inconsistent_usage",
            "answers whose usage figures do not add up",
            &self.inconsistent_usage,
        );
        counter(
            "unrecorded_outcomes",
            "outcomes that the journal did not take; any is an alarm",
            &self.unrecorded_outcomes,
        );
        counter(
            "dropped_without_outcome",
            "requests dropped without an outcome; any is an alarm",
            &self.dropped_without_outcome,
        );
        counter(
            "folded_refusals",
            "refusals of strangers folded into counted records",
            &self.folded_refusals,
        );
        counter(
            "orphans",
            "requests of an earlier start closed as unknown",
            &self.orphans,
        );
        counter(
            "refused_reloads",
            "configuration changes that were refused",
            &self.refused_reloads,
        );
        registry.register(
            "requests",
            "requests by api, outcome and source of their usage",
            self.requests.clone(),
        );
        registry.register(
            "first_byte_seconds",
            "time to the first byte of an answer",
            self.first_byte_seconds.clone(),
        );
        registry.register(
            "gateway_seconds",
            "time spent in the gateway itself",
            self.gateway_seconds.clone(),
        );
        registry.register(
            "open_requests",
            "requests admitted and not closed",
            self.open_requests.clone(),
        );
        registry.register(
            "connections",
            "connections of apps",
            self.connections.clone(),
        );
        registry.register(
            "drains",
            "answers read on after their app has gone",
            self.drains.clone(),
        );
    }

    /// Counts one record.
    pub fn observe(&self, event: &UsageEvent) {
        let labels = RequestLabels {
            api: event.api.as_str(),
            outcome: event.outcome.as_str(),
            usage_source: event.usage_source.as_str(),
        };
        self.requests
            .get_or_create(&labels)
            .inc_by(u64::try_from(event.count).unwrap_or(1));
        if event.usage_quality == schemas::UsageQuality::Inconsistent {
            self.inconsistent_usage.inc();
        }
        if let Some(first) = event.first_byte_us {
            self.first_byte_seconds
                .observe(seconds(first.since(event.received_us)));
        }
        if let Some(gateway_us) = event.gateway_us {
            self.gateway_seconds.observe(seconds(gateway_us));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric, not a bill")]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}
