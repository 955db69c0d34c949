//! What a consumer sends: cut records into the partition that it reads, records that nobody can read to whoever mends them, and
//! what is said of producers that are no longer heard of. All may be sent twice; none matters for what is counted.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use runtime::kafka::TokenFile;
use schemas::topics::{Written, envelope};
use schemas::wire::CUT_RECORD;
use schemas::{Boot, ProducerRecord, RecordKind, Text};
use tokio::sync::Notify;

use super::client::shown;
use super::letters::CUT_OF;
use super::options::KafkaOptions;
use crate::decode::Rows;

/// So much of a record goes into its letter. No record of a gateway is longer, and the bound of a topic that we made leaves room for
/// headers. Of one that somebody else made it may not: then less goes in.
const MAX_LETTER_BYTES: usize = 1 << 20;
/// A topic that does not take so much takes no letters.
const LEAST_LETTER_BYTES: usize = 512;

/// The sender of a member.
pub(crate) struct Sending {
    producer: ThreadedProducer<Told>,
    topic: String,
    dead_letters: String,
    producers: String,
    member: String,
    boot: Boot,
    sent: AtomicU64,
    /// So much of a record the topic of dead letters has been seen to take.
    letter_bytes: AtomicUsize,
}

/// What is told of a record that nobody can use: where it stands, why, and what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispatch<'a> {
    /// The log, by name and identity.
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub reason: &'a str,
    pub bytes: &'a [u8],
}

/// What became of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Landed {
    All,
    /// One at least is longer than its topic takes.
    TooLong,
    Failed,
}

/// What became of records that were sent together.
#[derive(Debug, Default)]
struct Flight {
    left: AtomicUsize,
    failed: AtomicBool,
    too_long: AtomicBool,
    landed: Notify,
}

impl Flight {
    fn of(records: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(records),
            ..Self::default()
        })
    }

    fn land(&self, error: Option<&KafkaError>) {
        let code = error.and_then(KafkaError::rdkafka_error_code);
        let is_too_long = code == Some(RDKafkaErrorCode::MessageSizeTooLarge);
        self.failed.fetch_or(error.is_some(), Ordering::AcqRel);
        self.too_long.fetch_or(is_too_long, Ordering::AcqRel);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.landed.notify_one();
        }
    }

    async fn end(&self) -> Landed {
        while self.left.load(Ordering::Acquire) > 0 {
            self.landed.notified().await;
        }
        if self.too_long.load(Ordering::Acquire) {
            Landed::TooLong
        } else if self.failed.load(Ordering::Acquire) {
            Landed::Failed
        } else {
            Landed::All
        }
    }
}

struct Told(Option<TokenFile>);

impl ClientContext for Told {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::client::log(level, facility, message);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        super::client::token(self.0.as_ref())
    }
}

impl ProducerContext for Told {
    type DeliveryOpaque = Arc<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Arc<Flight>) {
        let error = result.as_ref().err().map(|(error, _)| error);
        if let Some(error) = error {
            tracing::warn!(
                error = shown(error),
                "a record of the consumer's was not taken"
            );
        }
        flight.land(error);
    }
}

impl Sending {
    pub(crate) fn open(options: &KafkaOptions, member: String, boot: Boot) -> Result<Self, String> {
        let mut config = ClientConfig::new();
        for (name, value) in options.sending() {
            config.set(name, value);
        }
        let producer =
            ThreadedProducer::from_config_and_context(&config, Told(options.token_file()))
                .map_err(|error| shown(&error))?;
        Ok(Self {
            producer,
            topic: options.topic.clone(),
            dead_letters: options.dead_letters.clone(),
            producers: options.producers.clone(),
            member,
            boot,
            sent: AtomicU64::new(0),
            letter_bytes: AtomicUsize::new(MAX_LETTER_BYTES),
        })
    }

    /// Why it sends nothing any more, if so: its numbers and the broker's do not fit, or it may not number. Only another one can.
    pub(crate) fn broken(&self) -> Option<String> {
        let (code, why) = self.producer.client().fatal_error()?;
        Some(format!(
            "the sender of cuts and letters broke ({code}): {why}"
        ))
    }

    /// The first place that a partition keeps, and its end. Asked here, where no answer to the reader is in the way.
    pub(crate) fn bounds(&self, partition: i32, at_most: Duration) -> Result<(i64, i64), String> {
        let client = self.producer.client();
        let bounds = client.fetch_watermarks(&self.topic, partition, at_most);
        bounds.map_err(|error| shown(&error))
    }

    /// Appends a cut record to a partition. Does not wait.
    pub(crate) fn cut(&self, partition: i32) -> Result<(), String> {
        let written = Written {
            producer: &self.member,
            boot: self.boot,
            position: self.sent.fetch_add(1, Ordering::Relaxed),
        };
        let envelope = envelope(RecordKind::Cut, CUT_RECORD, written);
        let record = BaseRecord::with_opaque_to(&self.topic, Flight::of(1))
            .partition(partition)
            .key(envelope.key.as_ref())
            .payload(CUT_RECORD)
            .headers(headers(envelope.headers().into_iter()));
        self.producer
            .send(record)
            .map_err(|(error, _)| shown(&error))
    }

    /// Says something of a producer, beside what it says of itself, and waits until it is taken.
    pub(crate) async fn life_taken(&self, record: &ProducerRecord) -> Result<(), String> {
        let flight = Flight::of(1);
        self.send_life(record, flight.clone())?;
        match flight.end().await {
            Landed::All => Ok(()),
            _ => Err(format!("topic {} did not take it", self.producers)),
        }
    }

    fn send_life(&self, record: &ProducerRecord, flight: Arc<Flight>) -> Result<(), String> {
        let bytes = record.encode();
        let written = Written {
            producer: &self.member,
            boot: self.boot,
            position: self.sent.fetch_add(1, Ordering::Relaxed),
        };
        let envelope = envelope(RecordKind::Producer, &bytes, written);
        let record = BaseRecord::with_opaque_to(&self.producers, flight)
            .key(envelope.key.as_ref())
            .payload(&bytes)
            .headers(headers(envelope.headers().into_iter()));
        self.producer
            .send(record)
            .map_err(|(error, _)| shown(&error))
    }

    /// Sends the unreadable records of a batch, and waits until all are taken.
    pub(crate) async fn dead_letters(&self, rows: &Rows) -> Result<(), String> {
        let place = rows.place();
        let told = rows.unreadable().map(|row| Dispatch {
            topic: place.topic.as_str(),
            partition: place.partition,
            offset: row.offset,
            reason: &row.reason,
            bytes: &row.bytes.0,
        });
        self.letters(&told.collect::<Vec<_>>()).await
    }

    /// Sends letters, and waits until all are taken.
    pub(crate) async fn letters(&self, letters: &[Dispatch<'_>]) -> Result<(), String> {
        let flight = Flight::of(letters.len());
        for letter in letters {
            self.post(letter, flight.clone())?;
        }
        match flight.end().await {
            Landed::All => Ok(()),
            Landed::Failed => Err(format!("topic {} did not take all", self.dead_letters)),
            Landed::TooLong => {
                for letter in letters {
                    self.fit(letter).await?;
                }
                Ok(())
            }
        }
    }

    /// Sends a letter by itself, with less and less of its record until the topic takes it.
    async fn fit(&self, letter: &Dispatch<'_>) -> Result<(), String> {
        loop {
            let flight = Flight::of(1);
            self.post(letter, flight.clone())?;
            let most = self.letter_bytes.load(Ordering::Relaxed);
            match flight.end().await {
                Landed::All => return Ok(()),
                Landed::TooLong if most > LEAST_LETTER_BYTES => {
                    let least = most.min(letter.bytes.len()) / 8 * 7;
                    self.letter_bytes.store(least, Ordering::Relaxed);
                }
                _ => {
                    return Err(format!("topic {} did not take a letter", self.dead_letters));
                }
            }
        }
    }

    fn post(&self, letter: &Dispatch<'_>, flight: Arc<Flight>) -> Result<(), String> {
        let (partition, offset) = (letter.partition.to_string(), letter.offset.to_string());
        let key = format!("{}/{partition}/{offset}", letter.topic);
        let told = [
            ("tollgate_topic", letter.topic),
            ("tollgate_partition", &partition),
            ("tollgate_offset", &offset),
            (super::letters::REASON, letter.reason),
        ];
        let most = self.letter_bytes.load(Ordering::Relaxed);
        let (bytes, cut_of) = payload(letter.bytes, most);
        let cut_of = cut_of.as_deref().map(|length| (CUT_OF, length));
        let record = BaseRecord::with_opaque_to(&self.dead_letters, flight)
            .key(key.as_str())
            .payload(bytes)
            .headers(headers(told.into_iter().chain(cut_of)));
        self.producer
            .send(record)
            .map_err(|(error, _)| shown(&error))
    }
}

/// What of a record goes into its letter, and how long the record is if that is not all: one that no broker would take would hold up
/// its partition for ever.
fn payload(bytes: &[u8], most: usize) -> (&[u8], Option<String>) {
    match bytes.get(..most) {
        Some(first) if bytes.len() > most => (first, Some(bytes.len().to_string())),
        _ => (bytes, None),
    }
}

/// Writes what somebody says of a producer into the log, and waits until the brokers have taken it.
pub async fn say_of_producer(
    options: &KafkaOptions,
    record: &ProducerRecord,
) -> Result<(), String> {
    let who = record.by.as_ref().map_or("", Text::as_str).to_owned();
    let nobody = Boot {
        counter: 0,
        nonce: [0; 8],
    };
    Sending::open(options, who, nobody)?
        .life_taken(record)
        .await
}

fn headers<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> OwnedHeaders {
    pairs.fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_never_longer_than_its_topic_takes_and_says_what_it_lacks() {
        let long = vec![b'x'; (3 << 20) + 1];
        let (bytes, cut_of) = payload(&long, MAX_LETTER_BYTES);
        assert_eq!((bytes.len(), cut_of.as_deref()), (1 << 20, Some("3145729")));
        let (bytes, cut_of) = payload(&long[..1 << 20], MAX_LETTER_BYTES);
        assert_eq!((bytes.len(), cut_of), (1 << 20, None));
        assert_eq!(payload(b"", MAX_LETTER_BYTES), (&b""[..], None));
    }
}
