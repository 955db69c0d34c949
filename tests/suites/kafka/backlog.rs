//! A backlog drains fast, in order over restarts of the publisher, and within bounds: what is on its way never exceeds its queue.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::publish::{Kafka, Metrics, Publisher, Start};
use journal::cursor::Cursor;
use journal::{Journal, Options, RealLayer};
use schemas::decode::{Decoded, decode};
use schemas::event::seal;
use schemas::{Boot, EventId, Micros, RecordKind, Text, Topic, UsageEvent};
use tests::{Broker, eventually};

use crate::topic::read_topic;

const RECORDS: usize = 100_000;

/// A usage record as the gateway writes it, every field filled.
fn sample() -> UsageEvent {
    let golden = include_bytes!("../../../schemas/golden/usage-full.v1.json");
    match decode(RecordKind::Usage, golden) {
        Decoded::Event(event) => *event,
        other => panic!("the golden record is a record: {other:?}"),
    }
}

/// A journal with so many numbered records, all synced.
async fn journal(dir: &Path) -> (Journal, usize) {
    let mut options = Options::new(dir.join("journal"));
    options.segment_bytes = 64 << 20;
    let (journal, recovery) = Journal::open(options, Arc::new(RealLayer)).expect("a journal");
    let mut event = sample();
    event.boot = Boot {
        counter: recovery.boot.counter,
        nonce: recovery.boot.nonce,
    };
    let mut bytes = 0;
    for number in 0..RECORDS {
        event.event_id = EventId::mint(Micros(1_795_615_674_722_132), rand::random());
        let mut record = event.encode_unsealed();
        seal(&mut record, i64::try_from(number).expect("few"));
        bytes = record.len();
        let appended = journal.append(RecordKind::Usage as u8, &record);
        appended.expect("the journal has room");
    }
    journal.sync_now().await.expect("the disk is sound");
    (journal, bytes)
}

fn publisher(dir: &Path, journal: &Journal, kafka: &Kafka) -> Publisher {
    let start = Start {
        kafka: kafka.clone(),
        journal: journal.clone(),
        producer: Text::new("gw-backlog").expect("a name"),
        cursor: Cursor::new(dir.join("publisher.cursor"), Arc::new(RealLayer)),
        metrics: Metrics::default(),
    };
    Publisher::new(start).expect("a publisher")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_drains_and_a_second_start_has_nothing_to_do() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (journal, bytes) = journal(folder.path()).await;
    let prefix = format!("backlog-{:x}.", rand::random::<u64>());
    let text = format!(
        "bootstrap = \"{}\"\ntopic_prefix = \"{prefix}\"\nreplication = 1\nmin_in_sync = 1\nqueue_mib = 16",
        broker.servers()
    );
    let kafka: Kafka = toml::from_str(&text).expect("settings");

    let first = publisher(folder.path(), &journal, &kafka);
    let replicas = first.replicas();
    let began = Instant::now();
    let publishing = first.begin();
    eventually("the first record is acknowledged", async || {
        (replicas.acked() > 1).then_some(())
    })
    .await;
    let connected = began.elapsed();
    let end = journal.synced_end();
    eventually("everything is acknowledged", async || {
        (replicas.acked() >= end).then_some(())
    })
    .await;
    let took = began.elapsed().saturating_sub(connected);
    assert!(publishing.drain(Duration::from_mins(1)).await);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = RECORDS as f64 / took.as_secs_f64();
    eprintln!(
        "{RECORDS} records of {bytes} bytes: first acknowledged after {connected:?}, all {took:?} later, {rate:.0} a second"
    );

    // The cursor says that all is there: a second start sends nothing.
    let second = publisher(folder.path(), &journal, &kafka);
    assert!(second.replicas().acked() >= end);
    assert!(second.begin().drain(Duration::from_mins(1)).await);
    let topic = read_topic(broker.servers(), &Topic::Usage.name(&prefix)).await;
    assert_eq!(topic.len(), RECORDS);
    assert_eq!(crate::topic::dense(&topic), 0);
}
