//! The names of the gateway's metrics, each with what it means. `docs/metrics.md` has the same list.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use runtime::otlp::{Counts, Fate};

use super::gateway::Metrics;
use super::series::{Counters, Deployment, Naming, Tenant, Times};
use super::table::Table;

impl Metrics {
    /// Registers everything.
    pub(super) fn register(&self, registry: &mut Registry) {
        self.register_requests(registry);
        self.register_deployments(registry);
        self.register_tenants(registry);
        self.register_state(registry);
        self.register_process(registry);
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "requests by api, outcome and source of their usage",
            self.requests.clone(),
        );
        registry.register(
            "answers",
            "requests by api and class of their HTTP status",
            self.answers.clone(),
        );
        registry.register(
            "metering",
            "requests by source and quality of their usage",
            self.metering.clone(),
        );
        registry.register(
            "throttled",
            "requests that met a limit, by whose it is",
            self.throttled.clone(),
        );
        registry.register(
            "request_seconds",
            "time of a whole request",
            self.request_seconds.clone(),
        );
        registry.register(
            "first_byte_seconds",
            "time to the first byte of an answer",
            self.first_byte_seconds.clone(),
        );
        registry.register(
            "gateway_seconds",
            "time of a request that was not spent in the provider",
            self.gateway_seconds.clone(),
        );
        registry.register(
            "details",
            "requests by outcome and the record's code beside it",
            Counters {
                series: self.details.clone(),
                naming: Naming {
                    name: "detail",
                    kind: None,
                },
                pick: |table: &Table| table,
            },
        );
    }

    fn register_deployments(&self, registry: &mut Registry) {
        let naming = Naming {
            name: "deployment",
            kind: Some("provider"),
        };
        let counters = |pick| Counters {
            series: self.deployments.clone(),
            naming,
            pick,
        };
        let times = |pick| Times {
            series: self.deployments.clone(),
            naming,
            pick,
        };
        registry.register(
            "deployment_requests",
            "requests by deployment and outcome",
            counters(|deployment: &Deployment| &deployment.requests),
        );
        registry.register(
            "upstream_calls",
            "calls to providers by class of their HTTP status",
            counters(|deployment| &deployment.calls),
        );
        registry.register(
            "upstream_retries",
            "calls to providers that failed and were made again, by class of their HTTP status",
            counters(|deployment| &deployment.retried),
        );
        registry.register(
            "deployment_throttled",
            "requests that met a provider's limit",
            counters(|deployment| &deployment.throttled),
        );
        registry.register(
            "upstream_seconds",
            "time of a call to a provider",
            times(|deployment: &Deployment| &deployment.seconds),
        );
        registry.register(
            "upstream_first_byte_seconds",
            "time to the head of a provider's answer",
            times(|deployment| &deployment.first_byte_seconds),
        );
        registry.register(
            "upstream_place_seconds",
            "time of a call to a provider in the gateway's own region and elsewhere",
            self.place_seconds.clone(),
        );
        registry.register(
            "upstream_place_first_byte_seconds",
            "time to the head of a provider's answer in the gateway's own region and elsewhere",
            self.place_first_byte_seconds.clone(),
        );
        registry.register(
            "upstream_connect_seconds",
            "time to connect to a provider, TLS included",
            self.connect_seconds.clone(),
        );
    }

    fn register_tenants(&self, registry: &mut Registry) {
        let counters = |pick| Counters {
            series: self.tenants.clone(),
            naming: Naming {
                name: "tenant",
                kind: None,
            },
            pick,
        };
        registry.register(
            "tenant_requests",
            "requests by tenant and outcome",
            counters(|tenant: &Tenant| &tenant.requests),
        );
        registry.register(
            "tenant_units",
            "units by tenant and kind",
            counters(|tenant| &tenant.units),
        );
        registry.register(
            "tenant_throttled",
            "requests of a tenant that met a limit",
            counters(|tenant| &tenant.throttled),
        );
        registry.register(
            "units",
            "units by model, kind and source of the figure",
            Counters {
                series: self.models.clone(),
                naming: Naming {
                    name: "model",
                    kind: None,
                },
                pick: |table: &Table| table,
            },
        );
    }

    fn register_state(&self, registry: &mut Registry) {
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
        registry.register(
            "waiting_outcomes",
            "outcomes that the journal has not taken yet; they are tried again each second",
            self.waiting_outcomes.clone(),
        );
        registry.register(
            "waiting_refusals",
            "refusals that are folded and in no record yet; they are written each second",
            self.waiting_refusals.clone(),
        );
    }

    fn register_process(&self, registry: &mut Registry) {
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter(
            "inconsistent_usage",
            "answers whose usage figures do not add up",
            &self.inconsistent_usage,
        );
        counter(
            "zero_token_answers",
            "answers that a provider gave and on which no unit stands",
            &self.zero_token_answers,
        );
        counter(
            "unrecorded_outcomes",
            "outcomes that were given up because the journal did not take them; any is an alarm",
            &self.unrecorded_outcomes,
        );
        counter(
            "unrecorded_refusals",
            "folded refusals that a stop gave up because the journal did not take them; any is an alarm",
            &self.unrecorded_refusals,
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
            "unkept_forms",
            "forms that could not be kept for a further call, for lack of room",
            &self.unkept_forms,
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
        counter(
            "missed_durability",
            "records that were not as durable as promised within the bound; an alarm",
            &self.missed_durability,
        );
    }
}

/// Shows what became of spans.
pub fn register_spans(registry: &mut Registry, counts: Arc<Counts>) {
    registry.register("trace_spans", "spans by what became of them", Spans(counts));
}

#[derive(Debug)]
struct Spans(Arc<Counts>);

impl EncodeMetric for Spans {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for fate in Fate::ALL {
            let labels = [("fate", fate.as_str())];
            let mut encoder = encoder.encode_family(&labels)?;
            encoder.encode_counter::<NoLabelSet, _, u64>(&self.0.get(fate), None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}
