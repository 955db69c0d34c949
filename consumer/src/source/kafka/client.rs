//! From a message of Kafka to a record of the log, and from the client library's words to ours.

use std::error::Error;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use runtime::kafka::TokenFile;
use schemas::RecordKind;
use schemas::topics::CE_TYPE;

use super::super::{Kept, Record, Stated};
use super::letters::REPLAY_OF;
use crate::letters::LetterPlace;

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

/// What a message says, and what its envelope states of it.
pub(super) fn record_of(message: &BorrowedMessage<'_>, keeping: Keeping) -> Record {
    let bytes = message.payload().unwrap_or_default();
    let (mut kind, mut replayed) = (None, None);
    // Of a name that stands twice, the first counts.
    let headers = message.headers().into_iter().flat_map(|all| all.iter());
    let headers = headers.map(|header| {
        match header.key {
            CE_TYPE => {
                kind.get_or_insert(header.value);
            }
            REPLAY_OF => {
                replayed.get_or_insert(header.value);
            }
            _ => {}
        }
        (header.key, header.value)
    });
    let stated = Stated::of(message.key(), headers);
    let kind = kind.flatten().and_then(kind_of);
    Record {
        offset: message.offset(),
        // What has no kind is judged by what it says.
        kind: kind.unwrap_or(RecordKind::Usage),
        bytes: bytes::Bytes::copy_from_slice(bytes),
        stated: Some(Box::new(stated)),
        kept: (keeping == Keeping::All).then(|| Box::new(kept_of(message))),
        replay_of: replayed.flatten().and_then(letter_of),
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

/// What an archived record's envelope states of it: judged again as it was when it was read.
pub(crate) fn stated_in(envelope: &archive::Envelope) -> Stated {
    let headers = envelope.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_deref()));
    Stated::of(envelope.key.as_deref(), headers)
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
