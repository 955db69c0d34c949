//! The log is away: who was promised that records are replicated is refused before a provider is asked, by tenant or by route;
//! everybody else is served, and nothing of it is missing when the log is back.

use std::fmt::Write as _;

use schemas::{RecordKind, Topic};
use tests::{Ask, Cluster, KEYS, MODELS, Truth, eventually, within};

use crate::stand::{Plan, Stand};
use crate::topic::{dense, read_topic};

/// acme is promised little, globex that records are replicated; so is everybody who asks for the second model.
fn plan(cluster: &Cluster, ack_timeout_ms: u64) -> Plan {
    let mut plan = Plan::single(&cluster.servers());
    writeln!(plan.kafka, "ack_timeout_ms = {ack_timeout_ms}").expect("a text grows");
    plan.setup.durability = ["written", "replicated", "written"];
    plan.setup.route_durability = ["", "replicated", ""];
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_a_closed_route_refuses_and_an_open_one_serves_and_delivers_all() {
    let mut cluster = Cluster::start(1).await;
    let mut stand = Stand::start(plan(&cluster, 5_000)).await;
    let app = stand.app();
    for (model, key) in [
        (MODELS[0], KEYS[0]),
        (MODELS[1], KEYS[0]),
        (MODELS[0], KEYS[3]),
    ] {
        let ask = Ask::new(format!("warm-{model}-{}", key.id))
            .model(model)
            .key(key);
        assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
    }
    stand.drained().await;
    let asked_before = Truth::of(&stand.simulator).requests.len();

    cluster.kill(1);
    // Together, for each waits out its bound.
    let mut refused = tokio::task::JoinSet::new();
    for call in 0..3 {
        let by_route = Ask::new(format!("route-{call}")).model(MODELS[1]);
        let by_tenant = Ask::new(format!("tenant-{call}")).key(KEYS[3]);
        for ask in [by_route, by_tenant] {
            let app = app.clone();
            refused.spawn(async move { app.call(&ask).await });
        }
    }
    for answer in refused.join_all().await {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 503);
        let code = answer.error_code();
        assert_eq!(code.as_deref(), Some("metering_unavailable"));
    }
    let asked = Truth::of(&stand.simulator).requests.len();
    assert_eq!(
        asked, asked_before,
        "no provider was asked for what is refused"
    );
    for call in 0..60 {
        let ask = Ask::new(format!("served-{call}"));
        let ask = if call % 3 == 0 { ask.streamed() } else { ask };
        assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
    }

    cluster.start_node(1);
    stand.drained().await;
    stand.terminate().await;
    let records = read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await;
    dense(&records);
    let delivered: std::collections::BTreeSet<&[u8]> =
        records.iter().map(|record| &record.value[..]).collect();
    let journal = stand.records(RecordKind::Usage);
    assert_eq!(journal.len(), 3 + 6 + 60);
    assert!(journal.iter().all(|bytes| delivered.contains(&bytes[..])));
    let completed = records
        .iter()
        .filter(|record| record.event().outcome == schemas::Outcome::Completed);
    assert!(completed.count() >= 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_record_is_not_replicated_in_time_is_finished_and_counted() {
    let cluster = Cluster::start(1).await;
    let mut plan = plan(&cluster, 5_000);
    plan.setup.simulator.latency_ms = 500;
    let stand = Stand::start(plan).await;
    let app = stand.app();
    let by_route = |nonce: &str| Ask::new(nonce).model(MODELS[1]);
    // A broker that has just been started may need longer for its first records.
    eventually("a call is replicated in time", async || {
        let warm = app.call(&by_route("warm")).await.ok()?;
        (warm.status == 200).then_some(())
    })
    .await;
    let missed_before = stand.metric("missed_durability_total").await.unwrap_or(0.0);

    let calls = Truth::of(&stand.simulator).requests.len();
    let mut held = tokio::task::JoinSet::new();
    held.spawn(async move { app.call(&by_route("held").streamed()).await });
    eventually("the provider is asked", async || {
        (Truth::of(&stand.simulator).requests.len() > calls).then_some(())
    })
    .await;
    cluster.freeze(1);
    let answer = within("the answer ends", held.join_next()).await;
    let answer = answer.expect("one call").expect("no panic");
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8_lossy(&answer.body).contains("[DONE]"));
    let missed = stand.metric("missed_durability_total").await;
    assert!(
        missed.is_some_and(|missed| missed > missed_before),
        "{missed:?}"
    );
    cluster.thaw(1);
    stand.drained().await;
    let records = read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await;
    dense(&records);
    let events = records.iter().map(crate::topic::Lying::event);
    let completed = events.filter(|event| event.outcome == schemas::Outcome::Completed);
    let completed: std::collections::BTreeSet<_> =
        completed.map(|event| event.event_id.to_string()).collect();
    assert_eq!(completed.len(), 2, "and it is there all the same");
}
