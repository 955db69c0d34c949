//! The whole log again, three copies of it in any order and to any partition, in a topic of its own before a store of its own: the bill
//! has the same hash, every copy is counted, and the audit finds nothing missing and nothing changed. Of the log of a gateway that really
//! served see `whole_log`.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use schemas::{Micros, ProducerRecord, ProducerState, RecordKind, Topic};
use serde_json::Value;
use tests::command::run;
use tests::eventually;

use super::events::{DECEMBER_US, encode, event, life};
use super::member::Member;
use super::stand::{PARTITIONS, Stand};

const PRODUCER: &str = "gw-1";
const EVENTS: u64 = 400;
const COPIES: u64 = 3;
/// Long after every record: every claim is due.
pub(crate) const LATER: &str = "2199-01-01T00:00:00Z";

/// The gateway closes, and says how many it gave; another starts when the period is over, so that nothing of it is to come.
pub(crate) fn close(stand: &Stand, events: u64) {
    let say = |record: &ProducerRecord| {
        let bytes = record.encode();
        stand.send_of(RecordKind::Producer, Topic::Producers, None, &bytes, |_| {});
    };
    let count = i64::try_from(events).unwrap();
    let mut closed = life(PRODUCER, count, ProducerState::Closed);
    closed.last_producer_seq = Some(count - 1);
    (closed.admitted, closed.settled, closed.open) = (Some(count), Some(count), Some(0));
    say(&closed);
    let mut begun = life("gw-2", 0, ProducerState::Registered);
    begun.clock_us = Micros(DECEMBER_US + 1);
    say(&begun);
}

/// What a command says that finds nothing wrong.
pub(crate) async fn json(member: &Member, words: &[&str]) -> Value {
    let ended = run(&[words, &["--format", "json"]].concat(), member.config()).await;
    assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    serde_json::from_str(&ended.out).expect("JSON")
}

/// The hash of the bill, and how many copies of one record the audit found beside it, over all places.
async fn books(member: &Member) -> (Value, i64) {
    let by = ["--by", "tenant,model,day"];
    let bill = [&["report", "chargeback", "--period", "2026-11"][..], &by].concat();
    let bill = json(member, &bill).await;
    let audit = [
        "audit",
        "completeness",
        "--period",
        "2026-11",
        "--as-of",
        LATER,
    ];
    let audit = json(member, &audit).await;
    let starts = audit["boots"].as_array().expect("starts");
    let of_it = |start: &&Value| start["producer"] == PRODUCER;
    let boot = starts.iter().find(of_it).expect("the gateway's start");
    let count = i64::try_from(EVENTS).unwrap();
    assert_eq!(
        (&boot["claimed"], &boot["found"]),
        (&count.into(), &count.into())
    );
    assert_eq!(
        (&boot["missing"], &boot["balanced"]),
        (&0.into(), &true.into())
    );
    assert!(bill["report_hash"].is_string(), "{bill}");
    (
        bill["report_hash"].clone(),
        boot["copies"].as_i64().expect("a count"),
    )
}

/// Waits until a store has all of so many records, and the gateway's last word.
async fn has(stand: &Stand, records: u64) {
    let sql = format!(
        "SELECT assumeNotNull(least((SELECT toUInt64(sum(events)) FROM cuts FINAL), \
         (SELECT {records} * count() FROM producer_log FINAL WHERE kind = 'closed')))"
    );
    eventually("all is in the store", async || {
        let found = stand.client.query(&sql).fetch_one::<u64>().await;
        (found.ok()? >= records).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_copies_of_the_log_in_any_order_give_the_same_bill_and_are_counted() {
    let stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    stand.produce(0..EVENTS);
    stand.flush().await;
    close(&stand, EVENTS);
    stand.flush().await;
    has(&stand, EVENTS).await;
    let (once, copies) = books(&member).await;
    assert_eq!(copies, 0);
    member.stop().await;
    drop(stand);

    let stand = Stand::new().await;
    let member = Member::start(&stand, "one");
    let mut all: Vec<u64> = (0..COPIES).flat_map(|_| 0..EVENTS).collect();
    all.shuffle(&mut StdRng::seed_from_u64(20_261_126));
    for (place, number) in all.into_iter().enumerate() {
        let partition = i32::try_from(place).unwrap() % PARTITIONS;
        stand.send(Some(partition), &encode(&event(number)), |_| {});
    }
    stand.flush().await;
    close(&stand, EVENTS);
    stand.flush().await;
    has(&stand, COPIES * EVENTS).await;
    let (thrice, copies) = books(&member).await;
    assert_eq!(thrice, once);
    assert_eq!(copies.unsigned_abs(), (COPIES - 1) * EVENTS);
    assert_eq!(
        stand.count("SELECT count() FROM usage_events FINAL").await,
        EVENTS
    );
    member.stop().await;
}
