//! The producer's life: what a gateway says about its own starts and stops, beside its heartbeats.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::present;
use crate::id::Boot;
use crate::name::Text;
use crate::time::Micros;

/// Where in its life a producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProducerState {
    /// Its journal was made: the first start there is.
    Registered,
    /// A start serves.
    Live,
    /// It takes no new requests and ends those that run.
    Draining,
    /// It ended in order: nothing comes after its last number.
    Closed,
}

/// `ai.tollgate.producer.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::event::require_all)]
pub struct ProducerRecord {
    /// The wire version.
    pub wire: Text,
    /// The gateway's lasting identity.
    pub producer: Text,
    /// The start of it that this is about.
    pub boot: Boot,
    /// What it is from now on.
    pub state: ProducerState,
    /// The last `producer_seq` given; null before the first. When closed, nothing comes after it.
    #[serde(deserialize_with = "present")]
    pub last_producer_seq: Option<i64>,
    /// The producer's clock.
    pub clock_us: Micros,
}

impl ProducerRecord {
    /// Encodes the record.
    ///
    /// # Panics
    /// Never: a record holds nothing that JSON cannot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record always has a JSON form")
    }
}
