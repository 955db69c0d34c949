//! A journal that was saved from a gateway's disk, published from elsewhere.

use schemas::{RecordKind, Topic};
use tests::{Ask, Broker, free_address};

use crate::stand::{Plan, Stand, run_tollgate};
use crate::topic::{Lying, dense, read_topic};

const CALLS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_journal_is_published_from_elsewhere_and_again_without_harm() {
    let broker = Broker::start().await;
    // Its own brokers never answer: nothing of it is in Kafka when it dies.
    let mut stand = Stand::start(Plan::single(&free_address().to_string())).await;
    let app = stand.app();
    for call in 0..CALLS {
        let answer = app.call(&Ask::new(format!("n-{call}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let live = stand.journal_dir();
    let (dir, config) = (live.to_str().expect("a path"), stand.config());
    let config = config.to_str().expect("a path");
    let refused = run_tollgate(&["journal", "publish", dir, "--config", config]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("in use"),
        "{said}"
    );
    // One request runs when it dies.
    let ask = Ask::new("open").streamed().tokens(400);
    let ask = ask.ordering("chunk_delay=200");
    let mut running = app.begin(&ask).await.expect("the stream begins");
    assert!(running.chunk().await.expect("a chunk").is_some());
    stand.kill();
    let elsewhere = tempfile::tempdir().expect("a scratch directory");
    for entry in std::fs::read_dir(stand.journal_dir()).expect("a journal") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let copy = elsewhere.path().join(path.file_name().expect("a name"));
            std::fs::copy(&path, copy).expect("a file can be copied");
        }
    }
    // What a segment is called while its directory takes no new name.
    let segment = elsewhere.path().join(format!("{:020}.seg", 0));
    std::fs::rename(&segment, elsewhere.path().join(format!("{:020}.new", 99)))
        .expect("the first segment is there");
    let config = elsewhere.path().join("other.toml");
    let prefix = format!("saved-{:x}.", rand::random::<u64>());
    let text = format!(
        "data_dir = \"none\"\n[log.kafka]\nbootstrap = \"{}\"\ntopic_prefix = \"{prefix}\"\nreplication = 1\nmin_in_sync = 1\npartitions = 3\n",
        broker.servers()
    );
    std::fs::write(&config, text).expect("a configuration can be written");

    let journal = stand.records(RecordKind::Usage);
    assert_eq!(journal.len(), CALLS);
    let topic = Topic::Usage.name(&prefix);
    for round in 1..=2 {
        let dir = elsewhere.path().to_str().expect("a path");
        let (code, said) = publish(dir, &config);
        assert_eq!(code, Some(1), "a request is open: {said}");
        assert!(said.contains(&format!("{CALLS} usage records")), "{said}");
        assert!(
            said.contains("start a gateway on it to close 1 request"),
            "{said}"
        );
        let topic = read_topic(broker.servers(), &topic).await;
        let copies = dense(&topic);
        assert_eq!((topic.len(), copies), (round * CALLS, (round - 1) * CALLS));
        assert!(topic.iter().all(|record| journal.contains(&record.value)));
    }

    // A gateway closes it.
    stand.start_again().await;
    stand.kill();
    let (code, said) = publish(stand.journal_dir().to_str().expect("a path"), &config);
    assert_eq!(code, Some(0), "{said}");
    let topic = read_topic(broker.servers(), &topic).await;
    assert_eq!(topic.len() - dense(&topic), CALLS + 1);
    let closed = |record: &&Lying| !journal.contains(&record.value);
    let closed: Vec<_> = topic.iter().filter(closed).collect();
    let [closed] = &closed[..] else {
        panic!("{} records are new", closed.len());
    };
    let closed: serde_json::Value = serde_json::from_slice(&closed.value).expect("a record");
    assert_eq!(closed["outcome"], "unknown");
    assert_eq!(closed["labels"]["client_request_id"], "open");
}

/// The exit code, and what it says.
fn publish(dir: &str, config: &std::path::Path) -> (Option<i32>, String) {
    let config = config.to_str().expect("a path");
    let output = run_tollgate(&["journal", "publish", dir, "--config", config]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}
