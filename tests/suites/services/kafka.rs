//! The contract of the log: what publisher and consumer stand on. Every topic is the test's own, with one copy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use consumer::{KafkaOptions, topic_identity};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message, Timestamp};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use runtime::kafka::{Connection, Pairs};
use tests::{Broker, Cluster, DEADLINE, eventually};

type Admin = AdminClient<DefaultClientContext>;

/// What became of each record, in the order of the answers.
#[derive(Clone, Default)]
struct Answers(Arc<parking_lot::Mutex<Vec<Answer>>>);

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let answer = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        self.0.lock().push(answer);
    }
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

fn new_name() -> String {
    format!("contract-{:016x}", rand::random::<u64>())
}

async fn make(admin: &Admin, name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let made = admin.create_topics([&topic], &AdminOptions::new()).await;
    made.expect("the brokers answer")
        .pop()
        .expect("an answer a topic")
        .expect("a topic is made");
    let reader: BaseConsumer = config_of(admin).create().expect("a client");
    eventually("the topic is known", async || {
        let metadata = reader
            .fetch_metadata(Some(name), Duration::from_secs(5))
            .ok()?;
        let topic = &metadata.topics()[0];
        let led = topic.partitions().iter().filter(|part| part.leader() >= 0);
        (led.count() == usize::try_from(partitions).ok()?).then_some(())
    })
    .await;
}

fn config_of(admin: &Admin) -> ClientConfig {
    let metadata = admin.inner().fetch_metadata(None, DEADLINE);
    let metadata = metadata.expect("the brokers answer");
    let broker = &metadata.brokers()[0];
    config(&format!("{}:{}", broker.host(), broker.port()))
}

/// A broker, who may make topics, and who produces as our publisher does.
struct Bench {
    broker: Broker,
    admin: Admin,
}

impl Bench {
    async fn start() -> Self {
        let broker = Broker::start().await;
        let admin = config(broker.servers()).create().expect("a client");
        Self { broker, admin }
    }

    fn produce(&self, topic: &str, values: &[Vec<u8>]) -> Vec<Answer> {
        produce(self.broker.servers(), topic, values, "60000")
    }

    fn reader(&self, group: &str) -> BaseConsumer {
        config(self.broker.servers())
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("session.timeout.ms", "6000")
            .create()
            .expect("a client")
    }
}

type Answer = Result<(i32, i64), RDKafkaErrorCode>;

/// Produces values to a topic's first partition as our publisher does, and gives what was answered.
fn produce(servers: &str, topic: &str, values: &[Vec<u8>], timeout_ms: &str) -> Vec<Answer> {
    let answers = Answers::default();
    let producer: ThreadedProducer<Answers> = config(servers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "zstd")
        .set("message.timeout.ms", timeout_ms)
        .set("message.max.bytes", "4000000")
        .create_with_context(answers.clone())
        .expect("a producer");
    for value in values {
        let record = BaseRecord::<(), [u8]>::to(topic)
            .payload(value)
            .partition(0);
        assert!(producer.send(record).is_ok(), "the queue has room");
    }
    producer.flush(DEADLINE).expect("every record is answered");
    let answers = answers.0.lock();
    answers.clone()
}

/// The next record.
fn next(reader: &BaseConsumer) -> BorrowedMessage<'_> {
    let until = Instant::now() + DEADLINE;
    loop {
        // Nothing is also what a change of the group gives.
        if let Some(polled) = reader.poll(Duration::from_secs(1)) {
            return polled.expect("the brokers answer");
        }
        assert!(Instant::now() < until, "no record comes");
    }
}

fn values(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(500)).into_bytes()
        })
        .collect()
}

fn at(topic: &str, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, offset)
        .expect("a place");
    list
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_lies_there_once_in_order_packed_and_with_the_brokers_time() {
    let bench = Bench::start().await;
    let topic = new_name();
    let settings = [
        ("message.timestamp.type", "LogAppendTime"),
        ("compression.type", "producer"),
    ];
    make(&bench.admin, &topic, 1, &settings).await;
    let values = values(2_000);
    let answers = bench.produce(&topic, &values);
    let expected: Vec<_> = (0..2_000).map(|offset| Ok((0, offset))).collect();
    assert_eq!(
        answers, expected,
        "acknowledged with dense offsets, in order"
    );
    let reader = bench.reader("none");
    reader
        .assign(&at(&topic, Offset::Offset(0)))
        .expect("assigned");
    for (number, value) in values.iter().enumerate() {
        let message = next(&reader);
        assert_eq!(message.offset(), i64::try_from(number).expect("few"));
        assert_eq!(message.payload(), Some(&value[..]));
        assert!(matches!(message.timestamp(), Timestamp::LogAppendTime(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_above_the_topics_bound_is_refused_and_the_next_is_taken() {
    let bench = Bench::start().await;
    let topic = new_name();
    make(&bench.admin, &topic, 1, &[("max.message.bytes", "20000")]).await;
    // Random, so that packing does not help it under the bound.
    let large: Vec<u8> = (0..100_000).map(|_| rand::random()).collect();
    let answers = bench.produce(&topic, &[large]);
    assert_eq!(answers, [Err(RDKafkaErrorCode::MessageSizeTooLarge)]);
    assert_eq!(bench.produce(&topic, &values(1)), [Ok((0, 0))]);
}

/// How many copies a topic's only partition has, and how many of them are in sync.
fn copies(servers: &str, topic: &str) -> Option<(usize, usize)> {
    let reader: BaseConsumer = config(servers).create().expect("a client");
    let metadata = reader.fetch_metadata(Some(topic), Duration::from_secs(5));
    let metadata = metadata.ok()?;
    let partition = metadata.topics()[0].partitions().first()?;
    Some((partition.replicas().len(), partition.isr().len()))
}

/// With one of three brokers away two copies are in sync, which is enough; with two away nothing is acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn with_too_few_copies_in_sync_nothing_is_acknowledged() {
    let mut cluster = Cluster::start(3).await;
    let servers = cluster.servers();
    let admin: Admin = config(&servers).create().expect("a client");
    let topic = new_name();
    let wanted = NewTopic::new(&topic, 1, TopicReplication::Fixed(3));
    let wanted = wanted.set("min.insync.replicas", "2");
    let made = admin.create_topics([&wanted], &AdminOptions::new()).await;
    made.expect("the brokers answer")[0]
        .as_ref()
        .expect("it is made");
    let are = async |expected: (usize, usize)| {
        eventually("the copies are so many", async || {
            (copies(&servers, &topic)? == expected).then_some(())
        })
        .await;
    };
    are((3, 3)).await;
    cluster.kill(3);
    are((3, 2)).await;
    assert_eq!(produce(&servers, &topic, &values(1), "60000"), [Ok((0, 0))]);
    cluster.kill(2);
    let answers = produce(&servers, &topic, &values(1), "3000");
    assert!(answers[0].is_err(), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_has_an_identity_and_one_made_anew_another() {
    let bench = Bench::start().await;
    let topic = new_name();
    let identity = || {
        let connection = Connection {
            bootstrap: bench.broker.servers().to_owned(),
            tls: None,
            sasl: None,
        };
        let options = KafkaOptions {
            connection: Pairs::of(&connection, "contract").expect("plain settings"),
            group: "contract".to_owned(),
            topic: topic.clone(),
            dead_letters: String::new(),
            producers: String::new(),
            session_timeout: Duration::from_secs(6),
            cluster_file: "no-member".into(),
            promised: None,
        };
        tokio::task::spawn_blocking(move || topic_identity(&options))
    };
    make(&bench.admin, &topic, 1, &[]).await;
    let first = identity().await.expect("no panic").expect("an identity");
    assert_eq!(identity().await.expect("no panic"), Ok(first.clone()));
    assert_eq!(first.len(), 32);
    let deleted = bench
        .admin
        .delete_topics(&[&topic], &AdminOptions::new())
        .await;
    deleted.expect("the brokers answer")[0]
        .as_ref()
        .expect("it is deleted");
    eventually("the topic is gone", async || {
        identity().await.expect("no panic").is_err().then_some(())
    })
    .await;
    make(&bench.admin, &topic, 1, &[]).await;
    assert_ne!(identity().await.expect("no panic"), Ok(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_offset_is_kept_and_a_member_may_set_it_back() {
    let bench = Bench::start().await;
    let (topic, group) = (new_name(), new_name());
    make(&bench.admin, &topic, 1, &[]).await;
    bench.produce(&topic, &values(20));
    // A group's first requests may meet a broker that is not yet its coordinator.
    let committed = async || {
        eventually("the group's place is told", async || {
            let reader = bench.reader(&group);
            let asked = reader.committed_offsets(at(&topic, Offset::Invalid), DEADLINE);
            Some(asked.ok()?.elements()[0].offset())
        })
        .await
    };
    assert_eq!(committed().await, Offset::Invalid, "a new group has none");
    let member = bench.reader(&group);
    let commit = async |offset| {
        eventually("a member's commit is taken", async || {
            let commit = member.commit(&at(&topic, Offset::Offset(offset)), CommitMode::Sync);
            commit.ok()
        })
        .await;
        assert_eq!(committed().await, Offset::Offset(offset));
    };
    commit(0).await;
    member.subscribe(&[&topic]).expect("it joins");
    assert_eq!(next(&member).offset(), 0);
    // Which is why nothing that counts stands on it: see the design of the consumer.
    for offset in [15, 3] {
        commit(offset).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_an_error_and_never_another_place() {
    let bench = Bench::start().await;
    let topic = new_name();
    make(&bench.admin, &topic, 1, &[]).await;
    bench.produce(&topic, &values(20));
    let cut = at(&topic, Offset::Offset(10));
    let deleted = bench.admin.delete_records(&cut, &AdminOptions::new()).await;
    deleted.expect("the brokers answer");
    let reader = bench.reader("none");
    let ends = reader.fetch_watermarks(&topic, 0, DEADLINE).expect("ends");
    assert_eq!(ends, (10, 20));
    reader
        .assign(&at(&topic, Offset::Offset(4)))
        .expect("assigned");
    let polled: KafkaResult<_> = reader.poll(DEADLINE).expect("something is said");
    let error = polled.map(drop).expect_err("no record of another place");
    assert!(
        matches!(
            error,
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)
        ),
        "{error:?}"
    );
}
