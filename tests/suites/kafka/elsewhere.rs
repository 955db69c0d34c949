//! The brokers' addresses lead to another cluster than before: nothing is published until a person has decided.

use rdkafka::consumer::Consumer;
use rdkafka::metadata::MetadataTopic;
use schemas::Topic;
use tests::{Ask, Brokers, Cluster, eventually};

use crate::stand::{Plan, Stand};
use crate::topic::{dense, read_topic};

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_gets_nothing_until_it_is_decided_and_the_old_one_gets_all() {
    let first = Cluster::start(1).await;
    let second = Brokers {
        cluster_id: "YW5vdGhlci1jbHVzdGVyMQ".to_owned(),
        ..Brokers::default()
    };
    let second = Cluster::start_with(1, &second).await;
    let mut stand = Stand::start(Plan::single(&first.servers())).await;
    let app = stand.app();
    let call = async |nonce: &str| {
        let answer = app.call(&Ask::new(nonce)).await;
        assert_eq!(answer.expect("an answer").status, 200);
    };
    call("first").await;
    stand.drained().await;
    stand.terminate().await;

    stand.lead_to(&second.servers());
    stand.start_again().await;
    call("meanwhile").await;
    eventually("it says that it is another cluster", async || {
        let (status, text) = stand.readyz().await?;
        assert_eq!(status, 200, "requests are served: {text}");
        text.contains("was published to cluster").then_some(())
    })
    .await;
    stand.terminate().await;

    stand.lead_to(&first.servers());
    stand.start_again().await;
    stand.drained().await;
    let records = read_topic(&first.servers(), &stand.topic(Topic::Usage)).await;
    dense(&records);
    assert_eq!(records.len(), 2);
    let reader = crate::topic::reader(&second.servers(), "none");
    let asking = tokio::task::spawn_blocking(move || reader.fetch_metadata(None, tests::DEADLINE));
    let metadata = asking.await.expect("no panic").expect("the brokers answer");
    // The brokers make one of their own for whoever asks how far a group is.
    let names = metadata.topics().iter().map(MetadataTopic::name);
    let names: Vec<&str> = names.filter(|name| !name.starts_with("__")).collect();
    assert_eq!(names, [""; 0], "nothing was made in the other cluster");
}
