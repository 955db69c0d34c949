//! What the watch found, for operators: which numbers are missing, who is silent. Only news, no decisions.

use std::sync::Arc;

use parking_lot::RwLock;
use serde::Serialize;

/// The most gaps that are shown; all are counted.
pub(crate) const MAX_SHOWN: usize = 1_000;

/// Numbers that were claimed and are not in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Whose.
    pub producer: String,
    /// Of which start.
    pub boot: String,
    /// The first missing number.
    pub first: i64,
    /// The last.
    pub last: i64,
}

/// What is known of a start of a producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProducerNews {
    /// Who.
    pub producer: String,
    /// Which start.
    pub boot: String,
    /// What it is.
    pub state: String,
    /// The last number that it claims; null before the first.
    pub claimed: Option<i64>,
    /// Every number up to here was looked for; null before the first.
    pub checked: Option<i64>,
}

/// The state of the watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether this process watches. Of a group one member does: the one that reads partition 0 of the producers' topic.
    pub watching: bool,
    /// Looks that came to an end.
    pub looks: u64,
    /// Numbers that are missing.
    pub missing: i64,
    /// Which.
    pub gaps: Vec<Gap>,
    /// Producers of which something is expected.
    pub producers: Vec<ProducerNews>,
}

/// Where the report stands; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<RwLock<Report>>);

impl Board {
    pub(crate) fn show(&self, report: Report) {
        *self.0.write() = report;
    }

    pub(crate) fn read(&self) -> Report {
        self.0.read().clone()
    }

    /// Somebody else watches.
    pub(crate) fn leave(&self) {
        self.0.write().watching = false;
    }
}

impl Report {
    /// As JSON, for `/gaps`.
    #[must_use]
    pub fn json(&self) -> String {
        // It holds nothing that JSON can not.
        serde_json::to_string(self).unwrap_or_default()
    }
}
