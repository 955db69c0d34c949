//! Reading a stretch of a partition again, for a repair: a client of its own, part of no group. Blocks while it waits for a broker.

use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::super::{Read, SourceError};
use super::client::{Asker, Keeping, record_of, shown};
use super::options::KafkaOptions;
use crate::order::{Delivered, Order};

/// A record that was there must come again within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a stretch again.
pub(crate) struct Again {
    consumer: Result<BaseConsumer<Asker>, String>,
    order: Order,
    /// The place after the last that can be read.
    end: i64,
}

impl Again {
    pub(crate) fn new(options: &KafkaOptions, partition: i32, from: i64, end: i64) -> Self {
        Self {
            consumer: open(options, partition, from),
            order: Order::from(from),
            end,
        }
    }

    pub(crate) fn position(&self) -> i64 {
        self.order.next()
    }

    pub(crate) fn read(&mut self) -> Result<Read, SourceError> {
        let consumer = self.consumer.as_ref();
        let consumer = consumer.map_err(|error| SourceError::Failed(error.clone()))?;
        if self.order.next() >= self.end {
            return Ok(Read::CaughtUp);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(polled) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            // Passing faults are retried by the client itself; one that stays ends the patience.
            let Ok(message) = polled else { continue };
            let record = record_of(&message, Keeping::Bytes);
            match self.order.take(record.offset) {
                Delivered::Next => return Ok(Read::Record(record)),
                Delivered::Again => {}
                Delivered::TooFar { wanted } => {
                    return Ok(Read::Lost {
                        first: wanted,
                        next: record.offset,
                    });
                }
            }
        }
        Err(SourceError::Failed(format!(
            "offset {} did not come within {} s",
            self.order.next(),
            PATIENCE.as_secs()
        )))
    }
}

fn open(options: &KafkaOptions, partition: i32, from: i64) -> Result<BaseConsumer<Asker>, String> {
    let mut config = ClientConfig::new();
    for (name, value) in options.reading() {
        config.set(name, value);
    }
    // The client asks for a group's name and joins none: partitions are assigned by hand.
    config.set("group.id", format!("{}.again", options.group));
    let asker = Asker(options.token_file());
    let consumer =
        BaseConsumer::from_config_and_context(&config, asker).map_err(|error| shown(&error))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&options.topic, partition, Offset::Offset(from))
        .map_err(|error| shown(&error))?;
    consumer.assign(&list).map_err(|error| shown(&error))?;
    Ok(consumer)
}
