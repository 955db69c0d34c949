//! What was done to the system, how often, and how it was seen that it bit.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;

/// A fault that did not bite proves nothing: the run is void.
#[derive(Debug)]
pub struct Void {
    /// Which fault.
    pub fault: &'static str,
    /// Why it did not bite.
    pub why: String,
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the run is void: `{}` did not bite: {}",
            self.fault, self.why
        )
    }
}

/// Faults that have bitten, by kind.
#[derive(Debug, Default)]
pub struct Table {
    rows: Mutex<BTreeMap<&'static str, Row>>,
}

#[derive(Debug, Default)]
struct Row {
    times: usize,
    last_seen: String,
}

impl Table {
    /// Notes a fault and how it was seen.
    pub fn bit(&self, fault: &'static str, seen: impl Into<String>) {
        let mut rows = self.rows.lock();
        let row = rows.entry(fault).or_default();
        row.times += 1;
        row.last_seen = seen.into();
    }

    /// How often any has.
    pub fn all(&self) -> usize {
        self.rows.lock().values().map(|row| row.times).sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>5}  {:<44}  seen by (the last one)", "times", "fault")?;
        for (fault, row) in &*self.rows.lock() {
            writeln!(f, "{:>5}  {fault:<44}  {}", row.times, row.last_seen)?;
        }
        Ok(())
    }
}
