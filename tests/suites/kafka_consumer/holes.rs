//! Places of a partition that have no record: what a transaction aborted, and the markers of transactions. Read again, by a rebuild or
//! a repair, they hold up nothing.

use consumer::rebuild::Reads;
use consumer::{KafkaLog, Read};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use schemas::Topic;
use tests::eventually;

use super::events::{encode, event};
use super::member::Member;
use super::stand::{PARTITIONS, Stand};

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Abort,
}

/// A transaction with one record in a partition of the usage topic.
async fn transact(stand: &Stand, partition: i32, end: End) {
    transact_in(stand, Topic::Usage, partition, end).await;
}

/// The same in a topic.
pub(crate) async fn transact_in(stand: &Stand, topic: Topic, partition: i32, end: End) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", stand.cluster.servers())
        .set("transactional.id", "somebody");
    let producer: BaseProducer = config.create().expect("a producer");
    let bytes = encode(&event(9_999));
    let transacting = tokio::task::spawn_blocking(move || {
        producer.init_transactions(tests::DEADLINE)?;
        producer.begin_transaction()?;
        let topic = Stand::topic(topic);
        let record = BaseRecord::<(), _>::to(&topic)
            .partition(partition)
            .payload(&bytes);
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(tests::DEADLINE)?;
        match end {
            End::Commit => producer.commit_transaction(tests::DEADLINE),
            End::Abort => producer.abort_transaction(tests::DEADLINE),
        }
    });
    let transacted = transacting.await.expect("no panic");
    transacted.expect("the broker takes it");
}

/// A transaction's marker comes after its end was taken.
async fn ends_at(stand: &Stand, end: i64) {
    eventually("the marker is there", async || {
        let options = stand.options();
        let asked = tokio::task::spawn_blocking(move || KafkaLog::open(options)?.partitions());
        let bounds = asked.await.ok()?.ok()?;
        (bounds.get(&0)? == &(0, end)).then_some(())
    })
    .await;
}

/// All places of a stretch, those without a record as ranges.
fn places(reads: Reads) -> (Vec<i64>, Vec<(i64, i64)>) {
    let (mut records, mut holes) = (Vec::new(), Vec::new());
    for read in reads {
        match read.expect("the log can be read") {
            Read::Record(record) => records.push(record.offset),
            Read::Lost { first, next } => holes.push((first, next)),
            Read::CaughtUp => {}
        }
    }
    (records, holes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_without_a_record_is_passed_over_in_the_middle_and_at_the_end_and_before_a_repair()
{
    let stand = Stand::new().await;
    for number in 0..3 {
        stand.send(Some(0), &encode(&event(number)), |_| {});
    }
    stand.flush().await;
    transact(&stand, 0, End::Abort).await;
    ends_at(&stand, 5).await;
    for number in 3..5 {
        stand.send(Some(0), &encode(&event(number)), |_| {});
    }
    stand.flush().await;
    // The record that was aborted, and its marker; a record of others, and its marker, the last place.
    transact(&stand, 0, End::Commit).await;
    ends_at(&stand, 9).await;
    let options = stand.options();
    let (records, holes) = tokio::task::spawn_blocking(move || {
        let log = KafkaLog::open(options).expect("a log");
        let (records, holes) = places(log.reader(0, 9)(0));
        assert_eq!(places(log.reader(0, 4)(0)), (vec![0, 1, 2], vec![(3, 4)]));
        (records, holes)
    })
    .await
    .expect("no panic");
    assert_eq!(records, [0, 1, 2, 5, 6, 7]);
    assert_eq!(holes, [(3, 5), (8, 9)]);

    // Taken from the store, it is put back across the hole.
    stand.produce(5..100);
    stand.flush().await;
    let count = "SELECT uniqExact(event_id) FROM usage_events";
    for name in ["one", "two"] {
        let member = Member::start(&stand, name);
        eventually("every event is in the store", async || {
            (stand.count(count).await == 100).then_some(())
        })
        .await;
        eventually("everything is committed", async || {
            let partitions = member.partitions().await;
            let is_done = partitions.values().all(|at| at.committed == at.readable);
            (is_done && partitions.len() == PARTITIONS as usize).then_some(())
        })
        .await;
        member.stop().await;
        // The cuts stay: they say where batches end, and of how many records.
        for table in ["audit_log", "usage_events"] {
            let emptying = format!("TRUNCATE TABLE {table}");
            stand.client.query(&emptying).execute().await.unwrap();
        }
    }
}
