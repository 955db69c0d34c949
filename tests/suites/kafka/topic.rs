//! Reads topics from their beginning to their end, as any outside consumer can.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use schemas::UsageEvent;

const ASK: Duration = Duration::from_secs(20);

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lying {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub headers: Vec<(String, String)>,
    pub value: Vec<u8>,
}

impl Lying {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn event(&self) -> UsageEvent {
        serde_json::from_slice(&self.value).expect("a usage record")
    }
}

/// Everything that a topic has now, partition by partition.
pub async fn read_topic(servers: &str, topic: &str) -> Vec<Lying> {
    let (servers, topic) = (servers.to_owned(), topic.to_owned());
    let reading = tokio::task::spawn_blocking(move || read(&servers, &topic));
    reading.await.expect("no panic")
}

/// A client that commits nothing by itself.
pub fn reader(servers: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .create()
        .expect("a client of Kafka")
}

fn read(servers: &str, topic: &str) -> Vec<Lying> {
    let consumer = reader(servers, "none");
    let metadata = consumer.fetch_metadata(Some(topic), ASK);
    let metadata = metadata.expect("the brokers answer");
    let partitions = metadata.topics()[0].partitions().len();
    let mut places = TopicPartitionList::new();
    let mut ends = BTreeMap::new();
    for partition in 0..i32::try_from(partitions).expect("few") {
        let found = consumer.fetch_watermarks(topic, partition, ASK);
        let (low, high) = found.expect("a partition has ends");
        if high > low {
            ends.insert(partition, high);
            let from = places.add_partition_offset(topic, partition, Offset::Beginning);
            from.expect("a place");
        }
    }
    let mut records = Vec::new();
    if ends.is_empty() {
        return records;
    }
    consumer.assign(&places).expect("partitions are assigned");
    while !ends.is_empty() {
        let polled = consumer.poll(ASK).expect("a record comes before long");
        let message = polled.expect("the brokers answer");
        let record = lying(&message);
        if ends
            .get(&record.partition)
            .is_some_and(|end| record.offset + 1 >= *end)
        {
            ends.remove(&record.partition);
        }
        records.push(record);
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

pub fn lying(message: &rdkafka::message::BorrowedMessage<'_>) -> Lying {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Lying {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(text).unwrap_or_default(),
        headers: headers
            .map(|header| {
                (
                    header.key.to_owned(),
                    text(header.value.unwrap_or_default()),
                )
            })
            .collect(),
        value: message.payload().unwrap_or_default().to_vec(),
    }
}

/// The numbers of each start must be 0, 1, 2 … over all partitions, copies counted once. Says how many copies there are.
pub fn dense(records: &[Lying]) -> usize {
    let mut numbers: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    let mut bodies: BTreeMap<String, &[u8]> = BTreeMap::new();
    let mut copies = 0;
    for record in records {
        let event = record.event();
        assert_eq!(record.key, event.event_id.to_string());
        let first = bodies.entry(record.key.clone()).or_insert(&record.value);
        assert_eq!(
            *first,
            &record.value[..],
            "two records of one identity differ"
        );
        let is_new = numbers
            .entry(event.boot.to_string())
            .or_default()
            .insert(event.producer_seq);
        copies += usize::from(!is_new);
    }
    for (boot, numbers) in &numbers {
        let last = *numbers.last().expect("not empty");
        let count = i64::try_from(numbers.len()).expect("few");
        assert_eq!(
            (numbers.first(), count),
            (Some(&0), last + 1),
            "boot {boot} has gaps"
        );
    }
    copies
}
