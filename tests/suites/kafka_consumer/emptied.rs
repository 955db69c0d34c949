//! A store that lost its tables, or their beginning, while no member ran: what the log still holds is written again. And a log that
//! lost what nobody had read: it is named, and reading goes on.

use rdkafka::Offset;
use rustix::process::Signal;

use super::archived::delete_below;
use super::member::Member;
use super::stand::{PARTITIONS, Stand};

const TABLES: [&str; 3] = ["audit_log", "usage_events", "cuts"];
const EVENTS: u64 = 300;

/// A store that has all that is in the log; no member runs.
async fn written() -> Stand {
    let stand = Stand::new().await;
    let member = Member::start(&stand, "first");
    stand.produce(0..EVENTS);
    stand.flush().await;
    stand.holds_exactly(EVENTS, &[&member]).await;
    member.stop().await;
    stand
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_and_is_in_no_table_any_more_is_written_again() {
    let stand = written().await;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_went_before_anybody_read_them_are_named_and_reading_goes_on() {
    let stand = written().await;

    stand.produce(EVENTS..2 * EVENTS);
    stand.flush().await;
    delete_below(&stand, (0..PARTITIONS).map(|of| (of, Offset::End))).await;
    let member = Member::start(&stand, "second");
    stand.produce(2 * EVENTS..3 * EVENTS);
    stand.flush().await;
    let read = "SELECT uniqExact(event_id) FROM usage_events";
    tests::eventually("what the log has is read", async || {
        (stand.count(read).await == 2 * EVENTS).then_some(())
    })
    .await;
    let lost = "were never written to the store and are no longer in the log";
    let told = member.log();
    assert_eq!(told.matches(lost).count(), PARTITIONS as usize, "{told}");

    // The same under a member that runs: its client reads such a partition no further.
    member.signal(Signal::STOP);
    stand.produce(3 * EVENTS..4 * EVENTS);
    stand.flush().await;
    delete_below(&stand, (0..PARTITIONS).map(|of| (of, Offset::End))).await;
    member.signal(Signal::CONT);
    stand.produce(4 * EVENTS..5 * EVENTS);
    stand.flush().await;
    tests::eventually("what the log has is read", async || {
        (stand.count(read).await == 3 * EVENTS).then_some(())
    })
    .await;
    let told = member.log();
    assert_eq!(
        told.matches(lost).count(),
        2 * PARTITIONS as usize,
        "{told}"
    );
    member.stop().await;
}
