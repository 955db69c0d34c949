//! The heartbeat: a producer's sign of life, with the counters that completeness is checked against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::present;
use crate::id::Boot;
use crate::name::Text;
use crate::time::Micros;
use crate::units::Units;

/// `ai.tollgate.heartbeat.v1`, once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::event::require_all)]
pub struct Heartbeat {
    /// The wire version.
    pub wire: Text,
    /// The gateway's lasting identity.
    pub producer: Text,
    /// This start of it.
    pub boot: Boot,
    /// The last `producer_seq` given; null before the first.
    #[serde(deserialize_with = "present")]
    pub last_producer_seq: Option<i64>,
    /// Requests admitted in this boot.
    pub admitted: i64,
    /// Of those, closed by a usage event.
    pub settled: i64,
    /// Of those, still running.
    pub open: i64,
    /// When the oldest running one was received.
    #[serde(deserialize_with = "present")]
    pub oldest_open_us: Option<Micros>,
    /// Bytes of the journal reserved for outcomes.
    pub reserved_bytes: i64,
    /// What admission reserved for the running ones, in units: what they may cost at most.
    pub reserved_units: Units,
    /// The journal is safe against a power cut up to here.
    ///
    /// Each heartbeat is written into that journal, so within a boot this grows from one to the next, whatever the clock does.
    pub synced_position: i64,
    /// How far the producer has read the control log; null where there is none.
    #[serde(deserialize_with = "present")]
    pub control_position: Option<i64>,
    /// The producer's clock.
    pub clock_us: Micros,
}

impl Heartbeat {
    /// Encodes the record.
    ///
    /// # Panics
    /// Never: a record holds nothing that JSON cannot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record always has a JSON form")
    }
}
