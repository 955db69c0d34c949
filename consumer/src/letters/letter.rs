//! A dead letter: where it stood, what it says, what became of it.

use std::fmt;

/// Where a record stood that nobody could read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterPlace {
    /// The log: the topic's name and identity.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its place in it.
    pub offset: i64,
}

impl LetterPlace {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '/');
        let (offset, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
        let place = Self {
            topic: topic.to_owned(),
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        };
        (!topic.is_empty() && place.offset >= 0 && place.to_string() == text).then_some(place)
    }

    /// What a person types: the begin of the topic's identity, partition and place.
    #[must_use]
    pub fn id(&self) -> String {
        let identity = self.topic.rsplit(':').next().unwrap_or_default();
        let begin: String = identity.chars().take(8).collect();
        format!("{begin}-{}-{}", self.partition, self.offset)
    }
}

impl fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterState {
    /// It waits for somebody.
    Waiting,
    /// Its replay began with these bytes, and may or may not have sent them.
    Begun(Vec<u8>),
    /// These bytes stand in the usage topic, at least there.
    Replayed {
        /// What was put back.
        bytes: Vec<u8>,
        /// The partition.
        partition: i32,
        /// The place.
        offset: i64,
    },
}

impl LetterState {
    /// In a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun(_) => "begun",
            Self::Replayed { .. } => "replayed",
        }
    }
}

/// A record that nobody could read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Where it stood.
    pub place: LetterPlace,
    /// When it was found, in microseconds since the epoch, if that is known.
    pub found_us: Option<i64>,
    /// Why nobody could read it.
    pub reason: String,
    /// What it says, or the first of it.
    pub bytes: Vec<u8>,
    /// How many bytes the record has, if these are only the first: it was too long for the topic of dead letters.
    pub cut_of: Option<u64>,
    /// What became of it.
    pub state: LetterState,
}

impl Letter {
    /// A field that stands in the record's text, readable or not.
    pub(super) fn said(&self, field: &str) -> Option<&str> {
        said(&self.bytes, field)
    }

    /// The event that it seems to be of.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.said("event_id")
    }
}

/// The first `"field":value` of a text that may be no JSON; of a text value what stands between the quotes.
pub(super) fn said<'a>(bytes: &'a [u8], field: &str) -> Option<&'a str> {
    let needle = format!("\"{field}\":");
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle.as_bytes())?;
    let rest = bytes.get(at + needle.len()..)?.trim_ascii_start();
    let (rest, is_end): (_, fn(&u8) -> bool) = match rest.split_first() {
        Some((b'"', text)) => (text, |byte| *byte == b'"'),
        _ => (rest, |byte| !byte.is_ascii_digit()),
    };
    let end = rest.iter().position(is_end)?;
    std::str::from_utf8(&rest[..end])
        .ok()
        .filter(|said| !said.is_empty())
}

/// The class of a reason, as the metric of dead letters has it.
#[must_use]
pub fn class_of(reason: &str) -> &'static str {
    [
        ("not a usage event", "malformed"),
        ("usage event out of bounds", "out_of_bounds"),
        ("no wire version", "no_version"),
        ("a record of kind", "wrong_kind"),
        ("the envelope's", "contradiction"),
        ("refused by the store", "refused"),
    ]
    .into_iter()
    .find(|(begin, _)| reason.starts_with(begin))
    .map_or("other", |(_, class)| class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::label;
    use schemas::DeadLetter;

    #[test]
    fn a_place_is_read_back_and_named_shortly() {
        let place = LetterPlace {
            topic: "t.usage.v1:0a1b2c3d4e5f".into(),
            partition: 3,
            offset: 17,
        };
        assert_eq!(LetterPlace::parse(&place.to_string()), Some(place.clone()));
        assert_eq!(place.id(), "0a1b2c3d-3-17");
        for bad in ["", "t/1", "/1/2", "t/x/2", "t/1/-2", "t/1/02"] {
            assert_eq!(LetterPlace::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_field_is_found_in_what_is_no_json() {
        let text = br#"{"wire":"v1","event_id":"e-1","producer_seq":42,"boot":"#;
        assert_eq!(said(text, "event_id"), Some("e-1"));
        assert_eq!(said(text, "producer_seq"), Some("42"));
        assert_eq!(said(text, "boot"), None);
        assert_eq!(said(b"noise", "event_id"), None);
    }

    #[test]
    fn every_reason_has_the_class_that_the_metric_has() {
        for reason in [
            DeadLetter::Malformed {
                wire: schemas::WIRE_VERSION,
                place: "x".into(),
            },
            DeadLetter::OutOfBounds("x".into()),
            DeadLetter::NoVersion,
            DeadLetter::WrongKind("k"),
            DeadLetter::Contradiction("ce_id"),
        ] {
            assert_eq!(class_of(&reason.to_string()), label(&reason));
        }
    }
}
