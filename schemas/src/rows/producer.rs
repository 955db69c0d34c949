//! The rows of `producer_log`: what a producer says of itself, and what is said of one that is silent.
//!
//! A pure function of a record's bytes. What must not live here: which row of a boot is the latest, what is missing.

use bytes::Bytes;
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::macros::row;
use super::parts::{Columns, Raw};
use crate::enums::ProducerKind;
use crate::heartbeat::Heartbeat;
use crate::name::Text;
use crate::producer::{ProducerRecord, ProducerState};
use crate::units::Units;
use crate::wire::{RecordKind, WIRE_VERSION};

impl From<ProducerState> for ProducerKind {
    fn from(state: ProducerState) -> Self {
        match state {
            ProducerState::Registered => Self::Registered,
            ProducerState::Live => Self::Live,
            ProducerState::Draining => Self::Draining,
            ProducerState::Closed => Self::Closed,
            ProducerState::Silent => Self::Silent,
            ProducerState::DeclaredLost => Self::DeclaredLost,
        }
    }
}

row! {
    /// One heartbeat, or one step of a life.
    ProducerRow in "producer_log" {
        /// The gateway.
        producer: Text,
        /// Its start.
        boot: String,
        /// A [`ProducerKind`].
        kind: i8,
        /// The clock of who says it.
        clock: i64,
        /// The last number given.
        last_producer_seq: Option<i64>,
        /// Requests admitted in this boot, as far as it is said; like the next three.
        admitted: Option<i64>,
        /// Of those, closed by a usage event.
        settled: Option<i64>,
        /// Of those, still running.
        open: Option<i64>,
        /// When the oldest running one was received.
        oldest_open: Option<i64>,
        /// Bytes of the journal reserved for outcomes.
        reserved_bytes: Option<i64>,
        /// What admission reserved for the running ones: of a heartbeat, or of the one a declared loss stands on.
        reserved_units: Vec<(Text, i64)>,
        /// How far its journal is safe: the order of a boot's rows.
        synced_position: Option<i64>,
        /// Who says it, where it is not the producer; else empty.
        by_whom: Text,
        /// Why; else empty.
        why: Text,
        /// A declared loss: numbers claimed and not in the store.
        exposure_missing: Option<i64>,
        /// A declared loss: requests that were open at the last sign of life.
        exposure_open: Option<i64>,
        /// A declared loss: that last sign of life.
        exposure_known_until: Option<i64>,
        /// The record, never re-encoded.
        bytes: Raw,
    }
}

/// Why there is no row of a record. The text never holds a value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Written by a newer version: upgrade the reader first.
    #[error("wire version {0} is newer than {WIRE_VERSION}")]
    Newer(String),
    /// Not what its kind says.
    #[error("not a record of {kind} of {WIRE_VERSION}: {place}")]
    Malformed {
        /// The kind by its CloudEvents type.
        kind: &'static str,
        /// Where it is malformed.
        place: String,
    },
    /// A kind of record that says nothing of a producer's life.
    #[error("a record of kind {0} says nothing of a producer's life")]
    WrongKind(&'static str),
}

/// The version, where a record states one.
#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    wire: std::borrow::Cow<'a, str>,
}

impl ProducerRow {
    /// The row of a heartbeat or a step of a life.
    pub fn of(kind: RecordKind, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut row = match kind {
            RecordKind::Heartbeat => Self::from(read(kind, bytes, |bytes| {
                serde_json::from_slice::<Heartbeat>(bytes)
            })?),
            RecordKind::Producer => Self::from(read(kind, bytes, ProducerRecord::decode)?),
            RecordKind::Admission | RecordKind::Usage | RecordKind::Cut => {
                return Err(Unreadable::WrongKind(kind.type_name()));
            }
        };
        row.bytes = Raw(Bytes::copy_from_slice(bytes));
        Ok(row)
    }

    /// What it says.
    #[must_use]
    pub fn kind(&self) -> Option<ProducerKind> {
        let number = u8::try_from(self.kind).ok()?;
        ProducerKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.number() == number)
    }
}

fn read<T>(
    kind: RecordKind,
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, serde_json::Error>,
) -> Result<T, Unreadable> {
    let malformed = |error: &serde_json::Error| Unreadable::Malformed {
        kind: kind.type_name(),
        place: crate::decode::place_of(error),
    };
    let versioned: Versioned<'_> = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
    if crate::decode::is_newer(&versioned.wire) {
        return Err(Unreadable::Newer(Text::cut(&versioned.wire).into()));
    }
    decode(bytes).map_err(|error| malformed(&error))
}

impl From<Heartbeat> for ProducerRow {
    fn from(beat: Heartbeat) -> Self {
        Self {
            admitted: Some(beat.admitted),
            settled: Some(beat.settled),
            open: Some(beat.open),
            oldest_open: beat.oldest_open_us.map(|at| at.0),
            reserved_bytes: Some(beat.reserved_bytes),
            reserved_units: named(&beat.reserved_units),
            last_producer_seq: beat.last_producer_seq,
            synced_position: Some(beat.synced_position),
            ..bare(
                beat.producer,
                beat.boot.to_string(),
                ProducerKind::Heartbeat,
                beat.clock_us.0,
            )
        }
    }
}

impl From<ProducerRecord> for ProducerRow {
    fn from(record: ProducerRecord) -> Self {
        let exposure = record.exposure.as_ref();
        Self {
            last_producer_seq: record.last_producer_seq,
            admitted: record.admitted,
            settled: record.settled,
            open: record.open,
            synced_position: record.synced_position,
            reserved_units: exposure.map_or_else(Vec::new, |lost| named(&lost.reserved_units)),
            exposure_missing: exposure.map(|lost| lost.missing),
            exposure_open: exposure.map(|lost| lost.open),
            exposure_known_until: exposure.and_then(|lost| lost.known_until_us.map(|at| at.0)),
            by_whom: record.by.unwrap_or_default(),
            why: record.why.unwrap_or_default(),
            ..bare(
                record.producer,
                record.boot.to_string(),
                record.state.into(),
                record.clock_us.0,
            )
        }
    }
}

fn bare(producer: Text, boot: String, kind: ProducerKind, clock: i64) -> ProducerRow {
    ProducerRow {
        producer,
        boot,
        kind: i8::try_from(kind.number()).unwrap_or_default(),
        clock,
        last_producer_seq: None,
        admitted: None,
        settled: None,
        open: None,
        oldest_open: None,
        reserved_bytes: None,
        reserved_units: Vec::new(),
        synced_position: None,
        by_whom: Text::default(),
        why: Text::default(),
        exposure_missing: None,
        exposure_open: None,
        exposure_known_until: None,
        bytes: Raw(Bytes::new()),
    }
}

fn named(units: &Units) -> Vec<(Text, i64)> {
    units
        .iter()
        .map(|(unit, count)| (Text::cut(unit.as_str()), count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_read_is_said_without_its_values() {
        let of = |bytes: &[u8]| ProducerRow::of(RecordKind::Heartbeat, bytes).unwrap_err();
        assert_eq!(of(br#"{"wire":"v2"}"#), Unreadable::Newer("v2".to_owned()));
        for noise in [&b""[..], b"null", br#"{"wire":1}"#, br#"{"wire":"vx"}"#] {
            assert!(matches!(of(noise), Unreadable::Malformed { .. }));
        }
        let told = of(br#"{"wire":"v1","producer":"a-secret"}"#).to_string();
        assert!(!told.contains("a-secret"), "{told}");
        assert!(matches!(
            ProducerRow::of(RecordKind::Usage, b"{}"),
            Err(Unreadable::WrongKind(_))
        ));
    }
}
