//! A store that lost its tables, or their beginning, while no member ran: what the log still holds is written again.

use super::member::Member;
use super::stand::Stand;

const TABLES: [&str; 3] = ["audit_log", "usage_events", "cuts"];
const EVENTS: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_and_is_in_no_table_any_more_is_written_again() {
    let stand = Stand::new().await;
    let member = Member::start(&stand, "first");
    stand.produce(0..EVENTS);
    stand.flush().await;
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;

    for table in TABLES {
        let emptying = format!("TRUNCATE TABLE {table}");
        stand.client.query(&emptying).execute().await.unwrap();
    }
    let member = Member::start(&stand, "second");
    stand.holds_exactly(EVENTS, &[&member]).await;
    assert!(
        member.log().contains("the store has no cut of it"),
        "a person hears of it"
    );
    member.stop().await;

    // The beginning alone: the first cut is another one then.
    for (table, place) in [
        ("audit_log", "offset"),
        ("usage_events", "offset"),
        ("cuts", "first"),
    ] {
        let taking = format!(
            "ALTER TABLE {table} DELETE WHERE {place} <= (SELECT min(last) FROM cuts WHERE partition = 0) AND partition = 0 \
             SETTINGS mutations_sync = 1, allow_nondeterministic_mutations = 1"
        );
        stand.client.statement(&taking).execute().await.unwrap();
    }
    let left = "SELECT uniqExact(event_id) FROM usage_events";
    assert!(stand.count(left).await < EVENTS, "something was taken");
    let member = Member::start(&stand, "third");
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;
}
