//! Kafka away, at the start or in mid-traffic: requests are served, the journal grows, and it drains in order on return.

use schemas::{RecordKind, Topic};
use tests::{Ask, Cluster, eventually};

use crate::stand::{Plan, Stand};
use crate::topic::{dense, read_topic};

async fn serve(stand: &Stand, prefix: &str, calls: usize) {
    let app = stand.app();
    for call in 0..calls {
        let ask = Ask::new(format!("{prefix}-{call}"));
        assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
    }
}

async fn says(stand: &Stand, words: &str) -> String {
    eventually(words, async || {
        let (status, text) = stand.readyz().await?;
        assert_eq!(status, 200, "it serves all the same: {text}");
        text.contains(words).then_some(text)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_requests_are_served_and_on_its_return_everything_drains_in_order() {
    let mut cluster = Cluster::start(1).await;
    let mut stand = Stand::start(Plan::single(&cluster.servers())).await;
    serve(&stand, "before", 30).await;
    stand.drained().await;

    cluster.kill(1);
    serve(&stand, "away", 200).await;
    says(&stand, "not publishing to Kafka").await;
    eventually("the lag shows", async || {
        let behind = stand.metric("publisher_lag_positions").await? >= 200.0;
        let bytes = stand.metric("publisher_lag_bytes").await? > 0.0;
        let age = stand.metric("publisher_lag_seconds").await? > 0.0;
        (behind && bytes && age).then_some(())
    })
    .await;

    let back = std::time::Instant::now();
    cluster.start_node(1);
    stand.drained().await;
    eprintln!("drained {:?} after the broker was started", back.elapsed());
    says(&stand, "publishing to Kafka").await;
    serve(&stand, "after", 30).await;
    stand.terminate().await;

    let topic = read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await;
    let journal = stand.records(RecordKind::Usage);
    dense(&topic);
    // Of one partition the first copies stand in the order of the journal.
    let mut last = std::collections::BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for record in &topic {
        let place = journal.iter().position(|bytes| *bytes == record.value);
        let place = place.expect("nothing is invented");
        if seen.insert(place) {
            let before = last.insert(record.partition, place);
            assert!(before.is_none_or(|before| before < place), "order is kept");
        }
    }
    assert_eq!((seen.len(), journal.len()), (260, 260));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_and_serves_without_kafka() {
    let mut cluster = Cluster::start(1).await;
    cluster.kill(1);
    let stand = Stand::start(Plan::single(&cluster.servers())).await;
    serve(&stand, "early", 20).await;
    says(&stand, "can not be reached").await;
    cluster.start_node(1);
    stand.drained().await;
    let topic = read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await;
    dense(&topic);
    assert_eq!(topic.len(), 20);
}
