//! Deaths of the consumer at every point and of the engine at any time: nothing lost, nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use consumer::Handle;
use tokio::sync::mpsc;

use crate::world::{DEADLINE, World};

const POINTS: [&str; 5] = [
    "consumer.before_insert",
    "consumer.after_audit_insert",
    "consumer.after_usage_insert",
    "consumer.between_insert_and_commit",
    "consumer.after_commit",
];

/// No copies, no gaps, and all events.
async fn assert_exact(world: &World, consumer: &Handle, events: u64) {
    let status = world.audit(consumer).await;
    assert_eq!(status.alarms, Vec::<String>::new());
    assert_eq!(
        (status.verified, world.events().await),
        (status.committed, events)
    );
    assert_eq!(
        world.count("SELECT count() FROM usage_events").await,
        events
    );
    assert_eq!(
        world
            .count("SELECT countIf(fate = 'event') FROM audit_log")
            .await,
        events
    );
}

/// Starts a consumer that stands still at a point, and waits until it does.
async fn die_at(world: &World, point: &'static str) {
    let (held, mut is_held) = mpsc::unbounded_channel();
    let mut options = world.options();
    options.hold = Some(Arc::new(move |passed| {
        let here = passed == point;
        if here {
            held.send(()).unwrap();
        }
        here
    }));
    let consumer = consumer::spawn(world.source(), options).unwrap();
    tokio::time::timeout(DEADLINE, is_held.recv())
        .await
        .expect("the point is never passed")
        .unwrap();
    consumer.abort();
    consumer.ended().await;
}

#[tokio::test]
async fn a_consumer_that_dies_at_any_point_repeats_the_same_batch() {
    let world = World::new().await;
    let mut events = 0;
    for point in POINTS {
        world.append(events..events + 40);
        world.journal.sync_now().await.unwrap();
        // Twice at the same point, with more in the log the second time: the batch must not grow.
        die_at(&world, point).await;
        world.append(events + 40..events + 60);
        world.journal.sync_now().await.unwrap();
        die_at(&world, point).await;
        events += 60;
    }
    let consumer = world.consume();
    world.settle(&consumer).await;
    assert_exact(&world, &consumer, events).await;
    assert_eq!(consumer.status().repairs, 0);
    world.close(consumer).await;
}

#[tokio::test]
async fn an_engine_killed_at_random_loses_and_doubles_nothing() {
    const KILLS: u32 = 8;
    let world = World::new().await;
    let (passing, mut passes) = mpsc::unbounded_channel();
    let left = Arc::new(AtomicU32::new(KILLS));
    let mut options = world.options();
    options.hold = Some(Arc::new(move |_| {
        // The test may have ended already.
        let _nobody_listens = passing.send(());
        false
    }));
    let consumer = consumer::spawn(world.source(), options).unwrap();
    let killing = async {
        let mut state = world.supervisor.state();
        while left.load(Ordering::SeqCst) > 0 {
            passes.recv().await.unwrap();
            let Some(pid) = world.engine_pid() else {
                continue;
            };
            // Anywhere in the insert that follows, which takes a few milliseconds.
            tokio::time::sleep(Duration::from_micros(rand_us())).await;
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            if rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok() {
                left.fetch_sub(1, Ordering::SeqCst);
            }
            state.wait_for(|state| !is_ready(state)).await.unwrap();
        }
    };
    let feeding = async {
        let mut events = 0;
        while left.load(Ordering::SeqCst) > 0 {
            world.append(events..events + 500);
            events += 500;
            let end = consumer.status().committed;
            world.journal.sync_now().await.unwrap();
            consumer.wait_for(|status| status.committed > end).await;
        }
        events
    };
    let ((), events) = tokio::time::timeout(DEADLINE, async { tokio::join!(killing, feeding) })
        .await
        .unwrap();
    world.settle(&consumer).await;
    let status = world.audit(&consumer).await;
    assert_eq!(status.alarms, Vec::<String>::new());
    assert_eq!(
        (status.verified, world.events().await),
        (status.committed, events)
    );
    assert_eq!(
        world
            .count("SELECT uniqExactIf(offset, fate = 'event') FROM audit_log")
            .await,
        events
    );
    // Copies only where the engine forgot a part that it had acknowledged, or a token; then they are counted.
    let copies = world
        .count("SELECT toUInt64(count() - uniqExact(offset)) FROM audit_log")
        .await;
    assert_eq!(copies, status.surplus_copies);
    world.close(consumer).await;
}

fn is_ready(state: &store::supervisor::State) -> bool {
    matches!(state, store::supervisor::State::Ready(_))
}

/// A moment within an insert.
fn rand_us() -> u64 {
    rand::random_range(0..12_000)
}
