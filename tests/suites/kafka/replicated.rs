//! Durability `replicated`: nothing is sent to a provider and no answer ends before Kafka has the record of it.

use std::fmt::Write as _;

use schemas::{RecordKind, Topic};
use tests::{Ask, Cluster, KEYS, Truth, eventually, within};

use tokio::task::JoinSet;

use crate::stand::{Plan, Stand};
use crate::topic::read_topic;

fn plan(cluster: &Cluster, ack_timeout_ms: u64) -> Plan {
    let mut plan = Plan::single(&cluster.servers());
    writeln!(plan.kafka, "ack_timeout_ms = {ack_timeout_ms}").expect("a text grows");
    // Only acme was promised replicas.
    plan.setup.durability = ["replicated", "written", "written"];
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn when_an_answer_has_ended_kafka_has_its_admission_and_its_record() {
    let cluster = Cluster::start(1).await;
    let stand = Stand::start(plan(&cluster, 30_000)).await;
    let app = stand.app();
    let mut slowest = std::time::Duration::ZERO;
    for call in 0..8 {
        let ask = Ask::new(format!("n-{call}"));
        let ask = if call % 2 == 0 { ask.streamed() } else { ask };
        let began = std::time::Instant::now();
        assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
        slowest = slowest.max(began.elapsed());
        // Read at once: nothing is waited for.
        for topic in [Topic::Admissions, Topic::Usage] {
            let records = read_topic(&cluster.servers(), &stand.topic(topic)).await;
            assert_eq!(records.len(), call + 1, "{topic:?}");
        }
    }
    eprintln!("the slowest of 8 replicated calls took {slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_frozen_broker_a_replicated_request_is_refused_and_reaches_no_provider() {
    let cluster = Cluster::start(1).await;
    let stand = Stand::start(plan(&cluster, 1_000)).await;
    let app = stand.app();
    // A topic that was just made may have no leader for a while.
    eventually("replicas are had", async || {
        let ask = Ask::new(format!("warm-{:x}", rand::random::<u64>()));
        (app.call(&ask).await.ok()?.status == 200).then_some(())
    })
    .await;
    let calls_before = Truth::of(&stand.simulator).requests.len();
    let missed = async || stand.metric("missed_durability_total").await.unwrap_or(0.0);
    let missed_before = missed().await;

    cluster.freeze(1);
    let refused = app.call(&Ask::new("frozen")).await.expect("an answer");
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.error_code().as_deref(),
        Some("metering_unavailable")
    );
    assert_eq!(
        Truth::of(&stand.simulator).requests.len(),
        calls_before,
        "no provider was asked"
    );
    assert!(missed().await > missed_before);
    // It was known before the record was written, which is there before the answer.
    let recorded = stand.records(RecordKind::Usage);
    let recorded = recorded
        .iter()
        .map(|record| String::from_utf8_lossy(record));
    let recorded: Vec<_> = recorded
        .filter(|record| record.contains("\"frozen\""))
        .collect();
    let [record] = &recorded[..] else {
        panic!("one record: {recorded:?}");
    };
    assert!(record.contains("\"durability_degraded\":true"), "{record}");
    // Who was promised less is served.
    let globex = KEYS[3];
    let served = app.call(&Ask::new("written").key(globex)).await;
    assert_eq!(served.expect("an answer").status, 200);

    cluster.thaw(1);
    eventually("replicas are had again", async || {
        let ask = Ask::new(format!("thawed-{:x}", rand::random::<u64>()));
        (app.call(&ask).await.ok()?.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_end_while_the_broker_is_frozen() {
    let cluster = Cluster::start(1).await;
    let mut plan = plan(&cluster, 120_000);
    plan.setup.simulator.latency_ms = 500;
    let stand = Stand::start(plan).await;
    let app = stand.app();
    assert_eq!(
        app.call(&Ask::new("warm")).await.expect("an answer").status,
        200
    );

    let calls_before = Truth::of(&stand.simulator).requests.len();
    let mut held = JoinSet::new();
    {
        let app = app.clone();
        held.spawn(async move { app.call(&Ask::new("held").streamed()).await });
    }
    // The admission is in Kafka, for the provider is asked; the outcome comes half a second later.
    eventually("the provider is asked", async || {
        (Truth::of(&stand.simulator).requests.len() > calls_before).then_some(())
    })
    .await;
    cluster.freeze(1);
    eventually("the outcome is in the journal", async || {
        let usage = stand.records(RecordKind::Usage);
        usage
            .iter()
            .any(|bytes| String::from_utf8_lossy(bytes).contains("\"held\""))
            .then_some(())
    })
    .await;
    assert!(
        held.try_join_next().is_none(),
        "the last byte waits for the acknowledgement"
    );
    cluster.thaw(1);
    let answer = within("the answer ends", held.join_next()).await;
    let answer = answer.expect("one was asked").expect("no panic");
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8_lossy(&answer.body).contains("[DONE]"));
    let records = read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await;
    assert_eq!(records.len(), 2);
}
