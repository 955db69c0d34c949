//! What is counted for each deployment, model, tenant and code; each kind within its cap.

use std::fmt;
use std::sync::atomic::AtomicUsize;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

use super::axes;
use super::capped::Capped;
use super::histogram::{Histogram, REQUEST_US};
use super::table::{Labels, Table};

/// The most deployments that are told apart.
pub const MAX_DEPLOYMENTS: usize = 128;
/// The most models that are told apart.
pub const MAX_MODELS: usize = 256;
/// The most tenants that are told apart.
pub const MAX_TENANTS: usize = 256;
/// The most codes that are told apart.
pub const MAX_DETAILS: usize = 128;

/// A deployment's figures.
#[derive(Debug)]
pub struct Deployment {
    /// Requests by outcome.
    pub requests: Table,
    /// Calls by status.
    pub calls: Table,
    /// Of them, those that were made again.
    pub retried: Table,
    /// Answers of 429 by cause.
    pub throttled: Table,
    /// Time of a call.
    pub seconds: Histogram,
    /// Time to the head of its answer.
    pub first_byte_seconds: Histogram,
    /// Where it runs, as its last record says: on the axis of places.
    pub place: AtomicUsize,
}

impl Deployment {
    /// No figures yet.
    pub fn new() -> Self {
        Self {
            requests: Table::new([axes::outcomes()].into()),
            calls: Table::new([axes::statuses()].into()),
            retried: Table::new([axes::statuses()].into()),
            throttled: Table::new([axes::causes()].into()),
            seconds: Histogram::new(REQUEST_US),
            first_byte_seconds: Histogram::new(REQUEST_US),
            place: AtomicUsize::new(axes::UNKNOWN_PLACE),
        }
    }
}

/// A tenant's figures.
#[derive(Debug)]
pub struct Tenant {
    /// Requests by outcome.
    pub requests: Table,
    /// Units by kind.
    pub units: Table,
    /// Answers of 429 by cause.
    pub throttled: Table,
}

impl Tenant {
    /// No figures yet.
    pub fn new() -> Self {
        Self {
            requests: Table::new([axes::outcomes()].into()),
            units: Table::new([axes::units()].into()),
            throttled: Table::new([axes::causes()].into()),
        }
    }
}

/// A model's units, by kind and source.
pub fn units() -> Table {
    Table::new([axes::units(), axes::sources()].into())
}

/// Requests by outcome.
pub fn outcomes() -> Table {
    Table::new([axes::outcomes()].into())
}

/// How a kind of series is labelled: by its name, and by what is always true of it where that is told.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    /// The label of the name.
    pub name: &'static str,
    /// The label of the kind.
    pub kind: Option<&'static str>,
}

/// One counter of every series of a kind, as one metric.
pub struct Counters<T> {
    /// The series.
    pub series: Capped<T>,
    /// Their labels.
    pub naming: Naming,
    /// Which counter.
    pub pick: fn(&T) -> &Table,
}

/// One histogram of every series of a kind, as one metric.
pub struct Times<T> {
    /// The series.
    pub series: Capped<T>,
    /// Their labels.
    pub naming: Naming,
    /// Which histogram.
    pub pick: fn(&T) -> &Histogram,
}

impl Naming {
    fn labels<'a>(self, name: &'a str, kind: &'a str) -> Labels<'a> {
        let mut labels = vec![(self.name, name)];
        labels.extend(self.kind.map(|label| (label, kind)));
        labels
    }
}

impl<T> fmt::Debug for Counters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters")
            .field("naming", &self.naming)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Times<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Times")
            .field("naming", &self.naming)
            .finish_non_exhaustive()
    }
}

impl<T> EncodeMetric for Counters<T> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.series.try_each(|series| {
            let labels = self
                .naming
                .labels(series.name.as_str(), series.kind.as_str());
            (self.pick)(&series.figures).encode_with(&labels, &mut encoder)
        })
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

impl<T> EncodeMetric for Times<T> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.series.try_each(|series| {
            let labels = self
                .naming
                .labels(series.name.as_str(), series.kind.as_str());
            (self.pick)(&series.figures).encode_with(&labels, &mut encoder)
        })
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
