//! A journal that was put back from a copy: what was open in it is closed, however far the cursors beside it had come.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use journal::RealLayer;
use schemas::fs_names;
use tests::{Ask, Life, Setup, eventually, read_journal};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_open_in_a_journal_that_is_put_back_is_closed_once() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let simulator = simulator::Simulator::start(simulator::Config::default());
    let simulator = simulator.expect("the simulator starts");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Setup::default().toml(any, any, &simulator.base_url());
    let (journal, saved) = (
        folder.path().join(fs_names::JOURNAL_DIR),
        folder.path().join("saved"),
    );
    let settled =
        || std::fs::read(folder.path().join(fs_names::SETTLED_CURSOR)).unwrap_or_default();

    let life = Life::start(&config, folder.path(), Arc::new(RealLayer)).await;
    let ask = Ask::new("open")
        .streamed()
        .tokens(20)
        .ordering("stall_mid=3:600000");
    let mut running = life.app().begin(&ask).await.expect("a stream");
    assert!(running.chunk().await.expect("a chunk").is_some());
    life.journal.sync_now().await.expect("the disk is sound");
    copy(&journal, &saved);
    let open = read_journal(folder.path()).open_admissions();
    assert_eq!(open.len(), 1);
    life.end_abruptly().await;
    drop(running);

    // The next life closes it, and its cursor passes it.
    let life = Life::start(&config, folder.path(), Arc::new(RealLayer)).await;
    assert_eq!(read_journal(folder.path()).open_admissions(), []);
    let before = settled();
    for number in 0..20 {
        let answer = life.app().call(&Ask::new(format!("more-{number}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    eventually("the cursor has moved twice", async || {
        (settled() != before).then_some(())
    })
    .await;
    let before = settled();
    eventually("the cursor has moved twice", async || {
        (settled() != before).then_some(())
    })
    .await;
    life.stop().await;

    std::fs::remove_dir_all(&journal).expect("it is there");
    copy(&saved, &journal);
    assert_eq!(read_journal(folder.path()).open_admissions(), open);
    let life = Life::start(&config, folder.path(), Arc::new(RealLayer)).await;
    life.stop().await;
    let contents = read_journal(folder.path());
    assert_eq!(contents.open_admissions(), []);
    assert_eq!(contents.doubled(), []);
}
