//! Deliveries that come twice and out of order: somebody reads records of the topic and sends them to it again, shuffled, to
//! any partition. It runs beside all other faults and may be stopped by them.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tests::eventually;

use crate::pace::Lane;
use crate::stack::{PARTITIONS, usage_topic};
use crate::table::{Table, Void};

const COPIES: &str = "topic: copies, shuffled, to any partition";
const ASK: Duration = Duration::from_secs(5);
const DELIVERY: Duration = Duration::from_mins(3);

/// Sends copies, so many times; gives how many records were sent.
pub async fn send(
    servers: String,
    (times, each): (usize, i64),
    lane: Lane<'_>,
    table: &Table,
    mut rng: StdRng,
) -> Result<(), Void> {
    for _ in 0..times {
        lane.next().await;
        let seed = rng.random();
        // The first requests may still be on their way into the topic.
        let sent = eventually("the topic has records", async || {
            let (servers, mut dice) = (servers.clone(), StdRng::seed_from_u64(seed));
            let sending = tokio::task::spawn_blocking(move || again(&servers, each, &mut dice));
            Some(sending.await.expect("no panic")).filter(|sent| *sent != Ok(0))
        })
        .await;
        let sent = sent.map_err(|why| Void { fault: COPIES, why })?;
        table.bit(
            COPIES,
            format!("{sent} records sent again and acknowledged"),
        );
        lane.done();
    }
    Ok(())
}

fn again(servers: &str, each: i64, rng: &mut StdRng) -> Result<usize, String> {
    let mut records = Vec::new();
    for partition in 0..i32::try_from(PARTITIONS).expect("few") {
        records.extend(some_of(servers, partition, each, rng)?);
    }
    if records.is_empty() {
        return Ok(0);
    }
    records.shuffle(rng);
    let producer: ThreadedProducer<DefaultProducerContext> = client(servers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .create()
        .map_err(|error| error.to_string())?;
    let topic = usage_topic();
    for record in &records {
        let partition = rng.random_range(0..i32::try_from(PARTITIONS).expect("few"));
        let mut copy = BaseRecord::<[u8], [u8]>::to(&topic).partition(partition);
        if let Some(key) = record.key() {
            copy = copy.key(key);
        }
        if let Some(payload) = record.payload() {
            copy = copy.payload(payload);
        }
        if let Some(headers) = record.headers() {
            copy = copy.headers(headers.clone());
        }
        producer
            .send(copy)
            .map_err(|(error, _)| error.to_string())?;
    }
    producer
        .flush(DELIVERY)
        .map_err(|error| error.to_string())?;
    Ok(records.len())
}

/// Records of a partition, from any place on.
fn some_of(
    servers: &str,
    partition: i32,
    each: i64,
    rng: &mut StdRng,
) -> Result<Vec<OwnedMessage>, String> {
    let consumer: BaseConsumer = client(servers)
        .set("group.id", "copies")
        .set("enable.auto.commit", "false")
        .create()
        .map_err(|error| error.to_string())?;
    let topic = usage_topic();
    let (low, high) = retry(|| consumer.fetch_watermarks(&topic, partition, ASK))?;
    if high <= low {
        return Ok(Vec::new());
    }
    let from = rng.random_range(low..high);
    let wanted = usize::try_from((high - from).min(each)).expect("few");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, partition, Offset::Offset(from))
        .map_err(|error| error.to_string())?;
    consumer.assign(&list).map_err(|error| error.to_string())?;
    let mut records = Vec::with_capacity(wanted);
    let mut silent = 0;
    while records.len() < wanted {
        match consumer.poll(ASK) {
            Some(Ok(message)) => records.push(message.detach()),
            // The broker that leads it may be away; another takes over before long.
            _ if silent < TRIES => silent += 1,
            _ => return Err(format!("partition {partition} can not be read")),
        }
    }
    Ok(records)
}

const TRIES: usize = 30;

fn retry<T, E: ToString>(mut ask: impl FnMut() -> Result<T, E>) -> Result<T, String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("reconnect.backoff.max.ms", "300");
    config
}
