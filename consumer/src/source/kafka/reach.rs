//! How far the log in Kafka reaches, and whether the store has it up to there; asked through the lives' member, whoever has which
//! partition.

use std::cell::Cell;
use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::TopicPartitionList;
use schemas::ProducerRecord;
use schemas::cut::MAX_RECORDS;

use super::client::shown;
use super::options::KafkaOptions;
use super::sending::Sending;
use super::told::Told;
use super::topic_id::topic_id;
use crate::lives::Log;
use crate::options::Options;

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);

/// Asks the brokers.
pub(super) struct Reach<'a> {
    pub consumer: &'a BaseConsumer<Told>,
    pub sending: &'a Sending,
    pub options: &'a KafkaOptions,
    /// Each partition is looked for on its own server.
    pub store: &'a Options,
    /// The producers' topic has one partition: who asks has written all of it since it was assigned.
    pub oldest: &'a Cell<Option<i64>>,
}

/// Where the partitions ended, each that has records.
pub(super) struct Mark {
    /// Of the records, with the topic's identity: the place after the last of each partition.
    topic: String,
    usage: Vec<(i32, i64)>,
    /// Of what producers say.
    lives: Vec<(i32, i64)>,
}

fn ends(client: &BaseConsumer<Told>, topic: &str) -> Result<Vec<(i32, i64)>, String> {
    let metadata = client
        .fetch_metadata(Some(topic), ASK)
        .map_err(|error| shown(&error))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map(MetadataTopic::partitions).unwrap_or_default();
    if partitions.is_empty() {
        return Err(format!("topic {topic} is not there"));
    }
    let mut ends = Vec::new();
    for partition in partitions {
        let (low, high) = client
            .fetch_watermarks(topic, partition.id(), ASK)
            .map_err(|error| shown(&error))?;
        if high > low {
            ends.push((partition.id(), high));
        }
    }
    Ok(ends)
}

impl Log for Reach<'_> {
    type Mark = Mark;

    fn mark(&self) -> Result<Mark, String> {
        let client = self.consumer;
        let timeout_ms = i32::try_from(ASK.as_millis()).unwrap_or(i32::MAX);
        let id = topic_id(
            client.client().native_ptr(),
            &self.options.topic,
            timeout_ms,
        )?;
        Ok(Mark {
            lives: ends(client, &self.options.producers)?,
            usage: ends(client, &self.options.topic)?,
            topic: format!("{}:{id}", self.options.topic),
        })
    }

    async fn covers(&self, mark: &Mark) -> Result<bool, String> {
        Ok(self.lives_are_written(mark)? && usage_is_written(self.store, mark).await?)
    }

    fn take_oldest(&self) -> Option<i64> {
        self.oldest.take()
    }

    async fn say(&self, record: &ProducerRecord) -> Result<(), String> {
        self.sending.life_taken(record).await
    }
}

impl Reach<'_> {
    fn lives_are_written(&self, mark: &Mark) -> Result<bool, String> {
        let mut list = TopicPartitionList::new();
        for (partition, _) in &mark.lives {
            list.add_partition(&self.options.producers, *partition);
        }
        let committed = self
            .consumer
            .committed_offsets(list, ASK)
            .map_err(|error| shown(&error))?;
        let reader = self.consumer.context().reader();
        let is_written = |(partition, end): &(i32, i64)| {
            let found = committed.find_partition(&self.options.producers, *partition);
            let by_this_version = found.filter(|found| found.metadata() == reader);
            let at = by_this_version.map(|found| found.offset());
            matches!(at, Some(Offset::Offset(at)) if at >= *end)
        };
        Ok(mark.lives.iter().all(is_written))
    }
}

/// A cut goes in last: where it is, all its records are.
async fn usage_is_written(store: &Options, mark: &Mark) -> Result<bool, String> {
    const SQL: &str =
        "SELECT count() FROM cuts WHERE topic = ? AND partition = ? AND first > ? AND last >= ?";
    for (partition, end) in &mark.usage {
        let length = i64::try_from(MAX_RECORDS).unwrap_or(i64::MAX);
        let server = store.server_of(*partition);
        let query = server.query(SQL).bind(&mark.topic).bind(*partition);
        let asked = query
            .bind(end - 1 - length)
            .bind(end - 1)
            .fetch_one::<u64>();
        let found = asked.await.map_err(|error| error.to_string())?;
        if found == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}
