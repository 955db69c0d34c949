//! A journal that was put back to an older copy under the cursor of the newer one.

use std::collections::BTreeSet;
use std::path::Path;

use schemas::{RecordKind, Topic};
use tests::{Ask, Cluster};

use crate::stand::{Plan, Stand};
use crate::topic::read_topic;

async fn call(stand: &Stand, from: usize, to: usize) {
    let app = stand.app();
    for call in from..to {
        let answer = app.call(&Ask::new(format!("n-{call}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a journal") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let copy = to.join(path.file_name().expect("a name"));
            std::fs::copy(&path, copy).expect("a file can be copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_journal_that_was_written_on_is_published_whole() {
    let cluster = Cluster::start(1).await;
    let mut stand = Stand::start(Plan::single(&cluster.servers())).await;
    call(&stand, 0, 10).await;
    stand.drained().await;
    stand.terminate().await;
    let saved = tempfile::tempdir().expect("a scratch directory");
    copy(&stand.journal_dir(), saved.path());
    stand.start_again().await;
    call(&stand, 10, 40).await;
    stand.drained().await;
    stand.terminate().await;

    std::fs::remove_dir_all(stand.journal_dir()).expect("a journal can be removed");
    copy(saved.path(), &stand.journal_dir());
    // Kafka is away while the journal grows past what was published of the other branch.
    cluster.freeze(1);
    stand.start_again().await;
    call(&stand, 100, 160).await;
    stand.kill();
    cluster.thaw(1);
    stand.start_again().await;
    stand.drained().await;
    let topic = read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await;
    let published: BTreeSet<Vec<u8>> = topic.into_iter().map(|record| record.value).collect();
    let journal = stand.records(RecordKind::Usage);
    assert!(journal.len() >= 70, "{}", journal.len());
    let missing = journal.iter().filter(|record| !published.contains(*record));
    assert_eq!(missing.count(), 0, "of {} records", journal.len());
}
