//! The wire version and the kinds of record a log can hold.
//!
//! Version 1 is frozen: its records keep their fields, their order and their meaning, and are only followed by version 2.
//! `golden/` has their bytes.

/// The version that every record states in its `wire` field.
pub const WIRE_VERSION: &str = "v1";

/// What came before it. Its records are read for ever, and written no more.
pub const DRAFT_VERSION: &str = "v1-draft";

/// The largest encoded usage event, in bytes: what an admission reserves in the journal.
pub const MAX_EVENT_BYTES: usize = 16 * 1024;

/// What a frame of the journal holds. The number is the frame's kind byte and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A request was admitted; closed by the usage event of the same id. Journal only.
    Admission = 1,
    /// `ai.tollgate.usage.v1`: the one record of a request. Published.
    Usage = 2,
    /// `ai.tollgate.cut.v1`: a batch ends here. Published.
    Cut = 3,
    /// `ai.tollgate.heartbeat.v1`: a sign of life with counters. Its own topic.
    Heartbeat = 4,
    /// `ai.tollgate.producer.v1`: a start or a stop. In the heartbeats' topic.
    Producer = 5,
}

impl RecordKind {
    /// The kind of a frame's kind byte; `None` for a byte that this version does not know.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Admission),
            2 => Some(Self::Usage),
            3 => Some(Self::Cut),
            4 => Some(Self::Heartbeat),
            5 => Some(Self::Producer),
            _ => None,
        }
    }

    /// Whether records of this kind are part of the usage log that consumers read.
    #[must_use]
    pub fn is_published(self) -> bool {
        matches!(self, Self::Usage | Self::Cut)
    }

    /// The CloudEvents `type`, or the name of a record that stays in the journal.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Admission => "ai.tollgate.admission.v1",
            Self::Usage => "ai.tollgate.usage.v1",
            Self::Cut => "ai.tollgate.cut.v1",
            Self::Heartbeat => "ai.tollgate.heartbeat.v1",
            Self::Producer => "ai.tollgate.producer.v1",
        }
    }
}

/// The bytes of a cut record. Its place in the log is the message.
pub const CUT_RECORD: &[u8] = br#"{"wire":"v1"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_bytes_round_trip_and_unknown_bytes_are_refused() {
        for kind in [
            RecordKind::Admission,
            RecordKind::Usage,
            RecordKind::Cut,
            RecordKind::Heartbeat,
            RecordKind::Producer,
        ] {
            assert_eq!(RecordKind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!(RecordKind::from_byte(0), None);
        assert_eq!(RecordKind::from_byte(200), None);
    }

    #[test]
    fn the_cut_record_states_the_wire_version() {
        assert!(String::from_utf8_lossy(CUT_RECORD).contains(WIRE_VERSION));
    }
}
