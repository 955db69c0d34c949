//! Each thing that the pipeline needs dies in turn and comes back, while calls are made: each does what the table of faults says,
//! and at the end the store has every call once.

use tests::{App, Ask, Brokers, eventually};

use crate::pipeline::member::Member;
use crate::pipeline::stand as pipeline;
use crate::stand::{Plan, Stand};

const CALLS: u64 = 20;

async fn serve(app: &App, what: &str) {
    for call in 0..CALLS {
        let ask = Ask::new(format!("{what}-{call}"));
        let ask = if call % 4 == 0 { ask.streamed() } else { ask };
        let answer = app.call(&ask).await;
        assert_eq!(answer.expect("an answer").status, 200, "{what}");
    }
}

async fn is_ready(gateway: &Stand, what: &str) {
    let (status, text) = gateway.readyz().await.expect("an answer");
    assert_eq!(status, 200, "{what}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_dependency_dies_in_turn_and_every_call_is_served_and_recorded_once() {
    let mut back = pipeline::Stand::without_topics(Brokers::default()).await;
    let mut plan = Plan::single(&back.cluster.servers());
    plan.prefix = Some(pipeline::PREFIX.to_owned());
    plan.kafka = format!(
        "replication = 1\nmin_in_sync = 1\npartitions = {}\n",
        pipeline::PARTITIONS
    );
    let mut gateway = Stand::start(plan).await;
    let app = gateway.app();
    gateway.drained().await;
    let mut member = Member::start(&back, "one");

    back.kill_engine();
    serve(&app, "without a store").await;
    is_ready(&gateway, "without a store").await;
    back.start_engine().await;

    member.kill();
    serve(&app, "without a consumer").await;
    is_ready(&gateway, "without a consumer").await;
    member.replace();

    back.cluster.kill(1);
    serve(&app, "without a broker").await;
    is_ready(&gateway, "without a broker").await;
    back.cluster.start_node(1);
    back.cluster.ready().await;

    serve(&app, "before a gateway dies").await;
    gateway.kill();
    // By a connection that was open, or by none: nobody answers.
    assert!(app.call(&Ask::new("refused")).await.is_err());
    gateway.start_again().await;
    serve(&app, "after it").await;

    let calls = 5 * CALLS;
    eventually("the store has every call", async || {
        let sql = "SELECT uniqExact(event_id) FROM usage_events";
        let asked = back.client.query(sql).fetch_one::<u64>().await;
        (asked.ok()? >= calls).then_some(())
    })
    .await;
    for (what, sql, wanted) in [
        ("events", "SELECT count() FROM usage_events FINAL", calls),
        (
            "completed by the provider's figures",
            "SELECT countIf(outcome = 'completed' AND usage_source = 'provider') FROM usage_events FINAL",
            calls,
        ),
        (
            "nonces",
            "SELECT uniqExact(labels['client_request_id']) FROM usage_events",
            calls,
        ),
        (
            "gaps between cuts",
            "SELECT toUInt64(countIf(first != before + 1)) FROM (SELECT first, \
             lagInFrame(last, 1, toInt64(-1)) OVER (PARTITION BY topic, partition ORDER BY first) AS before FROM cuts FINAL)",
            0,
        ),
    ] {
        assert_eq!(back.count(sql).await, wanted, "{what}");
    }
    member.stop().await;
}
