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
use crate::upcast;

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

impl ProducerState {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::DeclaredLost => "declared_lost",
        }
    }
}

impl std::fmt::Display for ProducerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the records of a boot say together. Positions are [`ProducerRecord::synced_position`]; -1 stands for a record without
/// one, `None` for no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last heartbeat.
    pub heard: Option<i64>,
    /// The last heartbeat about which somebody said that silence followed it.
    pub silent: Option<i64>,
    /// The last heartbeat that a declared loss stands on.
    pub lost: Option<i64>,
    /// It said that it takes no new requests.
    pub is_draining: bool,
    /// It said that nothing follows.
    pub is_closed: bool,
}

impl Standing {
    /// Takes in what other records of the boot say.
    pub fn merge(&mut self, other: &Self) {
        self.heard = self.heard.max(other.heard);
        self.silent = self.silent.max(other.silent);
        self.lost = self.lost.max(other.lost);
        self.is_draining |= other.is_draining;
        self.is_closed |= other.is_closed;
    }

    /// What the boot is: a heartbeat after a silence or a declared loss takes that back.
    #[must_use]
    pub fn state(&self) -> ProducerState {
        let holds = |said: Option<i64>| said.is_some() && said >= self.heard;
        if holds(self.lost) {
            ProducerState::DeclaredLost
        } else if self.is_closed {
            ProducerState::Closed
        } else if holds(self.silent) {
            ProducerState::Silent
        } else if self.is_draining {
            ProducerState::Draining
        } else if self.heard.is_some() {
            ProducerState::Live
        } else {
            ProducerState::Registered
        }
    }
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
    /// Requests admitted in this boot; null in what others say of it, like the next two.
    #[serde(deserialize_with = "present")]
    pub admitted: Option<i64>,
    /// Of those, closed by a usage event of this boot.
    #[serde(deserialize_with = "present")]
    pub settled: Option<i64>,
    /// Of those, neither: still running, or, where a later start closes this one, left open and closed by that one as unknown.
    #[serde(deserialize_with = "present")]
    pub open: Option<i64>,
    /// The producer's journal is safe against a power cut up to here. In what others say of it: the same of the last sign of
    /// life that it stands on; null where there was none.
    #[serde(deserialize_with = "present")]
    pub synced_position: Option<i64>,
    /// The clock of who says it.
    pub clock_us: Micros,
    /// Who says it, where it is not this start itself: a later one of the producer (its boot), a consumer, an operator.
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

    /// Reads the record, as an older draft wrote it, too: what that does not say is null. The error is that of the record as it is.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        upcast::read(bytes, upcast::life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_takes_back_what_was_said_before_it_and_an_end_in_order_does_not_come_back() {
        let mut boot = Standing::default();
        assert_eq!(boot.state(), ProducerState::Registered);
        let heard = |position| Standing {
            heard: Some(position),
            ..Standing::default()
        };
        boot.merge(&heard(4));
        assert_eq!(boot.state(), ProducerState::Live);
        boot.silent = Some(4);
        assert_eq!(boot.state(), ProducerState::Silent);
        boot.merge(&heard(5));
        boot.merge(&heard(2));
        assert_eq!(boot.state(), ProducerState::Live);
        boot.lost = Some(5);
        assert_eq!(boot.state(), ProducerState::DeclaredLost);
        boot.merge(&heard(6));
        boot.is_draining = true;
        assert_eq!(boot.state(), ProducerState::Draining);
        boot.is_closed = true;
        boot.silent = Some(9);
        assert_eq!(boot.state(), ProducerState::Closed);
    }
}
