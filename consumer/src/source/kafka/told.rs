//! What the member that reads producers' lives is told: which partitions come and go, and from where it is to read them.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use schemas::WIRE_VERSION;

use super::client::{log, shown, token};
use super::cluster;
use super::options::KafkaOptions;
use super::topic_id::topic_id;

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);

/// Hears which partitions come and go.
pub(super) struct Told {
    pub(super) revoked: AtomicBool,
    kafka: KafkaOptions,
    /// The identity of the topic that is read; empty before the first assignment. Offsets are committed with it: those of a topic
    /// that was made anew say nothing of this one.
    topic_id: Mutex<String>,
    /// A partition that was assigned, and from where it is read.
    began: Mutex<(i32, i64)>,
    /// Why it is not known from where to read.
    pub(super) failed: Mutex<Option<String>>,
}

impl ClientContext for Told {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token(self.kafka.token_file().as_ref())
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That all was read is no fault.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::error!(%error, reason, "Kafka, of what producers say");
        }
    }
}

impl ConsumerContext for Told {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let changed = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list)
        } else {
            self.revoked.store(true, Ordering::Release);
            consumer.unassign().map_err(|error| shown(&error))
        };
        if let Err(error) = changed {
            *self.failed.lock() = Some(error);
        }
    }
}

impl Told {
    pub(super) fn new(kafka: KafkaOptions) -> Self {
        Self {
            revoked: AtomicBool::new(false),
            kafka,
            topic_id: Mutex::default(),
            began: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// From what a reader of this version committed of this topic, else from its beginning.
    fn assigned(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
    ) -> Result<(), String> {
        let id = ask_topic_id(consumer, &self.kafka.producers)?;
        cluster::hold_to(consumer.client(), &self.kafka)?;
        let reader = reader_of(&id);
        let committed = consumer.committed_offsets(list.clone(), ASK);
        let committed = committed.map_err(|error| shown(&error))?;
        let mut from = TopicPartitionList::new();
        for element in committed.elements() {
            let at = match element.offset() {
                Offset::Offset(at) if element.metadata() == reader => Offset::Offset(at),
                _ => Offset::Beginning,
            };
            *self.began.lock() = (element.partition(), at.to_raw().unwrap_or(0).max(0));
            from.add_partition_offset(&self.kafka.producers, element.partition(), at)
                .map_err(|error| shown(&error))?;
        }
        tracing::info!(
            topic_id = id,
            partitions = from.count(),
            "what producers say of themselves is read"
        );
        *self.topic_id.lock() = id;
        consumer.assign(&from).map_err(|error| shown(&error))
    }

    /// With what this reader's offsets are committed.
    pub(super) fn reader(&self) -> String {
        reader_of(&self.topic_id())
    }

    /// A partition that was assigned, and from where it is read.
    pub(super) fn began(&self) -> (i32, i64) {
        *self.began.lock()
    }

    pub(super) fn topic_id(&self) -> String {
        self.topic_id.lock().clone()
    }
}

/// Who read as far as is committed. A reader of an older version passes over what a newer producer says of itself, with an alarm; so
/// the next version reads all of it once more.
fn reader_of(topic_id: &str) -> String {
    format!("{topic_id} {WIRE_VERSION}")
}

pub(super) fn ask_topic_id(consumer: &BaseConsumer<Told>, topic: &str) -> Result<String, String> {
    let timeout_ms = i32::try_from(ASK.as_millis()).unwrap_or(i32::MAX);
    topic_id(consumer.client().native_ptr(), topic, timeout_ms)
}
