//! Two members under fire. Each fault is seen to have bitten before the next.

use rustix::process::Signal;
use tests::eventually;

use super::member::Member;
use super::stand::{PARTITIONS, Stand};

/// Waits until a member has all partitions.
async fn has_all(member: &Member) {
    eventually("one member has all partitions", async || {
        (member.partitions().await.len() == PARTITIONS as usize).then_some(())
    })
    .await;
}

async fn both_share(one: &Member, other: &Member) {
    eventually("both members have partitions", async || {
        let (one, other) = (one.partitions().await, other.partitions().await);
        (!one.is_empty() && !other.is_empty() && one.len() + other.len() == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_arrives_once_whoever_dies_stalls_or_comes_back() {
    let mut stand = Stand::new().await;
    let (mut one, other) = (Member::start(&stand, "one"), Member::start(&stand, "other"));
    both_share(&one, &other).await;
    let mut events = 0;
    let mut more = |stand: &Stand| {
        stand.produce(events..events + 500);
        events += 500;
    };

    more(&stand);
    one.kill();
    has_all(&other).await;
    more(&stand);
    one.replace();
    both_share(&one, &other).await;

    more(&stand);
    other.signal(Signal::STOP);
    more(&stand);
    // Longer than its session: its partitions are another's when it goes on.
    has_all(&one).await;
    more(&stand);
    other.signal(Signal::CONT);
    both_share(&one, &other).await;

    more(&stand);
    stand.kill_engine();
    more(&stand);
    stand.start_engine().await;

    stand.cluster.kill(1);
    more(&stand);
    stand.cluster.start_node(1);
    stand.cluster.ready().await;
    more(&stand);
    one.replace();
    more(&stand);
    stand.flush().await;
    stand.holds_exactly(events, &[&one, &other]).await;
    one.stop().await;
    other.stop().await;
}
