//! Bad surroundings that no other suite has: a topic of other partitions and of too few copies in sync, a record above the brokers'
//! bound, two gateways on one journal. Each is named with its way out, and nothing is lost.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use schemas::{RecordKind, Topic};
use tests::{Ask, Cluster, eventually, free_address};

use crate::stand::{Plan, Stand, run_tollgate};
use crate::topic::{dense, read_topic};

fn admin(servers: &str) -> AdminClient<DefaultClientContext> {
    let client = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create();
    client.expect("a client of Kafka")
}

fn asking() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

async fn make(servers: &str, stand: &Stand, copies: i32, partitions: i32, setting: (&str, &str)) {
    let names = Topic::ALL.map(|topic| (topic, stand.topic(topic)));
    let topics = names.iter().map(|(topic, name)| {
        let partitions = match topic {
            Topic::Usage => partitions,
            Topic::Admissions => 6,
            Topic::Producers | Topic::DeadLetters => 1,
        };
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(copies));
        topic.set("retention.ms", "-1").set(setting.0, setting.1)
    });
    let topics: Vec<NewTopic<'_>> = topics.collect();
    let made = admin(servers).create_topics(&topics, &asking()).await;
    let made = made.expect("the broker answers");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

async fn set(servers: &str, stand: &Stand, setting: (&str, &str)) {
    let names = Topic::ALL.map(|topic| stand.topic(topic));
    let topics = names.iter().map(|name| {
        AlterConfig::new(ResourceSpecifier::Topic(name))
            .set("retention.ms", "-1")
            .set(setting.0, setting.1)
    });
    let topics: Vec<AlterConfig<'_>> = topics.collect();
    let altered = admin(servers).alter_configs(&topics, &asking()).await;
    let altered = altered.expect("the broker answers");
    assert!(altered.iter().all(Result::is_ok), "{altered:?}");
}

async fn call(stand: &Stand, nonce: &str) {
    let answer = stand.app().call(&Ask::new(nonce)).await;
    assert_eq!(answer.expect("an answer").status, 200);
}

/// Requests are served, and `/readyz` says all of these words.
async fn says(stand: &Stand, words: &[&str]) {
    eventually(&words.join(", "), async || {
        let (status, text) = stand.readyz().await?;
        assert_eq!(status, 200, "{text}");
        words.iter().all(|word| text.contains(word)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_other_partitions_and_too_few_copies_in_sync_gets_nothing_until_it_is_mended() {
    let cluster = Cluster::start(3).await;
    let servers = cluster.servers();
    let mut plan = Plan::single(&servers);
    plan.kafka =
        "replication = 3\nmin_in_sync = 2\npartitions = 6\ntopics = \"check\"\n".to_owned();
    let stand = Stand::start(plan).await;
    make(&servers, &stand, 3, 3, ("min.insync.replicas", "1")).await;
    call(&stand, "n-1").await;
    let (partitions, in_sync) = (
        "has 3 partitions and 6 are configured: correct `log.kafka.partitions`",
        "min.insync.replicas=1, fewer copies than configured",
    );
    says(&stand, &[partitions, in_sync]).await;
    let usage = stand.topic(Topic::Usage);
    assert_eq!(read_topic(&servers, &usage).await, []);

    // While nothing is in it, its partitions may be as many as should be.
    let more = NewPartitions::new(&usage, 6);
    let made = admin(&servers).create_partitions([&more], &asking()).await;
    assert!(made.expect("the broker answers").iter().all(Result::is_ok));
    set(&servers, &stand, ("min.insync.replicas", "2")).await;
    call(&stand, "n-2").await;
    stand.drained().await;
    let records = read_topic(&servers, &usage).await;
    assert_eq!((records.len(), dense(&records)), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_above_the_brokers_bound_is_named_and_goes_when_the_bound_is_raised() {
    let cluster = Cluster::start(1).await;
    let servers = cluster.servers();
    let mut plan = Plan::single(&servers);
    // Its settings are not looked at, as with a service that does not show them.
    plan.kafka.push_str("topics = \"trust\"\n");
    let mut stand = Stand::start(plan).await;
    make(&servers, &stand, 1, 6, ("max.message.bytes", "200")).await;
    call(&stand, "n-1").await;
    says(&stand, &["took no record", "size"]).await;
    call(&stand, "n-2").await;
    // Nor is anything passed over by a restart.
    stand.terminate().await;
    stand.start_again().await;
    says(&stand, &["took no record", "size"]).await;
    let usage = stand.topic(Topic::Usage);
    assert_eq!(read_topic(&servers, &usage).await, []);

    set(&servers, &stand, ("max.message.bytes", "1048588")).await;
    stand.drained().await;
    let records = read_topic(&servers, &usage).await;
    assert_eq!(records.len() - dense(&records), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_a_journal_is_refused_and_the_first_serves_on() {
    let cluster = Cluster::start(1).await;
    let servers = cluster.servers();
    let mut stand = Stand::start(Plan::single(&servers)).await;
    call(&stand, "before").await;
    let text = std::fs::read_to_string(stand.config()).expect("a configuration");
    let mut other: toml::Table = text.parse().expect("TOML");
    for door in ["listen", "ops_listen"] {
        other["gateway"][door] = free_address().to_string().into();
    }
    let config = stand.config().with_file_name("second.toml");
    std::fs::write(&config, other.to_string()).expect("a file can be written");
    let config = config.display().to_string();
    let output = run_tollgate(&["gateway", "--config", &config]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    let dir = stand.journal_dir().display().to_string();
    assert!(said.contains(&dir), "{said}");

    call(&stand, "after").await;
    stand.drained().await;
    stand.terminate().await;
    let records = read_topic(&servers, &stand.topic(Topic::Usage)).await;
    assert_eq!((records.len(), dense(&records)), (2, 0));
    assert_eq!(stand.records(RecordKind::Usage).len(), 2);
}
