//! Deliveries that come twice and out of order: somebody reads records of the topic and sends them to it again, shuffled, to
//! any partition. It runs beside all other faults and may be stopped by them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Headers as _, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use schemas::{RecordKind, topics};

use crate::pace::Lane;
use crate::patience::eventually;
use crate::stack::{PARTITIONS, usage_topic};
use crate::table::{Table, Void};

const COPIES: &str = "topic: copies, shuffled, to any partition";
const ASK: Duration = Duration::from_secs(5);
const DELIVERY: Duration = Duration::from_mins(3);

/// Sends copies, so many times; gives how many usage records were sent.
pub async fn send(
    servers: String,
    (times, each): (usize, i64),
    lane: Lane<'_>,
    table: &Table,
    mut rng: StdRng,
) -> Result<u64, Void> {
    let mut usage = 0;
    for _ in 0..times {
        lane.next().await;
        let seed = rng.random();
        // The first requests may still be on their way into the topic, and a broker on its way back.
        let records = eventually("the topic can be read", async || {
            let (servers, mut dice) = (servers.clone(), StdRng::seed_from_u64(seed));
            let reading = tokio::task::spawn_blocking(move || read(&servers, each, &mut dice));
            let read = reading.await.expect("no panic").ok()?;
            (!read.is_empty()).then_some(read)
        })
        .await;
        usage += records.iter().filter(|record| is_usage(record)).count() as u64;
        let (servers, mut dice) = (servers.clone(), StdRng::seed_from_u64(seed));
        let sending = tokio::task::spawn_blocking(move || again(&servers, records, &mut dice));
        let sent = sending.await.expect("no panic");
        let sent = sent.map_err(|why| Void { fault: COPIES, why })?;
        table.bit(
            COPIES,
            format!("{sent} records sent again and acknowledged"),
        );
        lane.done();
    }
    Ok(usage)
}

/// Cuts lie in the topic too.
fn is_usage(record: &OwnedMessage) -> bool {
    let wanted = RecordKind::Usage.type_name().as_bytes();
    let mut headers = record.headers().into_iter().flat_map(|all| all.iter());
    headers.any(|header| header.key == topics::CE_TYPE && header.value == Some(wanted))
}

/// Some of each partition.
fn read(servers: &str, each: i64, rng: &mut StdRng) -> Result<Vec<OwnedMessage>, KafkaError> {
    let mut records = Vec::new();
    for partition in 0..i32::try_from(PARTITIONS).expect("few") {
        records.extend(some_of(servers, partition, each, rng)?);
    }
    Ok(records)
}

/// Counts what brokers acknowledge.
#[derive(Default)]
struct Acknowledged(AtomicUsize);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if delivered.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn again(servers: &str, mut records: Vec<OwnedMessage>, rng: &mut StdRng) -> Result<usize, String> {
    records.shuffle(rng);
    let producer: ThreadedProducer<Acknowledged> = client(servers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .create_with_context(Acknowledged::default())
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
    let acknowledged = producer.context().0.load(Ordering::Relaxed);
    if acknowledged == records.len() {
        Ok(acknowledged)
    } else {
        Err(format!("{acknowledged} of {} acknowledged", records.len()))
    }
}

/// Records of a partition, from any place on.
fn some_of(
    servers: &str,
    partition: i32,
    each: i64,
    rng: &mut StdRng,
) -> Result<Vec<OwnedMessage>, KafkaError> {
    let consumer: BaseConsumer = client(servers)
        .set("group.id", "copies")
        .set("enable.auto.commit", "false")
        .create()?;
    let topic = usage_topic();
    let (low, high) = consumer.fetch_watermarks(&topic, partition, ASK)?;
    if high <= low {
        return Ok(Vec::new());
    }
    let from = rng.random_range(low..high);
    let wanted = usize::try_from((high - from).min(each)).expect("few");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, partition, Offset::Offset(from))?;
    consumer.assign(&list)?;
    let mut records = Vec::with_capacity(wanted);
    while records.len() < wanted {
        match consumer.poll(DELIVERY) {
            Some(message) => records.push(message?.detach()),
            None => break,
        }
    }
    Ok(records)
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("reconnect.backoff.max.ms", "300");
    config
}
