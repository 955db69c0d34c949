//! `insert_quorum`: every insert asks a server with replicas for so many of them, and nothing else does. A quorum that is not there
//! holds up, and doubles nothing. What a server with replicas would say comes from what stands before this one, which has none.

use std::collections::BTreeMap;

use tests::eventually;

use super::front::{Front, Insert, OF_REPLICAS};
use super::stand::Stand;

const EVENTS: u64 = 300;
const MORE: u64 = 60;
const QUORUM: &str = "2";

/// What a server says that knows of too few replicas, before it does anything, and what it says when they do not confirm in time.
/// Source: ClickHouse/ClickHouse, `src/Storages/MergeTree/ReplicatedMergeTreeSink.cpp`.
const TOO_FEW: &str = "Code: 285. DB::Exception: Number of alive replicas (1) is less than requested quorum (2/2). \
    (TOO_FEW_LIVE_REPLICAS)";
const NOT_KNOWN: &str = "Code: 319. DB::Exception: Unknown quorum status. The data was inserted in the local replica but we could \
    not verify quorum. Reason: Timeout while waiting for quorum. (UNKNOWN_STATUS_OF_INSERT)";

fn setting<'a>(insert: &'a Insert, name: &str) -> Option<&'a str> {
    insert.settings.get(name).map(String::as_str)
}

fn number(insert: &Insert, name: &str) -> u64 {
    let value = setting(insert, name).expect(name);
    value.parse().expect("a number")
}

/// How often the server took each token.
fn taken(inserts: &[Insert]) -> BTreeMap<&str, usize> {
    let mut taken = BTreeMap::new();
    for insert in inserts.iter().filter(|insert| insert.is_taken) {
        *taken.entry(insert.token()).or_default() += 1;
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_insert_asks_for_the_quorum_and_one_that_is_refused_is_repeated_with_its_token() {
    let stand = Stand::new().await;
    let front = Front::start(stand.engine_url()).await;
    let settings = format!("insert_quorum = {QUORUM}\n");
    let member = front.member(&stand, "asking", &settings);
    front.refuse(Some(TOO_FEW));
    stand.produce(0..EVENTS);
    stand.flush().await;
    eventually("it waits for the store and says why", async || {
        let (_, partitions) = member.ask("/partitions").await?;
        let is_said = member.log().contains(TOO_FEW);
        (is_said && partitions.contains("waiting for the store")).then_some(())
    })
    .await;
    assert_eq!(stand.count("SELECT count() FROM audit_log").await, 0);
    let refused = front.inserts();
    assert!(!refused.is_empty() && taken(&refused).is_empty());

    front.doubt(NOT_KNOWN);
    front.refuse(None);
    stand.holds_exactly(EVENTS, &[&member]).await;
    assert!(member.log().contains(NOT_KNOWN));
    let inserts = front.inserts();
    let taken = taken(&inserts);
    for insert in &refused {
        let again = taken.contains_key(insert.token());
        assert!(again, "{} did not come again", insert.token());
    }
    let twice = taken.values().filter(|times| **times == 2).count();
    assert_eq!(twice, 1, "the one in doubt, and no other: {taken:?}");
    for insert in &inserts {
        assert_eq!(setting(insert, "insert_quorum"), Some(QUORUM), "{insert:?}");
        // It stops waiting for replicas before it stops waiting for the whole insert.
        let waits_ms = number(insert, "insert_quorum_timeout");
        assert!(waits_ms < number(insert, "max_execution_time") * 1_000);
    }
    for name in OF_REPLICAS {
        assert!(!front.others().contains(name), "{name} is for inserts");
        let known = format!("SELECT count() FROM system.settings WHERE name = '{name}'");
        assert_eq!(stand.count(&known).await, 1, "ClickHouse has {name}");
    }
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_the_servers_own_settings_hold() {
    let stand = Stand::new().await;
    let front = Front::start(stand.engine_url()).await;
    let member = front.member(&stand, "plain", "");
    stand.produce(0..MORE);
    stand.flush().await;
    stand.holds_exactly(MORE, &[&member]).await;
    let inserts = front.inserts();
    assert!(!inserts.is_empty());
    for insert in &inserts {
        for name in OF_REPLICAS {
            assert_eq!(setting(insert, name), None, "{insert:?}");
        }
    }
    member.stop().await;
}
