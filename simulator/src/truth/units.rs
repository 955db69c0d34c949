//! What was used, in disjoint units, by model. The names are those under which a meter writes them down.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Unit {
    InputText,
    InputCached,
    InputAudio,
    InputImage,
    OutputText,
    OutputReasoning,
    OutputAudio,
    OutputImage,
    Images,
    AudioMs,
    Characters,
    WebSearchCalls,
    FileSearchCalls,
    CodeInterpreterSessions,
}

/// Counts by unit. A part of a total that is zero is left out; the rest of a total is there, zero or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Units(Vec<(Unit, u64)>);

impl Units {
    /// The count of a unit; zero where it is not there.
    pub fn get(&self, unit: Unit) -> u64 {
        let found = self.0.iter().find(|(known, _)| *known == unit);
        found.map_or(0, |(_, count)| *count)
    }

    /// The count, zero or not.
    pub(crate) fn with(mut self, unit: Unit, count: u64) -> Self {
        self.0.push((unit, count));
        self
    }

    /// The count unless it is zero.
    pub(crate) fn with_part(self, unit: Unit, count: u64) -> Self {
        if count == 0 {
            self
        } else {
            self.with(unit, count)
        }
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(unit, count)| (unit, count)))
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counts = BTreeMap::<Unit, u64>::deserialize(deserializer)?;
        Ok(Self(counts.into_iter().collect()))
    }
}

/// What one model of an answer used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseLine {
    /// As the answer names it.
    pub model: Arc<str>,
    /// As the answer reports it; `None` where it reports none.
    pub service_tier: Option<Arc<str>>,
    /// The counts.
    pub units: Units,
}
