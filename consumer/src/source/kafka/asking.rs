//! Reading a stretch of a partition again, for a repair: a client of its own, part of no group. Blocks while it waits for a broker.

use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::super::{Read, Record, SourceError};
use super::client::{Asker, Keeping, record_of, shown};
use super::damage::{is_damage, words};
use super::options::KafkaOptions;
use super::queue::CERTAIN_AFTER;
use super::topic_id::topic_id;
use crate::order::{Delivered, Order};

/// A record that was there must come again within this.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
/// How often it is asked whether a place is gone.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Reads a stretch again.
pub(crate) struct Again {
    consumer: Result<BaseConsumer<Asker>, String>,
    options: KafkaOptions,
    /// The identity of the topic that is meant, where that is known.
    topic_id: Option<String>,
    partition: i32,
    order: Order,
    /// The place after the last that can be read.
    end: i64,
    /// The place before which records were missing once already.
    gap: Option<i64>,
    /// The record behind a hole that was told.
    behind: Option<Record>,
}

impl Again {
    pub(crate) fn new(
        options: &KafkaOptions,
        topic_id: Option<&str>,
        partition: i32,
        from: i64,
        end: i64,
    ) -> Self {
        Self {
            consumer: open_topic(options, topic_id, partition, from),
            options: options.clone(),
            topic_id: topic_id.map(str::to_owned),
            partition,
            order: Order::from(from),
            end,
            gap: None,
            behind: None,
        }
    }

    pub(crate) fn position(&self) -> i64 {
        self.order.next()
    }

    /// A place may have no record, the last too: a transaction's marker, or what was aborted. Who has read beyond it has read it.
    pub(crate) fn read(&mut self) -> Result<Read, SourceError> {
        if let Some(record) = self.behind.take() {
            self.order = Order::from(record.offset + 1);
            return Ok(Read::Record(record));
        }
        let wanted = self.order.next();
        if wanted >= self.end {
            return Ok(Read::CaughtUp);
        }
        let mut deadline = Instant::now() + PATIENCE;
        let (mut gone_since, mut is_damaged) = (None, false);
        while Instant::now() < deadline {
            let consumer = self.consumer.as_ref();
            let consumer = consumer.map_err(|error| SourceError::Failed(error.clone()))?;
            let found = match consumer.poll(POLL) {
                Some(Ok(message)) => Some(record_of(&message, Keeping::Bytes)),
                Some(Err(KafkaError::PartitionEOF(_))) => None,
                Some(Err(error)) if is_out_of_range(&error) || is_damage(&error) => {
                    // It is there, and not lost. Another replica may give it; and a connection may garble something once.
                    is_damaged |= is_damage(&error);
                    if !is_damage(&error) {
                        self.is_gone(consumer, &mut gone_since, &mut deadline)?;
                    }
                    std::thread::park_timeout(ASK_EVERY);
                    // The client reads no further from there, or what it gives next follows nothing.
                    let topic_id = self.topic_id.as_deref();
                    self.consumer = open_topic(&self.options, topic_id, self.partition, wanted);
                    continue;
                }
                // Passing faults are retried by the client itself; one that stays ends the patience.
                Some(Err(_)) | None => continue,
            };
            if let Some(record) = &found {
                match self.order.take(record.offset) {
                    Delivered::Next => return Ok(found.map_or(Read::CaughtUp, Read::Record)),
                    Delivered::Again => continue,
                    Delivered::TooFar { .. } => {}
                }
            }
            let is_hole = !is_damaged
                && self.gap == Some(wanted)
                && (found.is_some()
                    || is_at_end(consumer, &self.options.topic, self.partition, self.end));
            if is_hole {
                let found = found.filter(|record| record.offset < self.end);
                let next = found.as_ref().map_or(self.end, |record| record.offset);
                self.order = Order::from(next);
                self.behind = found;
                return Ok(Read::Lost {
                    first: wanted,
                    next,
                });
            }
            // Looked at twice, as by the member of a group.
            self.seek(consumer, wanted)?;
            self.gap = Some(wanted);
        }
        if is_damaged {
            return Err(SourceError::Failed(words(self.partition, wanted)));
        }
        Err(SourceError::Failed(format!(
            "offset {wanted} did not come within {} s",
            PATIENCE.as_secs()
        )))
    }

    /// An error if the log is known for long to begin behind the place that is wanted. It needs more time to be known.
    fn is_gone(
        &self,
        consumer: &BaseConsumer<Asker>,
        gone_since: &mut Option<Instant>,
        deadline: &mut Instant,
    ) -> Result<(), SourceError> {
        let wanted = self.order.next();
        match consumer.fetch_watermarks(&self.options.topic, self.partition, PATIENCE) {
            Ok((first, _)) if first > wanted => {
                let now = Instant::now();
                let since = *gone_since.get_or_insert_with(|| {
                    *deadline = now + CERTAIN_AFTER + PATIENCE;
                    now
                });
                if now.duration_since(since) >= CERTAIN_AFTER {
                    return Err(SourceError::Retired { wanted, first });
                }
            }
            // A broker that has just taken over may be behind.
            Ok(_) => *gone_since = None,
            Err(_) => {}
        }
        Ok(())
    }

    fn seek(&self, consumer: &BaseConsumer<Asker>, to: i64) -> Result<(), SourceError> {
        let sought = consumer.seek(
            &self.options.topic,
            self.partition,
            Offset::Offset(to),
            PATIENCE,
        );
        sought.map_err(|error| SourceError::Failed(shown(&error)))
    }
}

/// Whether the broker has no such place.
pub(super) fn is_out_of_range(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}

/// Whether the log still reaches to `end`: a broker that has just taken over may not know all of it for a moment.
fn is_at_end(consumer: &BaseConsumer<Asker>, topic: &str, partition: i32, end: i64) -> bool {
    let bounds = consumer.fetch_watermarks(topic, partition, PATIENCE);
    bounds.is_ok_and(|(_, high)| high >= end)
}

fn open(options: &KafkaOptions, partition: i32, from: i64) -> Result<BaseConsumer<Asker>, String> {
    let mut config = ClientConfig::new();
    for (name, value) in options.reading() {
        config.set(name, value);
    }
    // The client asks for a group's name and joins none: partitions are assigned by hand.
    config.set("group.id", format!("{}.again", options.group));
    // The end of the log is told, which may be behind a place that has no record.
    config.set("enable.partition.eof", "true");
    let asker = Asker(options.token_file());
    let consumer =
        BaseConsumer::from_config_and_context(&config, asker).map_err(|error| shown(&error))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&options.topic, partition, Offset::Offset(from))
        .map_err(|error| shown(&error))?;
    consumer.assign(&list).map_err(|error| shown(&error))?;
    Ok(consumer)
}

/// The same of the topic that is meant: one that was made anew, or is another cluster's, has other records in these places.
fn open_topic(
    options: &KafkaOptions,
    topic_id: Option<&str>,
    partition: i32,
    from: i64,
) -> Result<BaseConsumer<Asker>, String> {
    let consumer = open(options, partition, from)?;
    if let Some(meant) = topic_id {
        let found = ask_topic_id(&consumer, &options.topic)?;
        if found != meant {
            return Err(format!("the topic is {found} now, and {meant} is meant"));
        }
    }
    Ok(consumer)
}

fn ask_topic_id(consumer: &BaseConsumer<Asker>, topic: &str) -> Result<String, String> {
    let timeout_ms = i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX);
    topic_id(consumer.client().native_ptr(), topic, timeout_ms)
}

/// The identity that a cluster gave the topic when it was made, as 32 hex digits: a topic made anew has another.
pub fn topic_identity(options: &KafkaOptions) -> Result<String, String> {
    ask_topic_id(&open(options, 0, 0)?, &options.topic)
}
