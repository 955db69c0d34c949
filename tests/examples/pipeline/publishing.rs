//! The publisher of a gateway, over a journal that has everything already. Its rate is that of its acknowledged position.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::publish::{Kafka, Metrics, Publisher, Replicas, Start};
use journal::cursor::Cursor;
use journal::{Journal, Options, RealLayer};
use schemas::{Boot, RecordKind, Text};
use tests::DEADLINE;

use crate::events::encode;
use crate::kinds::Kind;
use crate::rates::{Rate, cpu_time};
use crate::stand::{PARTITIONS, PREFIX, Stand};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A publisher that says after this that it does not publish is believed.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// A sync after so many, so that what waits for it is bounded.
const SYNC_AFTER: u64 = 50_000;

/// Fills a journal with the events of these numbers, publishes it whole.
pub(crate) async fn run(stand: &Stand, kind: Kind, numbers: Range<u64>) -> Rate {
    let folder = stand.folder().join("publisher");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let records = numbers.end - numbers.start;
    eprintln!("writing a journal of {records} records");
    let journal = filled(&folder, kind, numbers).await;
    // As they are: topics of this size would not be left to a broker that keeps only so much of them.
    let text = format!(
        "bootstrap = \"{}\"\ntopic_prefix = \"{PREFIX}\"\npartitions = {PARTITIONS}\nreplication = 1\nmin_in_sync = 1\ntopics = \"trust\"",
        stand.cluster.servers()
    );
    let kafka: Kafka = toml::from_str(&text).expect("settings");
    let publisher = Publisher::new(Start {
        kafka,
        journal: journal.clone(),
        producer: Text::new("gw-1").expect("a name"),
        cursor: Cursor::new(folder.join("publisher.cursor"), Arc::new(RealLayer)),
        metrics: Metrics::default(),
    })
    .expect("a publisher");

    eprintln!("publishing {records} records");
    let (replicas, end) = (publisher.replicas(), journal.synced_end());
    let publishing = publisher.begin();
    let first = first_acknowledged(&replicas).await;
    // This process does nothing else meanwhile.
    let (began, spent) = (Instant::now(), cpu_time(std::process::id()));
    while replicas.acked() < end {
        assert_publishing(&replicas);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (took, spent) = (
        began.elapsed(),
        cpu_time(std::process::id()).saturating_sub(spent),
    );
    assert!(publishing.drain(Duration::from_mins(1)).await);
    drop(journal);
    std::fs::remove_dir_all(&folder).expect("a folder can be removed");
    Rate::of(end - first, took, spent)
}

/// Waits until the publisher has begun, and says where it is then.
async fn first_acknowledged(replicas: &Replicas) -> u64 {
    let began = Instant::now();
    while replicas.acked() <= 1 {
        // Brokers that have just started may be away for a moment.
        if began.elapsed() > BEGINS_WITHIN {
            assert_publishing(replicas);
        }
        assert!(
            began.elapsed() < DEADLINE,
            "VOID: no record is acknowledged: {}",
            replicas.state()
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
    replicas.acked()
}

fn assert_publishing(replicas: &Replicas) {
    let state = replicas.state();
    assert!(
        !state.starts_with("not publishing"),
        "VOID: the publisher is {state}"
    );
}

/// A journal with these records, all synced.
async fn filled(folder: &Path, kind: Kind, numbers: Range<u64>) -> Journal {
    let mut options = Options::new(folder.join("journal"));
    options.capacity_bytes = u64::MAX / 4;
    let (journal, recovery) = Journal::open(options, Arc::new(RealLayer)).expect("a journal");
    let boot = Boot {
        counter: recovery.boot.counter,
        nonce: recovery.boot.nonce,
    };
    for (seq, number) in (0..).zip(numbers) {
        let mut event = kind.event(number);
        (event.boot, event.producer_seq) = (boot, seq);
        let appended = journal.append(RecordKind::Usage as u8, &encode(&event));
        appended.expect("the journal has room");
        if number % SYNC_AFTER == 0 {
            journal.sync_now().await.expect("the disk is sound");
        }
    }
    journal.sync_now().await.expect("the disk is sound");
    journal
}
