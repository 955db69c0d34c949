//! Records that nobody can read, and records of a version to come.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::Topic;
use tests::eventually;

use super::events::{encode, event};
use super::member::Member;
use super::stand::Stand;

/// Reasons in the topic of dead letters, sorted.
fn dead_letters(stand: &Stand) -> Vec<String> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", stand.cluster.servers())
        .set("group.id", "looking");
    let consumer: BaseConsumer = config.create().expect("the topic is there");
    let mut list = TopicPartitionList::new();
    let topic = Stand::topic(Topic::DeadLetters);
    list.add_partition_offset(&topic, 0, Offset::Beginning)
        .expect("the topic is there");
    consumer.assign(&list).expect("the topic is there");
    let ends = consumer.fetch_watermarks(&topic, 0, Duration::from_secs(10));
    let (_, end) = ends.expect("the topic is there");
    let mut reasons = Vec::new();
    while i64::try_from(reasons.len()).expect("the topic is there") < end {
        let Some(Ok(message)) = consumer.poll(Duration::from_secs(10)) else {
            break;
        };
        let headers = message.headers().expect("the topic is there");
        let reason = headers
            .iter()
            .find(|header| header.key == "tollgate_reason");
        let reason = reason
            .and_then(|header| header.value)
            .expect("the topic is there");
        reasons.push(String::from_utf8_lossy(reason).into_owned());
    }
    reasons.sort();
    reasons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_and_contradictions_are_dead_letters_and_a_newer_version_pauses_its_partition_alone()
{
    let stand = Stand::new().await;
    stand.produce(0..100);
    stand.send(Some(0), b"noise", |_| {});
    stand.send(Some(1), &encode(&event(900)), |headers| {
        for (name, value) in headers.iter_mut() {
            if *name == "ce_subject" {
                *value = "somebody-else".to_owned();
            }
        }
    });
    stand.flush().await;
    let member = Member::start(&stand, "one");
    stand.holds_exactly(100, &[&member]).await;
    let letters = dead_letters(&stand);
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters.iter().any(|reason| reason.contains("ce_subject")));
    let (_, metrics) = member.ask("/metrics").await.unwrap();
    let counted = r#"tollgate_consumer_dead_letters_total{reason="contradiction"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(member.ask("/readyz").await.unwrap().0, 200);

    stand.send(Some(0), br#"{"wire":"v2","new":"field"}"#, |_| {});
    stand.flush().await;
    let said = eventually("the member says that it needs a person", async || {
        let (status, said) = member.ask("/readyz").await?;
        (status == 503).then_some(said)
    })
    .await;
    assert!(
        said.contains("partition 0") && said.contains("upgrade"),
        "{said}"
    );
    let (_, metrics) = member.ask("/metrics").await.unwrap();
    assert!(metrics.contains("tollgate_consumer_halted_partitions 1"));
    assert!(
        metrics.contains(r#"tollgate_consumer_halts_total{cause="newer"}"#),
        "{metrics}"
    );
    let (_, partitions) = member.ask("/partitions").await.unwrap();
    let halted = partitions.lines().find(|line| line.starts_with("0 "));
    let halted = halted.expect("a line");
    assert!(
        halted.contains("halted") && halted.contains("version v2"),
        "{partitions}"
    );
    assert!(member.log().contains("of version v2"), "{}", member.log());
    for number in 100..150 {
        let partition = if number % 2 == 0 { 1 } else { 2 };
        stand.send(Some(partition), &encode(&event(number)), |_| {});
    }
    stand.flush().await;
    eventually("the other partitions go on", async || {
        let events = stand.count("SELECT count() FROM usage_events").await;
        (events == 150).then_some(())
    })
    .await;
    assert_eq!(
        dead_letters(&stand).len(),
        2,
        "a newer version is no dead letter"
    );
    member.stop().await;
}
