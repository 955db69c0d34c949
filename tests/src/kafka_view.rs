//! How a topic and its readers are doing, as brokers and consumers say themselves. No judgement about it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

const ASK: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a consumer stands in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Everything before is in the store.
    pub committed: i64,
    /// Everything before can be read.
    pub readable: i64,
}

/// The partitions that a `tollgate consumer` has, by its operators' door; none while it does not answer.
pub async fn partitions(ops: SocketAddr) -> BTreeMap<i32, At> {
    let text = ask(ops).await.unwrap_or_default();
    let read = |line: &str| {
        let mut words = line.split(' ').map(str::parse::<i64>);
        let mut word = || words.next()?.ok();
        let (partition, committed, _, readable) = (word()?, word()?, word()?, word()?);
        let at = At {
            committed,
            readable,
        };
        Some((i32::try_from(partition).ok()?, at))
    };
    text.lines().filter_map(read).collect()
}

async fn ask(ops: SocketAddr) -> Option<String> {
    let client = reqwest::Client::new();
    let url = format!("http://{ops}/partitions");
    let asked = client.get(url).timeout(PATIENCE).send();
    asked.await.ok()?.text().await.ok()
}

/// Who has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which node leads it.
    pub leader: usize,
    /// Which nodes are in sync.
    pub in_sync: Vec<usize>,
}

/// Looks at a topic.
#[derive(Clone)]
pub struct TopicView {
    asker: Arc<BaseConsumer>,
    topic: String,
}

impl TopicView {
    /// By these brokers.
    ///
    /// # Panics
    /// Never in a sane system.
    pub fn new(servers: &str, topic: impl Into<String>) -> Self {
        let asker: Result<BaseConsumer, _> = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("socket.timeout.ms", "3000")
            .set("reconnect.backoff.max.ms", "300")
            .create();
        Self {
            asker: Arc::new(asker.expect("a client of Kafka")),
            topic: topic.into(),
        }
    }

    /// Where each of so many partitions ends now.
    ///
    /// # Panics
    /// Never in a sane system.
    pub async fn ends(&self, partitions: i32) -> Option<BTreeMap<i32, i64>> {
        let view = self.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let end = |partition| {
                let asked = view.asker.fetch_watermarks(&view.topic, partition, ASK);
                Some((partition, asked.ok()?.1))
            };
            (0..partitions).map(end).collect()
        });
        asking.await.expect("no panic")
    }

    /// Its partitions, as some broker says that answers.
    ///
    /// # Panics
    /// Never in a sane system.
    pub async fn parts(&self) -> Option<BTreeMap<i32, Part>> {
        let view = self.clone();
        let asking =
            tokio::task::spawn_blocking(move || view.asker.fetch_metadata(Some(&view.topic), ASK));
        let metadata = asking.await.expect("no panic").ok()?;
        let topic = metadata.topics().first()?;
        let node = |id: i32| usize::try_from(id).unwrap_or_default();
        let part = |partition: &rdkafka::metadata::MetadataPartition| {
            let part = Part {
                leader: node(partition.leader()),
                in_sync: partition.isr().iter().copied().map(node).collect(),
            };
            (partition.id(), part)
        };
        Some(topic.partitions().iter().map(part).collect())
    }
}
