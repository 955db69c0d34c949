//! A CSV file as columns of numbers. What is drawn of it must not live here.

use std::collections::BTreeMap;
use std::path::Path;

/// Columns by name.
pub(crate) struct Data(BTreeMap<String, Vec<f64>>);

impl Data {
    /// Reads a file, if it is there.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let mut rows = csv::Reader::from_path(path).ok()?;
        let names = rows.headers().expect("a head").clone();
        let mut columns = BTreeMap::<String, Vec<f64>>::new();
        for row in rows.records() {
            let row = row.expect("a row");
            for (name, value) in names.iter().zip(row.iter()) {
                let value = value.parse().expect("a number");
                columns.entry(name.to_owned()).or_default().push(value);
            }
        }
        Some(Self(columns))
    }

    /// One column over another.
    pub(crate) fn points(&self, x: &str, y: &str) -> Vec<(f64, f64)> {
        let column = |name: &str| {
            self.0
                .get(name)
                .unwrap_or_else(|| panic!("no column {name}"))
        };
        column(x)
            .iter()
            .copied()
            .zip(column(y).iter().copied())
            .collect()
    }
}
