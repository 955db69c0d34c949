//! Counters by labels of closed lists: one atomic for each combination, laid out once. What was never counted is not
//! shown.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// A label and all its values.
#[derive(Debug)]
pub struct Axis {
    /// The label.
    pub label: &'static str,
    /// Its values, by their number from 0.
    pub values: Vec<&'static str>,
}

/// Counters. Clones share them.
#[derive(Clone, Debug)]
pub struct Table {
    axes: Arc<[Axis]>,
    cells: Arc<[AtomicU64]>,
}

/// Labels that one set of counters has.
pub type Labels<'a> = Vec<(&'a str, &'a str)>;

impl Table {
    /// Counters for every combination of the values.
    #[must_use]
    pub fn new(axes: Arc<[Axis]>) -> Self {
        let cells = axes.iter().map(|axis| axis.values.len()).product();
        Self {
            axes,
            cells: std::iter::repeat_with(AtomicU64::default)
                .take(cells)
                .collect(),
        }
    }

    /// Counts at the place that has one number for each axis.
    pub fn add(&self, place: &[usize], count: u64) {
        debug_assert_eq!(place.len(), self.axes.len(), "one number for each axis");
        let axes = self.axes.iter().zip(place);
        let cell = axes.fold(0, |cell, (axis, at)| cell * axis.values.len() + at);
        if let Some(cell) = self.cells.get(cell) {
            cell.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The labels of a cell.
    fn labels(&self, mut cell: usize) -> Labels<'_> {
        let mut labels = Labels::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            labels.push((axis.label, axis.values[cell % axis.values.len()]));
            cell /= axis.values.len();
        }
        labels.reverse();
        labels
    }

    /// Writes what was counted, with the labels of the whole first.
    pub fn encode_with(&self, whole: &Labels<'_>, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        for (at, cell) in self.cells.iter().enumerate() {
            let count = cell.load(Ordering::Relaxed);
            if count == 0 {
                continue;
            }
            let mut labels = whole.clone();
            labels.extend(self.labels(at));
            let mut encoder = encoder.encode_family(&labels)?;
            encoder.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}

impl EncodeMetric for Table {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.encode_with(&Labels::new(), &mut encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_its_own_counter_and_only_what_was_counted_shows() {
        let axis = |label, values: &[&'static str]| Axis {
            label,
            values: values.to_vec(),
        };
        let table = Table::new([axis("a", &["x", "y"]), axis("b", &["p", "q", "r"])].into());
        table.add(&[1, 2], 5);
        table.add(&[0, 1], 1);
        table.add(&[0, 1], 1);
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("t", "a table", table);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [r#"t_total{a="x",b="q"} 2"#, r#"t_total{a="y",b="r"} 5"#]
        );
    }
}
