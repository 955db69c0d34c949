//! From a message of Kafka to a record of the log, and from the client library's words to ours.

use std::error::Error;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use runtime::kafka::TokenFile;
use schemas::topics::{CE_ID, CE_SOURCE, CE_SPEC_VERSION, CE_TYPE, Envelope, Written, envelope};
use schemas::{Boot, RecordKind};

use super::super::{Kept, Record};
use super::letters::REPLAY_OF;
use crate::letters::LetterPlace;

/// Headers without which a record is no event.
const MUST_BE_THERE: [&str; 4] = [CE_SPEC_VERSION, CE_ID, CE_SOURCE, CE_TYPE];
/// Every kind that has a name.
const KINDS: [RecordKind; 5] = [
    RecordKind::Admission,
    RecordKind::Usage,
    RecordKind::Cut,
    RecordKind::Heartbeat,
    RecordKind::Producer,
];

/// A client that only reads or asks: it shows its token where one is wanted.
pub(super) struct Asker(pub Option<TokenFile>);

impl ClientContext for Asker {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka");
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token(self.0.as_ref())
    }
}

impl ConsumerContext for Asker {}

/// The token that is in the file now.
pub(super) fn token(file: Option<&TokenFile>) -> Result<OAuthToken, Box<dyn Error>> {
    let file = file.ok_or("no `token_file` is configured")?;
    let token = file.read(runtime::clock::now_us() / 1_000)?;
    Ok(OAuthToken {
        token: token.text,
        principal_name: token.principal,
        lifetime_ms: token.ends_ms,
    })
}

/// What a message says, and whether its envelope fits.
pub(super) fn record_of(message: &BorrowedMessage<'_>, keeping: Keeping) -> Record {
    let bytes = message.payload().unwrap_or_default();
    let said = |name: &str| {
        let headers = message.headers()?;
        let header = headers.iter().find(|header| header.key == name)?;
        header.value
    };
    let kind = said(CE_TYPE).and_then(kind_of);
    Record {
        offset: message.offset(),
        // What has no kind is judged by what it says.
        kind: kind.unwrap_or(RecordKind::Usage),
        bytes: bytes::Bytes::copy_from_slice(bytes),
        contradiction: contradiction(kind, bytes, message.key(), said),
        kept: (keeping == Keeping::All).then(|| Box::new(kept_of(message))),
        replay_of: said(REPLAY_OF).and_then(letter_of),
    }
}

/// What a record takes along beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// What the rows are made of.
    Bytes,
    /// Key, headers and time too.
    All,
}

fn kept_of(message: &BorrowedMessage<'_>) -> Kept {
    let copied = |bytes: &[u8]| bytes::Bytes::copy_from_slice(bytes);
    let headers = message.headers().into_iter().flat_map(|all| all.iter());
    Kept {
        time_us: message
            .timestamp()
            .to_millis()
            .map(|time_ms| time_ms * 1_000),
        envelope: archive::Envelope {
            key: message.key().map(copied),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(copied)))
                .collect(),
        },
    }
}

/// Which part of an archived record's envelope is not what the record says: judged again as it was when it was read.
pub(crate) fn contradiction_of(envelope: &archive::Envelope, bytes: &[u8]) -> Option<&'static str> {
    let said = |name: &str| {
        let header = envelope.headers.iter().find(|header| header.0 == name)?;
        header.1.as_deref()
    };
    let kind = said(CE_TYPE).and_then(kind_of);
    contradiction(kind, bytes, envelope.key.as_deref(), said)
}

/// The dead letter for which an archived record was put back, as it was read.
pub(crate) fn replay_of(envelope: &archive::Envelope) -> Option<LetterPlace> {
    let mut headers = envelope.headers.iter();
    let header = headers.find(|header| header.0 == REPLAY_OF)?;
    letter_of(header.1.as_deref()?)
}

fn letter_of(said: &[u8]) -> Option<LetterPlace> {
    LetterPlace::parse(std::str::from_utf8(said).ok()?)
}

fn kind_of(said: &[u8]) -> Option<RecordKind> {
    KINDS
        .into_iter()
        .find(|kind| kind.type_name().as_bytes() == said)
}

/// Which part of the envelope is not what the record says. Only of a usage record is all of it known.
fn contradiction<'a>(
    kind: Option<RecordKind>,
    bytes: &[u8],
    key: Option<&[u8]>,
    said: impl Fn(&str) -> Option<&'a [u8]>,
) -> Option<&'static str> {
    if kind != Some(RecordKind::Usage) {
        return kind.is_none().then_some(CE_TYPE);
    }
    let nobody = Written {
        producer: "",
        boot: Boot {
            counter: 0,
            nonce: [0; 8],
        },
        position: 0,
    };
    let wanted: Envelope<'_> = envelope(RecordKind::Usage, bytes, nobody);
    if key != Some(wanted.key.as_bytes()) {
        return Some("key");
    }
    let headers = wanted.headers();
    let differs = headers.iter().find(|(name, value)| match said(name) {
        Some(said) => said != value.as_bytes(),
        None => MUST_BE_THERE.contains(name),
    });
    differs.map(|(name, _)| *name)
}

/// An error without the value of a setting, which may be a secret.
pub(super) fn shown(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, what, name, _) => format!("setting {name}: {what}"),
        other => other.to_string(),
    }
}

/// The client says the same of one fault again and again; what matters is said by us, once.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "Kafka's client");
        }
        _ => tracing::debug!(facility, message, "Kafka's client"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(change: impl Fn(&mut Vec<(&'static str, String)>)) -> Option<&'static str> {
        let event = crate::sample::event(3);
        let bytes = crate::sample::encode(&event);
        let written = Written {
            producer: "gw-9",
            boot: event.boot,
            position: 9,
        };
        let envelope = envelope(RecordKind::Usage, &bytes, written);
        let key = envelope.key.to_string();
        let headers = envelope.headers().into_iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        change(&mut headers);
        let said = |name: &str| {
            let found = headers.iter().find(|(known, _)| *known == name)?;
            Some(found.1.as_bytes())
        };
        contradiction(Some(RecordKind::Usage), &bytes, Some(key.as_bytes()), said)
    }

    #[test]
    fn headers_that_say_what_the_record_says_fit_and_any_other_is_named() {
        assert_eq!(judged(|_| {}), None);
        for name in [
            "ce_id",
            "ce_source",
            "ce_time",
            "ce_subject",
            "ce_boot",
            "ce_specversion",
        ] {
            let changed = judged(|headers| {
                for (known, value) in headers.iter_mut() {
                    if *known == name {
                        value.push('x');
                    }
                }
            });
            assert_eq!(changed, Some(name));
        }
        assert_eq!(judged(|headers| headers.retain(|h| h.0 != "ce_time")), None);
        assert_eq!(
            judged(|headers| headers.retain(|h| h.0 != "ce_id")),
            Some("ce_id")
        );
    }
}
