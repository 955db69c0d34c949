//! Beyond the broker's retention: what was archived is rebuilt, with what the topic still has, into the tables that were lost.

use std::sync::Arc;
use std::time::Duration;

use archive::{Chain, Directory};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use schemas::Topic;
use tests::command::run;
use tests::eventually;

use super::member::Member;
use super::stand::{PARTITIONS, Stand};

const TABLES: [&str; 3] = ["audit_log", "usage_events", "cuts"];
const EARLY: u64 = 600;
const LATE: u64 = 900;

/// Where the archive of each partition of the usage topic ends.
fn ends(stand: &Stand) -> Vec<(i32, i64)> {
    let shelf = Arc::new(Directory::new(stand.archive()));
    let logs = archive::logs(&*shelf).unwrap();
    let of_topic = logs
        .iter()
        .filter(|log| log.topic == Stand::topic(Topic::Usage));
    of_topic
        .filter_map(|log| {
            let chain = Chain::open(shelf.clone(), log).unwrap();
            Some((log.partition, chain.end()?))
        })
        .collect()
}

/// Waits until all that was produced is in sealed segments: the tail's age is over, or a cut for the archive has come.
async fn archived(stand: &Stand, events: u64) {
    eventually("everything is archived", async || {
        let shelf = Arc::new(Directory::new(stand.archive()));
        let mut records = 0;
        for log in archive::logs(&*shelf).ok()? {
            let chain = Chain::open(shelf.clone(), &log).ok()?;
            for item in chain.items() {
                let archive::Item::Entry(entry) = item.ok()? else {
                    return None;
                };
                records += u64::from(entry.kind == schemas::RecordKind::Usage as u8);
            }
        }
        (records >= events).then_some(())
    })
    .await;
}

/// The rows of every table in order, as bytes.
async fn rows(stand: &Stand) -> Vec<Vec<u8>> {
    let mut tables = Vec::new();
    for sql in [
        "SELECT DISTINCT * FROM audit_log ORDER BY topic, partition, offset",
        "SELECT * FROM usage_events FINAL ORDER BY topic, partition, offset",
        "SELECT * EXCEPT (repair_epoch) FROM cuts FINAL ORDER BY topic, partition, first",
    ] {
        let bytes = stand.client.query_bytes(sql, "RowBinary").await.unwrap();
        tables.push(bytes.to_vec());
    }
    assert!(tables.iter().all(|rows| !rows.is_empty()));
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn records_beyond_retention_are_rebuilt_from_the_archive() {
    let stand = Stand::new().await;
    // Two archivers of one directory.
    let members = [
        Member::start_archiving(&stand, "one"),
        Member::start_archiving(&stand, "two"),
    ];
    stand.produce(0..EARLY);
    stand.flush().await;
    archived(&stand, EARLY).await;
    stand.produce(EARLY..LATE);
    stand.flush().await;
    stand
        .holds_exactly(LATE, &members.iter().collect::<Vec<_>>())
        .await;
    let config = members[0].config().to_owned();
    let refused = run(&["rebuild"], &config).await;
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("stop them first"), "{}", refused.err);
    for member in members {
        member.stop().await;
    }

    delete_records(&stand).await;
    let before = rows(&stand).await;
    for table in TABLES {
        let dropping = format!("DROP TABLE {table}");
        stand.client.query(&dropping).execute().await.unwrap();
    }
    let made = eventually("the group is seen to be empty", async || {
        let made = run(&["rebuild"], &config).await;
        (!made.err.contains("stop them first")).then_some(made)
    })
    .await;
    assert_eq!(made.code, Some(0), "{}{}", made.out, made.err);
    assert!(
        made.out.contains("the new tables are in place"),
        "{}",
        made.out
    );
    assert_eq!(rows(&stand).await, before);

    let again = Member::start_archiving(&stand, "three");
    stand.produce(LATE..LATE + 100);
    stand.flush().await;
    stand.holds_exactly(LATE + 100, &[&again]).await;
    again.stop().await;
    let mut verifying = tokio::process::Command::new(tests::tollgate());
    verifying.args(["archive", "verify"]).arg(stand.archive());
    let verified = verifying.output().await.unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert_eq!(verified.status.code(), Some(0), "{said}");
}

/// What is archived goes from the topic, as retention takes it.
async fn delete_records(stand: &Stand) {
    let ends = ends(stand);
    assert_eq!(ends.len(), PARTITIONS as usize, "{ends:?}");
    let mut list = TopicPartitionList::new();
    for (partition, end) in &ends {
        let topic = Stand::topic(Topic::Usage);
        let added = list.add_partition_offset(&topic, *partition, Offset::Offset(*end));
        added.unwrap();
    }
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    stand.admin().delete_records(&list, &options).await.unwrap();
}
