//! A partition goes to another member in the midst of a batch: who had it brings the batch to its end and commits it first, and who
//! comes begins behind it.

use std::collections::BTreeMap;

use tests::eventually;

use super::front::{Batch, Front, Insert};
use super::stand::{PARTITIONS, Stand};

/// Events that are written before, those of the batches in work, and those that come after.
const BEFORE: u64 = 60;
const EVENTS: u64 = 300;
const AFTER: u64 = 60;

/// Of each partition the first batch whose rows the server has begun to take, after so many inserts.
fn begun(front: &Front, known: usize) -> BTreeMap<i32, Batch> {
    let mut begun = BTreeMap::new();
    for insert in &front.inserts()[known..] {
        if let Some(batch) = insert.batch().filter(|_| insert.is_taken) {
            begun.entry(batch.partition).or_insert(batch);
        }
    }
    begun
}

/// The partition that was taken from a member, as its log says.
fn taken_from(log: &str) -> Option<i32> {
    let mut said = log.split("partitions revoked partitions=[").skip(1);
    said.find_map(|rest| rest.split(']').next()?.parse().ok())
}

/// What a member has inserted of a partition after so many inserts.
fn inserted(front: &Front, known: usize, partition: i32) -> Vec<Batch> {
    let inserts = front.inserts();
    let mut batches: Vec<Batch> = inserts[known..].iter().filter_map(Insert::batch).collect();
    batches.retain(|batch| batch.partition == partition);
    batches
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_partition_is_given_up_once_its_batch_is_written_and_committed() {
    let stand = Stand::new().await;
    let before_one = Front::start(stand.engine_url()).await;
    let before_other = Front::start(stand.engine_url()).await;
    let one = before_one.member(&stand, "one", "");
    stand.produce(0..BEFORE);
    stand.flush().await;
    stand.holds_exactly(BEFORE, &[&one]).await;

    let known = before_one.inserts().len();
    before_one.hold(true);
    stand.produce(BEFORE..BEFORE + EVENTS);
    stand.flush().await;
    let in_work = eventually("a batch of each partition is in work", async || {
        let begun = begun(&before_one, known);
        (begun.len() == PARTITIONS as usize).then_some(begun)
    })
    .await;
    let other = before_other.member(&stand, "other", "");
    let partition = eventually("a partition is taken from who has all", async || {
        taken_from(&one.log())
    })
    .await;
    let batch = &in_work[&partition];
    assert_eq!(batch.table, "audit_log", "nothing else of it is written");
    let all = other.partitions().await;
    assert!(all.is_empty(), "nobody else has it meanwhile: {all:?}");
    before_one.hold(false);

    let end = batch.last + 1;
    eventually("the other goes on behind the batch", async || {
        let at = *other.partitions().await.get(&partition)?;
        // 0 is where it stands until it knows where to begin.
        let is_behind = at.committed == 0 || at.committed >= end;
        assert!(is_behind, "{at:?} is before {end}");
        (at.committed >= end).then_some(())
    })
    .await;
    stand.produce(BEFORE + EVENTS..BEFORE + EVENTS + AFTER);
    stand.flush().await;
    let events = BEFORE + EVENTS + AFTER;
    stand.holds_exactly(events, &[&one, &other]).await;

    let by_one = inserted(&before_one, known, partition);
    for table in ["audit_log", "usage_events", "cuts"] {
        let part = Batch {
            table: table.to_owned(),
            ..batch.clone()
        };
        assert!(by_one.contains(&part), "{part:?} is not among {by_one:?}");
    }
    let all_of_batch = by_one.iter().all(|part| part.last == batch.last);
    assert!(all_of_batch, "it begins no other batch: {by_one:?}");
    let by_other = inserted(&before_other, 0, partition);
    let first = by_other.iter().map(|part| part.first).min();
    assert_eq!(first, Some(end), "{by_other:?}");
    assert!(!one.log().contains("the last commit was not taken"));
    one.stop().await;
    other.stop().await;
}
