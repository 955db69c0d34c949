//! Beyond the broker's retention: what was archived is rebuilt, with what the topic still has, into the tables that were lost.

use std::sync::Arc;
use std::time::Duration;

use archive::{Chain, Directory};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use schemas::Topic;
use tests::command::run;
use tests::{At, eventually};

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

/// Waits until all that is in the topic is archived and committed: then no archiver asks for a cut any more.
async fn archived(stand: &Stand, members: &[Member]) {
    eventually("everything is archived", async || {
        let mut at = std::collections::BTreeMap::new();
        for member in members {
            at.extend(member.partitions().await);
        }
        let ends: std::collections::BTreeMap<i32, i64> = ends(stand).into_iter().collect();
        let is_whole = |(partition, at): (&i32, &At)| {
            at.committed == at.readable && ends.get(partition) == Some(&at.readable)
        };
        (at.len() == PARTITIONS as usize && at.iter().all(is_whole)).then_some(())
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
    let config = members[0].config().to_owned();
    stand.produce(0..EARLY);
    stand.flush().await;
    stand
        .holds_exactly(EARLY, &members.iter().collect::<Vec<_>>())
        .await;
    archived(&stand, &members).await;
    for member in members {
        member.stop().await;
    }
    // What comes later is in the topic alone; up to where it is in the tables, which are about to be lost, the group knows.
    let later = ["later", "latest"].map(|name| Member::start(&stand, name));
    stand.produce(EARLY..LATE);
    stand.flush().await;
    stand
        .holds_exactly(LATE, &later.iter().collect::<Vec<_>>())
        .await;
    let refused = run(&["rebuild"], &config).await;
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("stop them first"), "{}", refused.err);
    for member in later {
        member.stop().await;
    }

    delete_archived(&stand).await;
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

/// What is archived goes from the topic.
async fn delete_archived(stand: &Stand) {
    let ends = ends(stand);
    assert_eq!(ends.len(), PARTITIONS as usize, "{ends:?}");
    let ends = ends.into_iter();
    delete_below(stand, ends.map(|(of, end)| (of, Offset::Offset(end)))).await;
}

/// What is before these places goes from the topic, as retention takes it.
pub(crate) async fn delete_below(stand: &Stand, places: impl Iterator<Item = (i32, Offset)>) {
    let mut list = TopicPartitionList::new();
    for (partition, place) in places {
        let topic = Stand::topic(Topic::Usage);
        let added = list.add_partition_offset(&topic, partition, place);
        added.unwrap();
    }
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    stand.admin().delete_records(&list, &options).await.unwrap();
}
