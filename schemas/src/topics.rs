//! Topics of the log in Kafka: their names, what they must promise, and how a record of the journal stands in them
//! (CloudEvents 1.0, binary mode: attributes in headers, the record's own bytes as the value).
//!
//! Headers are a pure function of the record and of where it was written, so that a reader can make them again and compare.
//! What must not live here: a client of Kafka.

use std::borrow::Cow;

use serde::Deserialize;

use crate::event::UsageEvent;
use crate::id::Boot;
use crate::time::Micros;
use crate::wire::RecordKind;

/// What topics are called unless a prefix is configured: `tollgate.usage.v1`.
pub const DEFAULT_PREFIX: &str = "tollgate.";
/// The version of CloudEvents.
pub const SPEC_VERSION: &str = "1.0";
/// Header: the identity of the record within its source.
pub const CE_ID: &str = "ce_id";
/// Header: `//tollgate/gateway/<producer>`.
pub const CE_SOURCE: &str = "ce_source";
/// Header: the kind of record.
pub const CE_TYPE: &str = "ce_type";
/// Header: when it happened, RFC 3339.
pub const CE_TIME: &str = "ce_time";
/// Header: the tenant.
pub const CE_SUBJECT: &str = "ce_subject";
/// Header: [`SPEC_VERSION`].
pub const CE_SPEC_VERSION: &str = "ce_specversion";
/// Header: which start of the producer wrote the record; an extension attribute.
pub const CE_BOOT: &str = "ce_boot";
/// Header: what the value is.
pub const CONTENT_TYPE: &str = "content-type";
/// The value of [`CONTENT_TYPE`].
pub const JSON: &str = "application/json";

const SOURCE_PREFIX: &str = "//tollgate/gateway/";

/// The topics of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Usage records, and the cuts that consumers append.
    Usage,
    /// Heartbeats and lives of producers.
    Producers,
    /// Admissions of tenants whose records count as kept only when they are replicated: what a lost gateway leaves open.
    Admissions,
    /// Records that nobody could read, each with its reason.
    DeadLetters,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Usage,
        Self::Producers,
        Self::Admissions,
        Self::DeadLetters,
    ];

    /// The name after the prefix.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Usage => "usage.v1",
            Self::Producers => "producers.v1",
            Self::Admissions => "admissions.v1",
            Self::DeadLetters => "dead-letters.v1",
        }
    }

    /// The whole name.
    #[must_use]
    pub fn name(self, prefix: &str) -> String {
        format!("{prefix}{}", self.suffix())
    }

    /// Where records of this kind are published. Cuts of a journal stay in it: each log has its own.
    #[must_use]
    pub fn of(kind: RecordKind) -> Option<Self> {
        match kind {
            RecordKind::Usage => Some(Self::Usage),
            RecordKind::Heartbeat | RecordKind::Producer => Some(Self::Producers),
            RecordKind::Admission => Some(Self::Admissions),
            RecordKind::Cut => None,
        }
    }
}

/// Who wrote a record, and where. Counts only where the record itself does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// The producer whose journal it is.
    pub producer: &'a str,
    /// The start that wrote it.
    pub boot: Boot,
    /// Its place in the journal.
    pub position: u64,
}

/// A record's attributes and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The key: what brings copies of a record into one partition.
    pub key: Cow<'a, str>,
    /// `ce_id`
    pub id: Cow<'a, str>,
    /// `ce_source`
    pub source: String,
    /// `ce_type`
    pub kind: &'static str,
    /// `ce_time`; left out where the record states no time.
    pub time: Option<String>,
    /// `ce_subject`; left out where there is no tenant.
    pub subject: Option<Cow<'a, str>>,
    /// `ce_boot`
    pub boot: String,
}

/// What an envelope takes of a record; the rest is passed over.
#[derive(Default, Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tenant: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    producer: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    boot: Option<Cow<'a, str>>,
    #[serde(default)]
    completed_us: Option<i64>,
    #[serde(default)]
    admitted_us: Option<i64>,
    #[serde(default)]
    clock_us: Option<i64>,
    /// Who speaks of a producer, where it is another.
    #[serde(borrow, default)]
    by: Option<Cow<'a, str>>,
}

impl Head<'_> {
    fn time(&self, kind: RecordKind) -> Option<i64> {
        match kind {
            RecordKind::Usage => self.completed_us,
            RecordKind::Admission => self.admitted_us,
            RecordKind::Heartbeat | RecordKind::Producer => self.clock_us,
            RecordKind::Cut => None,
        }
    }
}

/// The time that a record states of itself, in microseconds since the epoch; none for one that can not be read, or a cut.
#[must_use]
pub fn time_of(kind: RecordKind, bytes: &[u8]) -> Option<Micros> {
    let head: Head<'_> = serde_json::from_slice(bytes).ok()?;
    head.time(kind).map(Micros)
}

/// The envelope of a record. One that can not be read has an envelope too: it is for its reader to say what is wrong with it.
#[must_use]
pub fn envelope<'a>(kind: RecordKind, bytes: &'a [u8], written: Written<'_>) -> Envelope<'a> {
    let head: Head<'a> = serde_json::from_slice(bytes).unwrap_or_default();
    let time = head.time(kind);
    let producer: Cow<'a, str> = head
        .producer
        .unwrap_or_else(|| written.producer.to_owned().into());
    let boot = head
        .boot
        .map_or_else(|| written.boot.to_string(), Cow::into_owned);
    let source = format!("{SOURCE_PREFIX}{producer}");
    let (key, id) = match (kind, head.event_id) {
        (RecordKind::Usage, Some(event_id)) => (event_id.clone(), event_id),
        (RecordKind::Admission, Some(event_id)) => {
            let id = format!("{event_id}/admitted");
            (event_id, id.into())
        }
        // Said of a boot by another, whose own positions are not the boot's.
        (RecordKind::Producer, _) if head.by.is_some() => {
            let at = head.clock_us.unwrap_or_default();
            (producer, format!("{boot}/said/{at}").into())
        }
        _ => (producer, format!("{boot}/{}", written.position).into()),
    };
    Envelope {
        key,
        id,
        source,
        kind: kind.type_name(),
        time: time.and_then(rfc3339),
        subject: head.tenant.filter(|tenant| !tenant.is_empty()),
        boot,
    }
}

/// The envelope of a usage record, from what it was read to be: the same as [`envelope`] of its bytes, without reading them again.
#[must_use]
pub fn envelope_of(event: &UsageEvent) -> Envelope<'_> {
    let id = event.event_id.to_string();
    let tenant = event.tenant.as_str();
    Envelope {
        key: id.clone().into(),
        id: id.into(),
        source: format!("{SOURCE_PREFIX}{}", event.producer),
        kind: RecordKind::Usage.type_name(),
        time: rfc3339(event.completed_us.0),
        subject: (!tenant.is_empty()).then_some(Cow::Borrowed(tenant)),
        boot: event.boot.to_string(),
    }
}

impl Envelope<'_> {
    /// The headers, in the order in which they are written.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, &str)> {
        let mut headers = vec![
            (CE_SPEC_VERSION, SPEC_VERSION),
            (CE_ID, &*self.id),
            (CE_SOURCE, self.source.as_str()),
            (CE_TYPE, self.kind),
        ];
        headers.extend(self.time.as_deref().map(|time| (CE_TIME, time)));
        headers.extend(self.subject.as_deref().map(|tenant| (CE_SUBJECT, tenant)));
        headers.push((CE_BOOT, &self.boot));
        headers.push((CONTENT_TYPE, JSON));
        headers
    }
}

fn rfc3339(micros: i64) -> Option<String> {
    let instant = chrono::DateTime::from_timestamp_micros(Micros(micros).0)?;
    Some(instant.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: Written<'_> = Written {
        producer: "gw-1",
        boot: Boot {
            counter: 3,
            nonce: [0xab; 8],
        },
        position: 17,
    };

    #[test]
    fn a_usage_record_is_keyed_by_its_event_and_keeps_its_time_and_tenant() {
        let bytes = br#"{"wire":"v1","event_id":"e-1","tenant":"ac\"me","received_us":1,"completed_us":1795615674900001}"#;
        let envelope = envelope(RecordKind::Usage, bytes, WRITTEN);
        assert_eq!(envelope.key, "e-1");
        assert_eq!(
            envelope.headers(),
            [
                ("ce_specversion", "1.0"),
                ("ce_id", "e-1"),
                ("ce_source", "//tollgate/gateway/gw-1"),
                ("ce_type", "ai.tollgate.usage.v1"),
                ("ce_time", "2026-11-25T14:07:54.900001Z"),
                ("ce_subject", "ac\"me"),
                ("ce_boot", "3-abababababababab"),
                ("content-type", "application/json"),
            ]
        );
    }

    #[test]
    fn an_admission_and_its_outcome_have_one_key_and_two_identities() {
        let bytes = br#"{"event_id":"e-1","tenant":""}"#;
        let admission = envelope(RecordKind::Admission, bytes, WRITTEN);
        let usage = envelope(RecordKind::Usage, bytes, WRITTEN);
        assert_eq!(admission.key, usage.key);
        assert_ne!(admission.id, usage.id);
        assert_eq!(admission.subject, None);
    }

    #[test]
    fn what_others_say_of_a_boot_has_identities_of_its_own() {
        let own = br#"{"producer":"gw-2","boot":"4-0000000000000000","clock_us":5,"by":null}"#;
        let said = br#"{"producer":"gw-2","boot":"4-0000000000000000","clock_us":5,"by":"ada"}"#;
        let of = |bytes| envelope(RecordKind::Producer, bytes, WRITTEN);
        assert_eq!(&*of(own).id, "4-0000000000000000/17");
        assert_eq!(&*of(said).id, "4-0000000000000000/said/5");
        assert_eq!((&*of(said).key, of(said).time.is_some()), ("gw-2", true));
    }

    #[test]
    fn what_can_not_be_read_is_named_by_its_place() {
        for bytes in [&b""[..], b"\xff", b"{\"event_id\":7}", b"{}"] {
            let envelope = envelope(RecordKind::Usage, bytes, WRITTEN);
            assert_eq!(envelope.id, "3-abababababababab/17");
            assert_eq!(envelope.key, "gw-1");
            assert_eq!(envelope.time, None);
        }
    }

    #[test]
    fn every_kind_has_one_topic_but_the_cut() {
        assert_eq!(Topic::of(RecordKind::Cut), None);
        assert_eq!(
            Topic::of(RecordKind::Heartbeat),
            Topic::of(RecordKind::Producer)
        );
        assert_eq!(Topic::Usage.name(DEFAULT_PREFIX), "tollgate.usage.v1");
    }
}
