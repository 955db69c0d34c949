//! How far the group has come, asked by somebody who is no member of it. A boundary is committed only after everything before it
//! is in the store, with the topic's identity beside it: what was committed of another topic of the name, or by hand, does not count.

use std::time::Duration;

use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use runtime::kafka::Pairs;

use super::client::{Asker, shown};
use super::note::shard_of;
use super::topic_id::topic_id;

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);
/// Time for the client to show a token.
const POLL: Duration = Duration::from_millis(20);

/// Asks how far a group is. Calls block, for seconds at most.
pub struct Progress {
    consumer: BaseConsumer<Asker>,
    group: String,
    topic: String,
}

/// How far a group is in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupProgress {
    /// The identity of the topic.
    pub topic_id: String,
    /// By partition: everything before this place is in the store; `None` where nothing was committed of this topic.
    pub committed: Vec<Option<i64>>,
}

impl Progress {
    /// A client that asks about `group` in `topic`. Connects when it is asked.
    pub fn open(connection: &Pairs, group: &str, topic: &str) -> Result<Self, String> {
        let mut config = ClientConfig::new();
        for (name, value) in connection.iter() {
            config.set(name, value);
        }
        // The name is needed to ask; nothing is subscribed, so that it joins nothing.
        config.set("group.id", group);
        config.set("enable.auto.commit", "false");
        config.set("allow.auto.create.topics", "false");
        let asker = Asker(connection.token_file().cloned());
        let consumer = BaseConsumer::from_config_and_context(&config, asker);
        Ok(Self {
            consumer: consumer.map_err(|error| shown(&error))?,
            group: group.to_owned(),
            topic: topic.to_owned(),
        })
    }

    /// Whom it asks about.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The identity of the topic now.
    pub fn topic_id(&self) -> Result<String, String> {
        self.serve();
        let timeout_ms = i32::try_from(ASK.as_millis()).unwrap_or(i32::MAX);
        topic_id(self.consumer.client().native_ptr(), &self.topic, timeout_ms)
            .map_err(|error| format!("topic {}: {error}", self.topic))
    }

    /// How far the group is now.
    pub fn look(&self) -> Result<GroupProgress, String> {
        // Before the offsets: they are then of this topic, or of none.
        let topic_id = self.topic_id()?;
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), ASK);
        let metadata = metadata.map_err(|error| shown(&error))?;
        let topic = metadata.topics().first();
        let partitions = topic.map_or(0, |topic| topic.partitions().len());
        let mut list = TopicPartitionList::with_capacity(partitions);
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            list.add_partition(&self.topic, partition);
        }
        let committed = self.consumer.committed_offsets(list, ASK);
        let committed = committed.map_err(|error| shown(&error))?;
        let mut by_partition = vec![None; partitions];
        for element in committed.elements() {
            let Ok(partition) = usize::try_from(element.partition()) else {
                continue;
            };
            let is_ours =
                shard_of(element.metadata(), &topic_id).is_some() && element.error().is_ok();
            if let (Offset::Offset(at), true) = (element.offset(), is_ours)
                && let Some(place) = by_partition.get_mut(partition)
            {
                *place = Some(at);
            }
        }
        Ok(GroupProgress {
            topic_id,
            committed: by_partition,
        })
    }

    /// What the client wants to say, or to be told, it gets told in a poll.
    fn serve(&self) {
        drop(self.consumer.poll(POLL));
    }
}
