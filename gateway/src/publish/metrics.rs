//! What the publisher counts. `docs/metrics.md` has the same list.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// All of them; clones share the values.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) acked: Counter,
    pub(crate) sessions: Counter,
    pub(crate) troubles: Counter,
    pub(crate) damaged: Counter,
    pub(crate) lag_positions: Gauge,
    pub(crate) lag_bytes: Gauge,
    pub(crate) lag: Gauge<f64, AtomicU64>,
    pub(crate) publishing: Gauge,
    pub(crate) sink_lag_positions: Gauge,
    pub(crate) sink_lag: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Registers every metric under `publisher_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("publisher");
        registry.register(
            "acked",
            "records that Kafka has acknowledged, copies after a restart included",
            self.acked.clone(),
        );
        registry.register(
            "sessions",
            "connections that were made to publish; more than one means that one failed",
            self.sessions.clone(),
        );
        registry.register(
            "troubles",
            "times that publishing stopped: Kafka away, a topic not as configured, a record refused",
            self.troubles.clone(),
        );
        registry.register(
            "damaged",
            "places of the journal that could not be read and so not be published; an alarm",
            self.damaged.clone(),
        );
        registry.register(
            "lag_positions",
            "positions of the journal that are synced and not acknowledged",
            self.lag_positions.clone(),
        );
        registry.register(
            "lag_bytes",
            "about as many bytes of the journal are synced and not acknowledged",
            self.lag_bytes.clone(),
        );
        registry.register_with_unit(
            "lag",
            "age of the oldest record that is not acknowledged",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register(
            "publishing",
            "1 while Kafka takes records, 0 while they wait in the journal",
            self.publishing.clone(),
        );
        registry.register(
            "sink_lag_positions",
            "positions of the journal that Kafka has acknowledged and the store has not confirmed",
            self.sink_lag_positions.clone(),
        );
        registry.register_with_unit(
            "sink_lag",
            "age of the oldest record that Kafka has acknowledged and the store has not confirmed",
            Unit::Seconds,
            self.sink_lag.clone(),
        );
    }
}
