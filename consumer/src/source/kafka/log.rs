//! A topic from outside of every group: its identity, how far its partitions reach, what a group has done with it, and its records
//! again. For commands; blocks while it waits for a broker.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};

use super::super::Read;
use super::asking::Again;
use super::client::{Asker, shown};
use super::note::shard_of;
use super::options::KafkaOptions;
use super::topic_id::topic_id;
use crate::rebuild::{Reads, RebuildError};

/// No question waits for longer.
const ASK: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Why a topic can not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic}: {why}")]
pub struct NotToBeRead {
    topic: String,
    why: String,
}

/// A topic.
pub struct KafkaLog {
    consumer: BaseConsumer<Asker>,
    options: KafkaOptions,
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// The topic and the group of the options.
    pub fn open(options: KafkaOptions) -> Result<Self, NotToBeRead> {
        let mut config = ClientConfig::new();
        for (name, value) in options.reading() {
            config.set(name, value);
        }
        config.set("group.id", options.group.clone());
        let asker = Asker(options.token_file());
        match BaseConsumer::from_config_and_context(&config, asker) {
            Ok(consumer) => {
                // A token is shown in a poll; nothing is assigned, so nothing comes of it.
                drop(consumer.poll(POLL));
                Ok(Self { consumer, options })
            }
            Err(error) => Err(NotToBeRead {
                topic: options.topic,
                why: shown(&error),
            }),
        }
    }

    fn failed(&self, why: impl Into<String>) -> NotToBeRead {
        NotToBeRead {
            topic: self.options.topic.clone(),
            why: why.into(),
        }
    }

    /// `<topic>:<topic id>`, as the store calls it.
    pub fn place_topic(&self) -> Result<String, NotToBeRead> {
        Ok(format!("{}:{}", self.options.topic, self.topic_id()?))
    }

    fn topic_id(&self) -> Result<String, NotToBeRead> {
        let timeout_ms = i32::try_from(ASK.as_millis()).unwrap_or(i32::MAX);
        let client = self.consumer.client().native_ptr();
        topic_id(client, &self.options.topic, timeout_ms).map_err(|why| self.failed(why))
    }

    /// Its partitions, each with the first place that is kept and the end.
    pub fn partitions(&self) -> Result<BTreeMap<i32, (i64, i64)>, NotToBeRead> {
        let topic = &self.options.topic;
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK);
        let metadata = metadata.map_err(|error| self.failed(shown(&error)))?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        partitions
            .map(|partition| {
                let bounds = self.consumer.fetch_watermarks(topic, partition.id(), ASK);
                let bounds = bounds.map_err(|error| self.failed(shown(&error)))?;
                Ok((partition.id(), bounds))
            })
            .collect()
    }

    /// What the group has committed of the topic as it is now.
    pub fn committed(&self) -> Result<BTreeMap<i32, i64>, NotToBeRead> {
        let topic_id = self.topic_id()?;
        let mut list = TopicPartitionList::new();
        for partition in self.partitions()?.keys() {
            list.add_partition(&self.options.topic, *partition);
        }
        let committed = self.consumer.committed_offsets(list, ASK);
        let committed = committed.map_err(|error| self.failed(shown(&error)))?;
        let elements = committed.elements();
        let ours = elements
            .iter()
            .filter(|at| shard_of(at.metadata(), &topic_id).is_some());
        let known = ours.filter_map(|element| match element.offset() {
            Offset::Offset(at) => Some((element.partition(), at)),
            _ => None,
        });
        Ok(known.collect())
    }

    /// How many members the group has.
    pub fn members(&self) -> Result<usize, NotToBeRead> {
        let groups = self
            .consumer
            .fetch_group_list(Some(&self.options.group), ASK);
        let groups = groups.map_err(|error| self.failed(shown(&error)))?;
        Ok(groups
            .groups()
            .iter()
            .map(|group| group.members().len())
            .sum())
    }

    /// The records of a partition before `end`, from a place on.
    pub fn reader(&self, partition: i32, end: i64) -> impl FnOnce(i64) -> Reads + use<> {
        let options = self.options.clone();
        move |from| {
            let mut again = Again::new(&options, None, partition, from, end);
            Box::new(std::iter::from_fn(move || match again.read() {
                Ok(Read::CaughtUp) => None,
                read => Some(read.map_err(RebuildError::from)),
            }))
        }
    }
}
