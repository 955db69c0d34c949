//! The journal keeps what the store does not have: while nobody reads Kafka nothing goes, whatever dies, and a topic that was made
//! anew gets everything again.

use rdkafka::admin::AdminOptions;
use schemas::Topic;
use tests::eventually;

use super::door::Door;
use super::member::Member;
use super::stand::Stand;

const CALLS: u16 = 1_500;
const MORE: u16 = 20;

/// Kafka has what the journal has, and the store is known not to.
async fn is_published_and_not_confirmed(door: &Door) {
    eventually("published, and not confirmed", async || {
        (door.metric("publisher_publishing").await? > 0.0).then_some(())?;
        (door.metric("publisher_lag_positions").await? < 1.0).then_some(())?;
        (door.metric("publisher_sink_lag_positions").await? >= f64::from(CALLS)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_go_when_the_store_has_them_and_a_topic_made_anew_gets_them_again() {
    let stand = Stand::new().await;
    let mut door = Door::start(&stand).await;
    door.call(0..CALLS).await;
    is_published_and_not_confirmed(&door).await;
    let before = door.segments();
    assert!(before.len() > 3, "{before:?}");

    // What was known of places is gone; the journal is not.
    door.replace().await;
    is_published_and_not_confirmed(&door).await;

    // Kafka loses everything that it has acknowledged.
    let usage = Stand::topic(Topic::Usage);
    let deleted = stand
        .admin()
        .delete_topics(&[&usage], &AdminOptions::new())
        .await;
    assert!(deleted.expect("an answer")[0].is_ok(), "the topic is gone");
    door.call(CALLS..CALLS + MORE).await;
    eventually("the publisher has seen it", async || {
        door.log()
            .contains("what the journal still has is published again")
            .then_some(())
    })
    .await;
    is_published_and_not_confirmed(&door).await;
    let now = door.segments();
    assert!(now.starts_with(&before[..3]), "{before:?}, then {now:?}");

    let member = Member::start(&stand, "one");
    eventually("segments go", async || {
        (!door.segments().contains(&before[0])).then_some(())
    })
    .await;
    eventually("the gateway says so", async || {
        let said = door.log().contains("old segments of the journal removed");
        said.then_some(())
    })
    .await;
    eventually("every call is in the store", async || {
        let sql = "SELECT uniqExact(event_id) FROM usage_events";
        (stand.count(sql).await == u64::from(CALLS + MORE)).then_some(())
    })
    .await;
    eventually("the store is not behind", async || {
        (door.metric("publisher_sink_lag_positions").await? < 50.0).then_some(())
    })
    .await;
    member.stop().await;
}
