//! The producer's life: what a gateway says about its own starts and stops beside its heartbeats, and what others say of one
//! that is no longer heard of.
//!
//! Which of a boot's records is the latest follows from `synced_position`, not from anybody's clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::present;
use crate::id::Boot;
use crate::name::Text;
use crate::time::Micros;
use crate::units::Units;

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
    /// It ended in order, or its journal was recovered after it was killed: nothing comes after its last number.
    Closed,
    /// Its heartbeats stopped without an end in order. A consumer says so; the next heartbeat takes it back.
    Silent,
    /// An operator says that it never comes back, and what may be lost with it at most.
    DeclaredLost,
}

/// What may be lost at most with a producer that is declared lost, as far as the log knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::event::require_all)]
pub struct Exposure {
    /// Numbers that it claimed and that are not in the store.
    pub missing: i64,
    /// Requests that were admitted and open at its last sign of life.
    pub open: i64,
    /// What admission had reserved for those.
    pub reserved_units: Units,
    /// The last sign of life: what it admitted after it, nobody knows. Null where there was none.
    #[serde(deserialize_with = "present")]
    pub known_until_us: Option<Micros>,
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
    /// The producer's journal is safe against a power cut up to here. In what others say of it: the same of the last sign of
    /// life that it stands on; null where there was none.
    #[serde(deserialize_with = "present")]
    pub synced_position: Option<i64>,
    /// The clock of who says it.
    pub clock_us: Micros,
    /// Who says it, where it is not the producer itself.
    #[serde(deserialize_with = "present")]
    pub by: Option<Text>,
    /// Why, in the words of who says it.
    #[serde(deserialize_with = "present")]
    pub why: Option<Text>,
    /// What a declared loss may be at most; null in every other state.
    #[serde(deserialize_with = "present")]
    pub exposure: Option<Exposure>,
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
