//! The store grows from one server to two. The mapping of partitions never changes for a topic: its consumers write nothing of a
//! partition that would go elsewhere, the old topics are read to their end into the old shard, and a new generation of topics, with
//! a group of its own, is dealt to both.

use schemas::Topic;
use store::Client;
use tests::{TopicView, eventually};

use super::member::Member;
use super::shards::{OTHER, Second, all_committed, events, member, with_shards};
use super::stand::{GAPS, GROUP, PARTITIONS, PREFIX, Stand};

const EVENTS: u64 = 600;
/// What comes while consumers have the wrong shards.
const LATE: u64 = 60;
/// What comes into the topics of the new generation.
const NEW: u64 = 600;
const NEW_PREFIX: &str = "t2.";
/// The partition that would go to the second shard of two.
const STRAYING: i32 = 1;

/// A member of the new generation.
fn of_new_generation(stand: &Stand, name: &str, shards: &[&str]) -> Member {
    let prefix = |prefix: &str| format!("topic_prefix = \"{prefix}\"");
    let group = |group: &str| format!("group = \"{group}\"");
    Member::start_with(stand, name, |text| {
        let text = text.replace(&prefix(PREFIX), &prefix(NEW_PREFIX));
        let text = text.replace(&group(GROUP), &group("new-consumers"));
        with_shards(&text, shards)
    })
}

/// Which partitions of a generation a shard has anything of.
async fn partitions(client: &Client, table: &str, prefix: &str) -> Vec<i32> {
    let sql = format!(
        "SELECT DISTINCT partition FROM {table} WHERE startsWith(topic, '{prefix}') ORDER BY partition"
    );
    client.fetch_all(&sql).await.expect("an answer")
}

/// The sum of a count over both shards.
async fn sum(clients: [&Client; 2], sql: &str) -> u64 {
    let mut sum = 0;
    for client in clients {
        let asked = client.query(sql).fetch_one::<u64>().await;
        sum += asked.expect("an answer");
    }
    sum
}

/// Each event is on one shard, and there once; each record has its row and its batch.
async fn holds_exactly(clients: [&Client; 2], wanted: u64) {
    let mut ids = Vec::new();
    for client in clients {
        let sql = "SELECT toString(event_id) FROM usage_events";
        let found = client.fetch_all::<String>(sql).await;
        ids.extend(found.expect("an answer"));
    }
    assert_eq!(ids.len() as u64, wanted, "rows of events");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, wanted, "events");
    let copies = "SELECT toUInt64(count() - uniqExact(topic, partition, offset)) FROM audit_log";
    for (sql, wanted) in [
        ("SELECT countIf(fate = 'event') FROM audit_log", wanted),
        ("SELECT toUInt64(sum(events)) FROM cuts FINAL", wanted),
        (copies, 0),
        (GAPS, 0),
    ] {
        assert_eq!(sum(clients, sql).await, wanted, "{sql}");
    }
}

/// A member that has two servers for topics that had one: what would go elsewhere stands still, the rest goes on.
async fn goes_on_without_what_strays(stand: &Stand, early: &Member) {
    let view = TopicView::new(&stand.cluster.servers(), Stand::topic(Topic::Usage));
    let ends = eventually("the broker says where the topic ends", async || {
        view.ends(PARTITIONS).await
    })
    .await;
    eventually("one partition stands still and says why", async || {
        let (status, text) = early.ask("/readyz").await?;
        let halted = text.matches(OTHER).count();
        let is_named = text.contains(&format!("partition {STRAYING}: "));
        (status == 503 && halted == 1 && is_named).then_some(())
    })
    .await;
    eventually("the others go on", async || {
        let at = early.partitions().await;
        let mut others = ends.keys().filter(|partition| **partition != STRAYING);
        let is_done = others.all(|partition| {
            let at = at.get(partition);
            at.is_some_and(|at| at.committed >= ends[partition])
        });
        is_done.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_grows_gets_old_and_new_topics_once_over_all_shards() {
    let stand = Stand::new().await;
    let first = stand.engine_url();
    stand.produce(0..EVENTS);
    stand.flush().await;
    let old = member(&stand, "old", &[&first]);
    stand.holds_exactly(EVENTS, &[&old]).await;
    old.stop().await;

    // Two servers for the old topics.
    let second = Second::start(&stand).await;
    stand.produce(EVENTS..EVENTS + LATE);
    stand.flush().await;
    let of_straying = format!("SELECT count() FROM audit_log WHERE partition = {STRAYING}");
    let before = stand.count(&of_straying).await;
    let early = member(&stand, "early", &[&first, &second.url]);
    goes_on_without_what_strays(&stand, &early).await;
    early.stop().await;
    let after = stand.count(&of_straying).await;
    assert_eq!(after, before, "nothing was written here");
    assert_eq!(events(&second.client).await, 0, "nor there");

    // Their consumers read them to their end with the shards that they had.
    let old = member(&stand, "old-again", &[&first]);
    stand.holds_exactly(EVENTS + LATE, &[&old]).await;
    old.stop().await;

    stand.make_topics_of(NEW_PREFIX).await;
    stand.produce_of(NEW_PREFIX, EVENTS + LATE..EVENTS + LATE + NEW);
    stand.flush().await;
    let new = of_new_generation(&stand, "new", &[&first, &second.url]);
    let total = EVENTS + LATE + NEW;
    eventually("all of the new topics is in the store", async || {
        let found = events(&stand.client).await + events(&second.client).await;
        (found >= total).then_some(())
    })
    .await;
    all_committed(&new).await;
    new.stop().await;
    holds_exactly([&stand.client, &second.client], total).await;
    for table in ["audit_log", "usage_events", "cuts"] {
        for (client, prefix, wanted) in [
            (&stand.client, PREFIX, &[0, 1, 2][..]),
            (&second.client, PREFIX, &[]),
            (&stand.client, NEW_PREFIX, &[0, 2]),
            (&second.client, NEW_PREFIX, &[STRAYING]),
        ] {
            let found = partitions(client, table, prefix).await;
            assert_eq!(found, wanted, "{prefix} in {table}");
        }
    }
}
