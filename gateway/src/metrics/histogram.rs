//! Times in classes, counted without a lock. Held in whole microseconds, shown in seconds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use schemas::Api;

use super::table::{Axis, Labels};

/// Upper bounds of a whole request and of a provider's part, in microseconds.
pub const REQUEST_US: &[i64] = &[
    1_000,
    5_000,
    25_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
];
/// Upper bounds of the gateway's own part, in microseconds.
pub const GATEWAY_US: &[i64] = &[50, 100, 250, 1_000, 5_000, 25_000, 100_000];

/// Times in classes.
#[derive(Debug)]
pub struct Histogram {
    bounds_us: &'static [i64],
    /// One for each bound, and one for what is above all.
    classes: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Histogram {
    /// Classes with these upper bounds, which rise.
    #[must_use]
    pub fn new(bounds_us: &'static [i64]) -> Self {
        Self {
            bounds_us,
            classes: std::iter::repeat_with(AtomicU64::default)
                .take(bounds_us.len() + 1)
                .collect(),
            sum_us: AtomicU64::default(),
        }
    }

    /// Counts a time.
    pub fn observe(&self, us: i64) {
        let class = self.bounds_us.partition_point(|bound| *bound < us);
        if let Some(class) = self.classes.get(class) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(us).unwrap_or(0);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Writes it, if anything was counted.
    #[expect(clippy::cast_precision_loss, reason = "a metric, not a bill")]
    pub fn encode_with(&self, labels: &Labels<'_>, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.bounds_us.iter().map(|us| *us as f64 / 1e6);
        let counts = self.classes.iter().map(|c| c.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        if count == 0 {
            return Ok(());
        }
        let sum = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        let mut encoder = encoder.encode_family(labels)?;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// A histogram for each API. Clones share them.
#[derive(Clone, Debug)]
pub struct ByApi(Arc<[Histogram]>);

impl ByApi {
    /// With these upper bounds.
    #[must_use]
    pub fn new(bounds_us: &'static [i64]) -> Self {
        Self(Api::ALL.iter().map(|_| Histogram::new(bounds_us)).collect())
    }

    /// Counts a time.
    pub fn observe(&self, api: Api, us: i64) {
        if let Some(histogram) = self.0.get(super::axes::place(api.number())) {
            histogram.observe(us);
        }
    }
}

/// A histogram for each value of a short list. Clones share them.
#[derive(Clone, Debug)]
pub struct ByValue {
    axis: Arc<Axis>,
    histograms: Arc<[Histogram]>,
}

impl ByValue {
    /// With these values and upper bounds.
    #[must_use]
    pub fn new(axis: Axis, bounds_us: &'static [i64]) -> Self {
        let histograms = axis.values.iter().map(|_| Histogram::new(bounds_us));
        Self {
            histograms: histograms.collect(),
            axis: Arc::new(axis),
        }
    }

    /// Counts a time of the value at this place of the list.
    pub fn observe(&self, place: usize, us: i64) {
        if let Some(histogram) = self.histograms.get(place) {
            histogram.observe(us);
        }
    }
}

impl EncodeMetric for ByValue {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, histogram) in self.axis.values.iter().zip(self.histograms.iter()) {
            histogram.encode_with(&vec![(self.axis.label, *value)], &mut encoder)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl EncodeMetric for ByApi {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (api, histogram) in Api::ALL.iter().zip(self.0.iter()) {
            histogram.encode_with(&vec![("api", api.as_str())], &mut encoder)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_on_a_bound_is_below_it_and_the_sum_is_exact() {
        let times = ByApi::new(GATEWAY_US);
        for us in [50, 51, 999_999, -1] {
            times.observe(Api::Chat, us);
        }
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("t", "times", times);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"t_bucket{le="0.00005",api="chat"} 2"#,
            r#"t_bucket{le="0.0001",api="chat"} 3"#,
            r#"t_bucket{le="0.1",api="chat"} 3"#,
            r#"t_bucket{le="+Inf",api="chat"} 4"#,
            r#"t_sum{api="chat"} 1.0001"#,
            r#"t_count{api="chat"} 4"#,
        ] {
            assert!(text.lines().any(|given| given == line), "{line}\n{text}");
        }
        assert!(!text.contains("embeddings"));
    }
}
