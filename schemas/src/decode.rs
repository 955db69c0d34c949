//! From the bytes of a log record to what it says, or to why it says nothing.
//!
//! Pure: the same bytes always give the same answer. A malformed record becomes a dead letter with its
//! reason; a record of a newer version stops the reader, for a dead letter would lose money.

use crate::event::UsageEvent;
use crate::upcast;
use crate::wire::{DRAFT_VERSION, RecordKind, WIRE_VERSION};

/// What a log record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// A request.
    Event(Box<UsageEvent>),
    /// The end of a batch.
    Cut,
    /// Nothing that can be read.
    DeadLetter(DeadLetter),
    /// Written by a newer version: upgrade the reader first.
    Newer(String),
}

/// Why a record could not be read. The text never holds a value of the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetter {
    /// Not JSON, or a field is missing, unknown or of a wrong type.
    #[error("not a usage event of {wire}: {place}")]
    Malformed {
        /// The version that it states.
        wire: &'static str,
        /// Where it is malformed.
        place: String,
    },
    /// Well-formed, but a bound is broken.
    #[error("usage event out of bounds: {0}")]
    OutOfBounds(String),
    /// The record does not say its version.
    #[error("no wire version at the start of the record")]
    NoVersion,
    /// A kind of record that has no place in the usage log.
    #[error("a record of kind {0} has no place in the usage log")]
    WrongKind(&'static str),
    /// Its envelope says something else than the record.
    #[error("the envelope's {0} is missing or contradicts the record")]
    Contradiction(&'static str),
}

/// Reads one record of the usage log.
#[must_use]
pub fn decode(kind: RecordKind, bytes: &[u8]) -> Decoded {
    match kind {
        RecordKind::Cut => Decoded::Cut,
        RecordKind::Usage => decode_usage(bytes),
        RecordKind::Admission | RecordKind::Heartbeat | RecordKind::Producer => {
            Decoded::DeadLetter(DeadLetter::WrongKind(kind.type_name()))
        }
    }
}

fn decode_usage(bytes: &[u8]) -> Decoded {
    let wire = match wire_version(bytes) {
        Some(WIRE_VERSION) => WIRE_VERSION,
        Some(DRAFT_VERSION) => DRAFT_VERSION,
        Some(version) if is_newer(version) => return Decoded::Newer(version.to_owned()),
        _ => return Decoded::DeadLetter(DeadLetter::NoVersion),
    };
    match upcast::read::<UsageEvent>(bytes, upcast::usage) {
        Ok(event) => match event.check() {
            Ok(()) => Decoded::Event(Box::new(event)),
            Err(error) => Decoded::DeadLetter(DeadLetter::OutOfBounds(error.to_string())),
        },
        Err(error) => Decoded::DeadLetter(DeadLetter::Malformed {
            wire,
            place: place_of(&error),
        }),
    }
}

/// Where a record is malformed, without the value that stands there.
pub(crate) fn place_of(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Syntax => "bad JSON",
        serde_json::error::Category::Eof => "ends too early",
        serde_json::error::Category::Data => "a field is missing, unknown or of a wrong type",
        serde_json::error::Category::Io => "unreadable",
    };
    format!("{kind} at byte {}", error.column())
}

/// The version that the record states in its first field.
fn wire_version(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(br#"{"wire":""#)?;
    let end = rest.iter().take(32).position(|b| *b == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// `v2`, `v2-draft`, `v13` …: any well-formed version that is not known here is newer.
pub(crate) fn is_newer(version: &str) -> bool {
    if matches!(version, WIRE_VERSION | DRAFT_VERSION) {
        return false;
    }
    let digits = version
        .strip_prefix('v')
        .map(|rest| rest.split('-').next().unwrap_or(rest));
    digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_stop_the_reader_and_noise_is_a_dead_letter() {
        let read = |text: &str| decode(RecordKind::Usage, text.as_bytes());
        assert_eq!(read(r#"{"wire":"v2"}"#), Decoded::Newer("v2".into()));
        for known in [WIRE_VERSION, DRAFT_VERSION] {
            let Decoded::DeadLetter(reason) = read(&format!(r#"{{"wire":"{known}"}}"#)) else {
                panic!("{known} is known");
            };
            let begin = format!("not a usage event of {known}: ");
            assert!(reason.to_string().starts_with(&begin), "{reason}");
        }
        assert_eq!(
            read(r#"{"wire":"v2-draft","x":1}"#),
            Decoded::Newer("v2-draft".into())
        );
        for noise in [
            "",
            "{}",
            "null",
            r#"{"wire":"vx"}"#,
            r#"{"wire":1}"#,
            r#"{ "wire":"v1"}"#,
        ] {
            assert_eq!(
                read(noise),
                Decoded::DeadLetter(DeadLetter::NoVersion),
                "{noise}"
            );
        }
    }

    #[test]
    fn a_malformed_record_is_named_without_its_values() {
        let Decoded::DeadLetter(reason) = decode(
            RecordKind::Usage,
            br#"{"wire":"v1","event_id":"secret-value"}"#,
        ) else {
            panic!("must be a dead letter");
        };
        assert!(!reason.to_string().contains("secret-value"), "{reason}");
    }

    #[test]
    fn other_kinds_have_no_place_in_the_usage_log() {
        assert!(matches!(
            decode(RecordKind::Admission, b"{}"),
            Decoded::DeadLetter(DeadLetter::WrongKind(_))
        ));
    }
}
