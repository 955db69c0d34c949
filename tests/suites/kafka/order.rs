//! Without faults: the same bytes, in order, in their envelopes, and the producer's life beside them.

use std::collections::BTreeMap;

use schemas::topics::{Written, envelope};
use schemas::{Boot, Heartbeat, ProducerRecord, ProducerState, RecordKind, Topic, UsageEvent};
use tests::{Ask, Broker, KEYS};

use crate::stand::{Plan, Stand};
use crate::topic::{Lying, dense, read_topic};

const CALLS: usize = 120;

#[tokio::test(flavor = "multi_thread")]
async fn the_journals_bytes_are_in_the_topic_in_order_and_in_their_envelopes() {
    let broker = Broker::start().await;
    let mut stand = Stand::start(Plan::single(broker.servers())).await;
    let app = stand.app();
    for call in 0..CALLS {
        let key = KEYS[call % KEYS.len()];
        let ask = Ask::new(format!("n-{call}")).key(key);
        assert_eq!(app.call(&ask).await.expect("an answer").status, 200);
    }
    stand.drained().await;
    stand.terminate().await;

    let journal = stand.records(RecordKind::Usage);
    let topic = read_topic(broker.servers(), &stand.topic(Topic::Usage)).await;
    assert_eq!(journal.len(), CALLS);
    assert_eq!(dense(&topic), 0, "nothing was published twice");
    let places: BTreeMap<&[u8], usize> = journal
        .iter()
        .enumerate()
        .map(|(place, bytes)| (bytes.as_slice(), place))
        .collect();
    let found: Vec<usize> = topic
        .iter()
        .map(|record| {
            *places
                .get(record.value.as_slice())
                .expect("as it was written")
        })
        .collect();
    assert_eq!(found.len(), CALLS);
    for (pair, records) in found.windows(2).zip(topic.windows(2)) {
        let same = records[0].partition == records[1].partition;
        assert!(
            !same || pair[0] < pair[1],
            "the order of the journal is kept"
        );
    }
    topic.iter().for_each(is_in_its_envelope);
    let used: std::collections::BTreeSet<i32> =
        topic.iter().map(|record| record.partition).collect();
    assert!(used.len() > 3, "keys spread over partitions: {used:?}");

    the_life_is_told(
        &stand,
        &read_topic(broker.servers(), &stand.topic(Topic::Producers)).await,
    );
    let admissions = read_topic(broker.servers(), &stand.topic(Topic::Admissions)).await;
    assert_eq!(admissions, [], "nobody was promised replicas");
}

fn is_in_its_envelope(record: &Lying) {
    let event: UsageEvent = record.event();
    assert_eq!(
        record.header("ce_id"),
        Some(event.event_id.to_string().as_str())
    );
    assert_eq!(record.header("ce_subject"), Some(event.tenant.as_str()));
    let source = format!("//tollgate/gateway/{}", event.producer);
    assert_eq!(record.header("ce_source"), Some(source.as_str()));
    assert_eq!(record.header("ce_specversion"), Some("1.0"));
    // A reader makes the headers again from the bytes alone and compares.
    let nobody = Written {
        producer: "",
        boot: Boot {
            counter: 0,
            nonce: [0; 8],
        },
        position: 0,
    };
    let again = envelope(RecordKind::Usage, &record.value, nobody);
    let again = again.headers();
    let again: Vec<(String, String)> = again
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(record.headers, again);
}

/// Registered, live, heartbeats, draining, closed with the last number: in this order, and nothing after it.
fn the_life_is_told(stand: &Stand, topic: &[Lying]) {
    let mut states = Vec::new();
    let mut last = None;
    let mut beats = 0;
    for record in topic {
        match record.header("ce_type") {
            Some("ai.tollgate.producer.v1") => {
                let record: ProducerRecord = serde_json::from_slice(&record.value).expect("a life");
                states.push(record.state);
                last = record.last_producer_seq;
            }
            Some("ai.tollgate.heartbeat.v1") => {
                let _: Heartbeat = serde_json::from_slice(&record.value).expect("a heartbeat");
                beats += 1;
            }
            other => panic!("{other:?} in the topic of producers"),
        }
    }
    assert_eq!(
        states,
        [
            ProducerState::Registered,
            ProducerState::Live,
            ProducerState::Draining,
            ProducerState::Closed
        ]
    );
    assert_eq!(last, Some(i64::try_from(CALLS).expect("few") - 1));
    assert_eq!(beats, stand.records(RecordKind::Heartbeat).len());
    let bytes: Vec<&[u8]> = topic.iter().map(|record| record.value.as_slice()).collect();
    let closed = serde_json::from_slice::<ProducerRecord>(bytes.last().expect("records"));
    assert_eq!(closed.expect("a life").state, ProducerState::Closed);
}
