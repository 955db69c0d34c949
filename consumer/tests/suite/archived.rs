//! The archive of a journal: an older copy that was put back and written on is not taken into its chain.

use std::path::Path;
use std::sync::Arc;

use archive::{Boundaries, Chain, Directory, Limits, LogId, logs};
use consumer::{ArchiveMetrics, Archiving, JournalSource, State, Status};
use journal::Journal;
use schemas::RecordKind;

use crate::events::{encode, event};
use crate::replaced::copy;
use crate::world::{DEADLINE, PRODUCER, open_journal};

fn append(journal: &Journal, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let bytes = encode(&event(number));
        journal.append(RecordKind::Usage as u8, &bytes).unwrap();
    }
}

/// Archives all that is there, every record a segment; says how it ended.
async fn archive(journal: &Journal, shelf: &Path) -> Status {
    journal.sync_now().await.unwrap();
    let archiving = Archiving {
        shelf: Arc::new(Directory::new(shelf)),
        limits: Limits {
            bytes: 1,
            age_us: i64::MAX,
        },
        boundaries: Boundaries::Everywhere,
        metrics: ArchiveMetrics::default(),
    };
    let source = JournalSource::for_the_archive(journal.clone(), PRODUCER);
    let archiver = consumer::spawn_archiver(source, archiving).unwrap();
    archiver.drain();
    let ended = tokio::time::timeout(DEADLINE, archiver.ended()).await;
    ended.expect("the archiver does not end")
}

fn archived(shelf: &Path) -> (LogId, i64) {
    let shelf = Arc::new(Directory::new(shelf));
    let [log] = &logs(&*shelf).unwrap()[..] else {
        panic!("one log");
    };
    let chain = Chain::open(shelf, log).unwrap();
    (log.clone(), chain.end().unwrap())
}

#[tokio::test]
async fn another_branch_of_a_journal_is_not_taken_into_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (at, saved) = (dir.path().join("journal"), dir.path().join("saved"));
    let shelf = dir.path().join("archive");
    let journal = open_journal(dir.path());
    append(&journal, 0..10);
    assert_eq!(archive(&journal, &shelf).await.state, State::Ended);
    journal.close().unwrap();
    copy(&at, &saved);
    let journal = open_journal(dir.path());
    append(&journal, 10..20);
    assert_eq!(archive(&journal, &shelf).await.state, State::Ended);
    let before = archived(&shelf);
    assert_eq!(before.1, i64::try_from(journal.synced_end()).unwrap());
    journal.close().unwrap();
    std::fs::remove_dir_all(&at).unwrap();
    copy(&saved, &at);
    let journal = open_journal(dir.path());
    append(&journal, 10..40);
    let status = archive(&journal, &shelf).await;
    let State::Halted(why) = &status.state else {
        panic!("it is taken into the chain: {status:?}");
    };
    assert!(why.contains("wrote there"), "{why}");
    assert_eq!(archived(&shelf), before);
}
