//! The topic of dead letters from outside of the group: reads it to its end, appends what becomes of a letter, and puts a record
//! back at the end of the usage topic. Calls block. Which bytes go back is decided in `letters`.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use runtime::kafka::TokenFile;
use schemas::topics::{Written, envelope};
use schemas::{Boot, RecordKind};

use super::client::{Asker, log, shown, token};
use super::damage::{is_damage, words};
use super::options::KafkaOptions;
use super::topic_id::topic_id;
use crate::letters::{Entry, Letter, LetterPlace, LetterState, fold};

/// Header of a record that was put back: the letter for which.
pub(super) const REPLAY_OF: &str = "tollgate_replay_of";
/// Header of a dead letter: why.
pub(super) const REASON: &str = "tollgate_reason";
/// Header of a dead letter that is too long for its topic: how many bytes the record has. The letter has the first of them; all
/// are in the log, and in `audit_log`.
pub(super) const CUT_OF: &str = "tollgate_cut_of";
/// Header in the topic of dead letters: how far a replay is.
const REPLAY: &str = "tollgate_replay";
const BEGUN: &str = "begun";
const DONE: &str = "done";
/// Header of a replay that is done: where the record came to stand, as `partition/offset`.
const REPLAYED_TO: &str = "tollgate_replayed_to";

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Where a record came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The place.
    pub offset: i64,
}

/// A record as it stands in the usage topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its key.
    pub key: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
}

/// Takes what became of a record that was sent.
struct Told(Option<TokenFile>);

impl ClientContext for Told {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token(self.0.as_ref())
    }
}

impl ProducerContext for Told {
    type DeliveryOpaque = Arc<SyncSender<Result<Delivered, String>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, tell: Self::DeliveryOpaque) {
        let result = match result {
            Ok(message) => Ok(Delivered {
                partition: message.partition(),
                offset: message.offset(),
            }),
            Err((error, _)) => Err(shown(error)),
        };
        // Who does not wait any more does not want to know.
        drop(tell.try_send(result));
    }
}

/// Reads and writes dead letters.
pub struct LetterBox {
    options: KafkaOptions,
    asker: BaseConsumer<Asker>,
    sender: ThreadedProducer<Told>,
}

impl LetterBox {
    /// Connects when it is asked.
    pub fn open(options: KafkaOptions) -> Result<Self, String> {
        let mut config = ClientConfig::new();
        for (name, value) in options.reading() {
            config.set(name, value);
        }
        // The client asks for a group's name and joins none: partitions are assigned by hand.
        config.set("group.id", format!("{}.letters", options.group));
        // The last places may hold no record: the markers of transactions do not come.
        config.set("enable.partition.eof", "true");
        let asker = Asker(options.token_file());
        let asker =
            BaseConsumer::from_config_and_context(&config, asker).map_err(|error| shown(&error))?;
        let mut config = ClientConfig::new();
        for (name, value) in options.sending() {
            config.set(name, value);
        }
        // Copies of a record stand in one partition.
        config.set("partitioner", "murmur2_random");
        let told = Told(options.token_file());
        let sender = ThreadedProducer::from_config_and_context(&config, told)
            .map_err(|error| shown(&error))?;
        Ok(Self {
            options,
            asker,
            sender,
        })
    }

    /// Every letter that the topic keeps.
    pub fn letters(&self) -> Result<Vec<Letter>, String> {
        // A token is shown in a poll.
        drop(self.asker.poll(POLL));
        let topic = &self.options.dead_letters;
        let metadata = self.asker.fetch_metadata(Some(topic), ASK);
        let metadata = metadata.map_err(|error| shown(&error))?;
        let found = metadata.topics().first();
        let found = found.filter(|found| found.error().is_none());
        let partitions = found.ok_or_else(|| format!("there is no topic {topic}"))?;
        let mut entries = Vec::new();
        for partition in partitions.partitions() {
            let (low, high) = self.bounds(topic, partition.id())?;
            self.read(topic, partition.id(), low, high, |message| {
                entries.extend(entry_of(message));
            })?;
        }
        fold(entries).map_err(|error| error.to_string())
    }

    /// A letter's record as it stands in the usage topic, if it still does.
    pub fn original(&self, place: &LetterPlace) -> Result<Option<Original>, String> {
        let usage = &self.options.topic;
        let timeout_ms = i32::try_from(ASK.as_millis()).unwrap_or(i32::MAX);
        let id = topic_id(self.asker.client().native_ptr(), usage, timeout_ms)?;
        if place.topic != format!("{usage}:{id}") {
            return Ok(None);
        }
        let (low, high) = self.bounds(usage, place.partition)?;
        if place.offset < low || place.offset >= high {
            return Ok(None);
        }
        let mut original = None;
        self.read(
            usage,
            place.partition,
            place.offset,
            place.offset + 1,
            |message| {
                original = Some(Original {
                    key: text(message.key().unwrap_or_default()),
                    headers: headers_of(message).into_iter().collect(),
                });
            },
        )?;
        Ok(original)
    }

    /// Notes that these bytes are about to go back for a letter; gives the letter as the topic then has it: the first who noted
    /// that decides.
    pub fn begin(&self, letter: &Letter, bytes: &[u8]) -> Result<Letter, String> {
        if letter.state == LetterState::Waiting {
            let begun = [(REPLAY, BEGUN)];
            let key = letter.place.to_string();
            self.send(&self.options.dead_letters, &key, bytes, &begun)?;
        }
        let mut letters = self.letters()?.into_iter();
        let found = letters.find(|found| found.place == letter.place);
        found.ok_or_else(|| "the letter is not kept any more".to_owned())
    }

    /// Appends a record to the usage topic, as a gateway's publisher would, with a word for which letter.
    pub fn put_back(&self, place: &LetterPlace, bytes: &[u8]) -> Result<Delivered, String> {
        let nobody = Written {
            producer: "",
            boot: Boot {
                counter: 0,
                nonce: [0; 8],
            },
            position: 0,
        };
        let envelope = envelope(RecordKind::Usage, bytes, nobody);
        let place = place.to_string();
        let mut headers = envelope.headers();
        headers.push((REPLAY_OF, &place));
        self.send(&self.options.topic, &envelope.key, bytes, &headers)
    }

    /// Notes that it is done.
    pub fn finish(&self, place: &LetterPlace, to: Delivered) -> Result<(), String> {
        let to = format!("{}/{}", to.partition, to.offset);
        let done = [(REPLAY, DONE), (REPLAYED_TO, to.as_str())];
        let key = place.to_string();
        self.send(&self.options.dead_letters, &key, b"", &done)?;
        Ok(())
    }

    fn send(
        &self,
        topic: &str,
        key: &str,
        bytes: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Delivered, String> {
        let (tell, told) = sync_channel(1);
        let all = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header {
                    key,
                    value: Some(*value),
                })
            });
        let record = BaseRecord::with_opaque_to(topic, Arc::new(tell))
            .key(key)
            .payload(bytes)
            .headers(all);
        let sent = self.sender.send(record);
        sent.map_err(|(error, _)| shown(&error))?;
        // The client gives up by itself before that.
        told.recv_timeout(ASK * 3)
            .map_err(|_| format!("topic {topic} did not take a record in time"))?
            .map_err(|error| format!("topic {topic} took no record: {error}"))
    }

    fn bounds(&self, topic: &str, partition: i32) -> Result<(i64, i64), String> {
        let bounds = self.asker.fetch_watermarks(topic, partition, ASK);
        bounds.map_err(|error| shown(&error))
    }

    /// Reads a stretch of a partition.
    fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        end: i64,
        mut take: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<(), String> {
        if from >= end {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(from))
            .map_err(|error| shown(&error))?;
        self.asker.assign(&list).map_err(|error| shown(&error))?;
        let mut deadline = Instant::now() + ASK;
        let mut next = from;
        while next < end {
            if Instant::now() >= deadline {
                return Err(format!(
                    "offset {next} of partition {partition} of {topic} did not come"
                ));
            }
            let message = match self.asker.poll(POLL) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(of))) if of == partition => break,
                // What is behind it follows nothing.
                Some(Err(error)) if is_damage(&error) => {
                    return Err(format!("{topic}: {}", words(partition, next)));
                }
                Some(Err(_)) | None => continue,
            };
            deadline = Instant::now() + ASK;
            next = message.offset() + 1;
            if message.offset() < end {
                take(&message);
            }
        }
        self.asker.unassign().map_err(|error| shown(&error))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn headers_of(message: &BorrowedMessage<'_>) -> BTreeMap<String, String> {
    let headers = message.headers().into_iter();
    let headers = headers.flat_map(Headers::iter);
    headers
        .map(|header| {
            (
                header.key.to_owned(),
                text(header.value.unwrap_or_default()),
            )
        })
        .collect()
}

/// What a record of the topic of dead letters says; nothing where it is none of ours.
fn entry_of(message: &BorrowedMessage<'_>) -> Option<Entry> {
    let place = LetterPlace::parse(std::str::from_utf8(message.key()?).ok()?)?;
    let headers = headers_of(message);
    let bytes = message.payload().unwrap_or_default().to_vec();
    match headers.get(REPLAY).map(String::as_str) {
        Some(BEGUN) => Some(Entry::Begun { place, bytes }),
        Some(DONE) => {
            let (partition, offset) = headers.get(REPLAYED_TO)?.split_once('/')?;
            Some(Entry::Replayed {
                place,
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        }
        Some(_) => None,
        None => Some(Entry::Found {
            place,
            at_us: message
                .timestamp()
                .to_millis()
                .map(|time_ms| time_ms * 1_000),
            reason: headers.get(REASON)?.clone(),
            bytes,
            cut_of: headers.get(CUT_OF).and_then(|length| length.parse().ok()),
        }),
    }
}
