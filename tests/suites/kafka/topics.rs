//! Topics as they must not be: named with the way out, nothing published into them, nothing lost.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use schemas::Topic;
use tests::{Ask, Cluster, eventually};

use crate::stand::{Plan, Stand};
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

async fn says(stand: &Stand, words: &str) {
    eventually(words, async || {
        let (status, text) = stand.readyz().await?;
        assert_eq!(status, 200, "{text}");
        text.contains(words).then_some(())
    })
    .await;
}

/// Makes the topics of a stand by hand; the usage topic is cleaned up as said.
pub async fn make_topics(servers: &str, stand: &Stand, usage_cleanup: &str) {
    let names = Topic::ALL.map(|topic| (topic, stand.topic(topic)));
    let topics: Vec<NewTopic<'_>> = names
        .iter()
        .map(|(topic, name)| {
            let partitions = match topic {
                Topic::Usage | Topic::Admissions => 6,
                Topic::Producers | Topic::DeadLetters => 1,
            };
            let cleanup = if *topic == Topic::Usage {
                usage_cleanup
            } else {
                "delete"
            };
            NewTopic::new(name, partitions, TopicReplication::Fixed(1))
                .set("cleanup.policy", cleanup)
                .set("retention.ms", "-1")
        })
        .collect();
    let made = admin(servers).create_topics(&topics, &asking()).await;
    let made = made.expect("the broker answers");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_would_lose_records_gets_none_until_it_is_mended() {
    let cluster = Cluster::start(1).await;
    let servers = cluster.servers();
    let mut plan = Plan::single(&servers);
    plan.kafka.push_str("topics = \"check\"\n");
    let stand = Stand::start(plan).await;
    let app = stand.app();
    assert_eq!(
        app.call(&Ask::new("n-1")).await.expect("an answer").status,
        200
    );
    says(&stand, "is not there: make it").await;

    let usage = stand.topic(Topic::Usage);
    make_topics(&servers, &stand, "compact").await;
    says(&stand, "cleanup.policy=compact").await;
    assert_eq!(
        app.call(&Ask::new("n-2")).await.expect("an answer").status,
        200
    );
    assert_eq!(read_topic(&servers, &usage).await, []);

    let mended = AlterConfig::new(ResourceSpecifier::Topic(&usage))
        .set("cleanup.policy", "delete")
        .set("retention.ms", "-1");
    let altered = admin(&servers)
        .alter_configs([&mended], &asking())
        .await
        .expect("the broker answers");
    assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    stand.drained().await;
    let topic = read_topic(&servers, &usage).await;
    dense(&topic);
    assert_eq!(topic.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_gets_everything_that_the_journal_has() {
    let cluster = Cluster::start(1).await;
    let servers = cluster.servers();
    let mut stand = Stand::start(Plan::single(&servers)).await;
    let app = stand.app();
    for call in 0..40 {
        assert_eq!(
            app.call(&Ask::new(format!("n-{call}")))
                .await
                .expect("an answer")
                .status,
            200
        );
    }
    stand.drained().await;
    stand.terminate().await;
    let usage = stand.topic(Topic::Usage);
    let deleted = admin(&servers).delete_topics(&[&usage], &asking()).await;
    assert!(
        deleted
            .expect("the broker answers")
            .iter()
            .all(Result::is_ok)
    );

    stand.start_again().await;
    stand.drained().await;
    let topic = read_topic(&servers, &usage).await;
    dense(&topic);
    assert_eq!(topic.len(), 40, "\n{}", stand.log());
    assert!(stand.log().contains("published again"));
}

/// What the client has sent to a topic that goes away under it is refused in the end; the next session makes the topic anew and
/// begins again.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_under_a_running_gateway_gets_everything_again() {
    let cluster = Cluster::start(1).await;
    let servers = cluster.servers();
    let stand = Stand::start(Plan::single(&servers)).await;
    let app = stand.app();
    for call in 0..20 {
        let answer = app.call(&Ask::new(format!("before-{call}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    stand.drained().await;
    let usage = stand.topic(Topic::Usage);
    let deleted = admin(&servers).delete_topics(&[&usage], &asking()).await;
    assert!(
        deleted
            .expect("the broker answers")
            .iter()
            .all(Result::is_ok)
    );
    for call in 0..20 {
        let answer = app.call(&Ask::new(format!("after-{call}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    eventually("the journal is published again", async || {
        stand.log().contains("published again").then_some(())
    })
    .await;
    stand.drained().await;
    let topic = read_topic(&servers, &usage).await;
    dense(&topic);
    assert_eq!(topic.len(), 40);
}
