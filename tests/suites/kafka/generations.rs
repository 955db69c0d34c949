//! A new generation of topics, as a store with other shards needs it: what one generation has the next never gets, for its copy
//! would lie on another shard and count twice.

use std::collections::BTreeSet;

use schemas::Topic;
use tests::{Ask, Broker};

use crate::stand::{Plan, Stand, run_tollgate};
use crate::topic::{Lying, dense, read_topic};

const CALLS: usize = 30;

fn keys(records: &[Lying]) -> BTreeSet<&str> {
    records.iter().map(|record| record.key.as_str()).collect()
}

async fn serve(stand: &Stand, name: &str) {
    let app = stand.app();
    for call in 0..CALLS {
        let answer = app.call(&Ask::new(format!("{name}-{call}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
    stand.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_generation_of_topics_gets_nothing_that_the_one_before_has() {
    let broker = Broker::start().await;
    let mut stand = Stand::start(Plan::single(broker.servers())).await;
    serve(&stand, "old").await;
    stand.terminate().await;
    let old = stand.topic(Topic::Usage);

    stand.begin_generation();
    stand.start_again().await;
    serve(&stand, "new").await;
    stand.terminate().await;
    // Once more: the position is of the new topics now.
    stand.start_again().await;
    serve(&stand, "again").await;
    let new = stand.topic(Topic::Usage);
    assert_ne!(old, new);

    let old = read_topic(broker.servers(), &old).await;
    let new = read_topic(broker.servers(), &new).await;
    assert_eq!((old.len(), new.len()), (CALLS, 2 * CALLS));
    assert!(keys(&old).is_disjoint(&keys(&new)));
    dense(&[old, new].concat());

    let (dir, config) = (stand.journal_dir(), stand.config());
    let words = ["journal", "publish"].map(str::to_owned);
    let paths = [dir, config].map(|path| path.display().to_string());
    let output = run_tollgate(&[&words[0], &words[1], &paths[0], "--config", &paths[1]]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("log.kafka.continues"), "{said}");
}
