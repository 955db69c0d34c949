//! Killed at random under load, the gateway and the broker by turns: everything that the journal has synced is in Kafka at least
//! once, every start's numbers are dense, and nothing is invented.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use schemas::{RecordKind, Topic};
use tests::{Ask, Cluster, KEYS, eventually, seed};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::stand::{Plan, Stand};
use crate::topic::{dense, read_topic};

const ROUNDS: usize = 8;
const APPS: usize = 8;
/// Between an app's calls: brokers that start beside the load need a part of the machine too.
const PACE: Duration = Duration::from_millis(10);

/// Apps that call until they are told to stop, whatever comes back.
fn load(stand: &Stand, stop: &Arc<AtomicBool>, answered: &Arc<AtomicUsize>) -> JoinSet<()> {
    let mut apps = JoinSet::new();
    for number in 0..APPS {
        let (app, stop, answered) = (stand.app(), stop.clone(), answered.clone());
        apps.spawn(async move {
            let mut call = 0_usize;
            let mut pace = interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !stop.load(Ordering::Relaxed) {
                pace.tick().await;
                call += 1;
                let key = KEYS[(number + call) % KEYS.len()];
                let nonce = format!("a{number}-{call}-{:x}", rand::random::<u32>());
                let answer = app.call(&Ask::new(nonce).key(key)).await;
                if answer.is_ok_and(|answer| answer.status == 200) {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    apps
}

/// Waits for so many more answers.
async fn answers(answered: &AtomicUsize, more: usize) {
    let wanted = answered.load(Ordering::Relaxed) + more;
    eventually("requests are answered", async || {
        (answered.load(Ordering::Relaxed) >= wanted).then_some(())
    })
    .await;
}

fn compare(stand: &Stand, topic: &[crate::topic::Lying]) {
    let journal = stand.records(RecordKind::Usage);
    let copies = dense(topic);
    let journal: BTreeSet<&[u8]> = journal.iter().map(Vec::as_slice).collect();
    let published: BTreeSet<&[u8]> = topic.iter().map(|record| record.value.as_slice()).collect();
    let missing = journal.difference(&published).count();
    let invented = published.difference(&journal).count();
    eprintln!(
        "{} records in the journal, {} in Kafka, {copies} of them copies",
        journal.len(),
        topic.len()
    );
    assert_eq!((missing, invented), (0, 0), "missing and invented");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_everything_in_the_journal_is_in_kafka_and_nothing_else() {
    let mut random = seed("kafka deaths");
    let mut cluster = Cluster::start(1).await;
    let mut stand = Stand::start(Plan::single(&cluster.servers())).await;
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut apps = load(&stand, &stop, &answered);
    for round in 0..ROUNDS {
        answers(&answered, random.random_range(20..400)).await;
        if round % 3 == 2 {
            cluster.kill(1);
            answers(&answered, random.random_range(1..200)).await;
            cluster.start_node(1);
        } else {
            // In the midst of publishing, or the kill would not bite.
            eventually("records are acknowledged", async || {
                let acked = stand.metric("publisher_acked_total").await?;
                (acked > 0.0).then_some(())
            })
            .await;
            answers(&answered, random.random_range(1..100)).await;
            stand.kill();
            stand.start_again().await;
        }
    }
    answers(&answered, 50).await;
    stop.store(true, Ordering::Relaxed);
    while apps.join_next().await.is_some() {}
    stand.drained().await;
    stand.terminate().await;
    compare(
        &stand,
        &read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await,
    );
}

/// Three brokers, two of which must have a record: one dies and comes back, then the next.
#[tokio::test(flavor = "multi_thread")]
async fn with_three_brokers_any_one_may_die_under_load() {
    let mut cluster = Cluster::start(3).await;
    let mut plan = Plan::single(&cluster.servers());
    plan.kafka = "partitions = 6\n".to_owned();
    let mut stand = Stand::start(plan).await;
    let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut apps = load(&stand, &stop, &answered);
    stand.drained().await;
    for node in 1..=3 {
        answers(&answered, 100).await;
        cluster.kill(node);
        answers(&answered, 200).await;
        cluster.start_node(node);
        cluster.ready().await;
        stand.drained().await;
    }
    stop.store(true, Ordering::Relaxed);
    while apps.join_next().await.is_some() {}
    stand.drained().await;
    stand.terminate().await;
    compare(
        &stand,
        &read_topic(&cluster.servers(), &stand.topic(Topic::Usage)).await,
    );
}
