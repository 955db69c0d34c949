//! What the API counts. `docs/metrics.md` has the same list; labels come from the table of endpoints and closed lists.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

const SECONDS: [f64; 9] = [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// An endpoint and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Answered {
    /// Of the table; `none` where there is no such path.
    endpoint: &'static str,
    /// `ok`, `not_modified`, or the error's code.
    result: &'static str,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    endpoint: &'static str,
}

/// How an attempt to take something new went.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reload {
    /// `prices`, `readers`.
    what: &'static str,
    /// `taken`, `refused`.
    result: &'static str,
}

/// All of them; clones share the values.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    answers: Family<Answered, Counter>,
    answer: Family<Of, Histogram, fn() -> Histogram>,
    reloads: Family<Reload, Counter>,
    pub(super) running: Gauge,
    pub(super) waiting: Gauge,
    pub(super) downloads: Gauge,
    pub(super) downloaded_bytes: Counter,
    pub(super) broken_downloads: Counter,
    pub(super) connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            answers: Family::default(),
            answer: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            reloads: Family::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            downloads: Gauge::default(),
            downloaded_bytes: Counter::default(),
            broken_downloads: Counter::default(),
            connections: Gauge::default(),
        }
    }
}

impl Metrics {
    pub(super) fn answered(&self, endpoint: &'static str, result: &'static str, took: Duration) {
        let labels = Answered { endpoint, result };
        self.answers.get_or_create(&labels).inc();
        let of = self.answer.get_or_create(&Of { endpoint });
        of.observe(took.as_secs_f64());
    }

    pub(super) fn reloaded(&self, what: &'static str, is_taken: bool) {
        let result = if is_taken { "taken" } else { "refused" };
        self.reloads.get_or_create(&Reload { what, result }).inc();
    }

    /// Registers every metric under `tollgate_billing_`.
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tollgate_billing");
        registry.register(
            "answers",
            "answers by endpoint and how it was answered: ok, not_modified, or the error's code",
            self.answers.clone(),
        );
        registry.register_with_unit(
            "answer",
            "from a request's head to the head of its answer",
            Unit::Seconds,
            self.answer.clone(),
        );
        registry.register(
            "reloads",
            "price books and lists of readers that changed, taken or refused",
            self.reloads.clone(),
        );
        registry.register(
            "running",
            "reports, pages and exports that are being made",
            self.running.clone(),
        );
        registry.register(
            "waiting",
            "requests that wait for their turn",
            self.waiting.clone(),
        );
        registry.register(
            "downloads",
            "exports that are being sent",
            self.downloads.clone(),
        );
        registry.register(
            "downloaded_bytes",
            "bytes of exports that were sent",
            self.downloaded_bytes.clone(),
        );
        registry.register(
            "broken_downloads",
            "exports that did not reach their client whole",
            self.broken_downloads.clone(),
        );
        registry.register(
            "connections",
            "connections of clients",
            self.connections.clone(),
        );
    }
}
