//! N → N+1 → N: consumers first, then gateways; back the other way round. No call fails, no record is lost or doubled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use schemas::migrations;
use tests::{App, Ask, KEYS, eventually};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::figures::{COPIES, DRAFTED, FAULTS, FROZEN};
use crate::fleet::{Fleet, caught_up, share};
use crate::versions::Version;

/// Of two gateways: as the draft, as today's, as the draft again.
const STARTS: u64 = 6;
/// Between an app's calls.
const PACE: Duration = Duration::from_millis(10);

/// Apps that call one gateway, and the other where nobody listens.
struct Load {
    apps: JoinSet<usize>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    fn start(gateways: &[App; 2]) -> Self {
        let mut load = Self {
            apps: JoinSet::new(),
            stop: Arc::default(),
            answered: Arc::default(),
        };
        for (number, key) in KEYS.into_iter().enumerate() {
            let gateways = gateways.clone();
            let (stop, answered) = (load.stop.clone(), load.answered.clone());
            load.apps.spawn(async move {
                let mut done = 0;
                let mut pace = interval(PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stop.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let ask = Ask::new(format!("u{number}-{done}")).key(key);
                    call(&gateways, number + done, &ask).await;
                    answered.fetch_add(1, Ordering::Relaxed);
                    done += 1;
                }
                done
            });
        }
        load
    }

    /// Waits for so many more answers.
    async fn answers(&self, more: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        eventually("calls are answered", async || {
            (self.answered.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Stops; how many calls were answered.
    async fn end(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut done = 0;
        while let Some(app) = self.apps.join_next().await {
            done += app.expect("no call failed");
        }
        done
    }
}

/// A call that must be answered; where nobody listens the other gateway is called, as a load balancer does.
async fn call(gateways: &[App; 2], first: usize, ask: &Ask) {
    for attempt in 0.. {
        match gateways[(first + attempt) % 2].call(ask).await {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{:?}", answer.error_code());
                return;
            }
            Err(error) => assert!(error.is_connect(), "a call failed: {error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_and_its_way_back_lose_and_double_nothing() {
    use Version::{Draft, Today};
    let fleet = Fleet::start().await;
    let mut one = fleet.gateway("gateway-1", Draft).await;
    let mut two = fleet.gateway("gateway-2", Draft).await;
    let mut reader = fleet.consumer("consumer-1", Draft).await;
    let mut other = fleet.consumer("consumer-2", Draft).await;
    share(&[&reader, &other]).await;
    let load = Load::start(&[one.app(), two.app()]);
    load.answers(200).await;

    // Consumers first: they read what both versions write. The first one migrates the store.
    reader.become_of(Today).await;
    share(&[&reader, &other]).await;
    let version = "SELECT toUInt64(max(version)) FROM schema_migrations";
    assert_eq!(fleet.count(version).await, migrations::ALL.len() as u64);
    load.answers(200).await;
    other.become_of(Today).await;
    share(&[&reader, &other]).await;
    one.become_of(Today).await;
    load.answers(200).await;
    two.become_of(Today).await;
    load.answers(200).await;

    // Back: gateways first, and consumers when nothing of the newer wire waits.
    one.become_of(Draft).await;
    load.answers(200).await;
    two.become_of(Draft).await;
    load.answers(200).await;
    caught_up(&fleet, &[&reader, &other]).await;
    eventually("the store has heard of every start so far", async || {
        let starts = "SELECT uniqExact(boot) FROM producer_log WHERE kind = 'live'";
        (fleet.count(starts).await == STARTS).then_some(())
    })
    .await;
    reader.become_of(Draft).await;
    share(&[&reader, &other]).await;
    load.answers(200).await;
    other.become_of(Draft).await;
    share(&[&reader, &other]).await;
    load.answers(200).await;

    let answered = u64::try_from(load.end().await).expect("a count");
    let end = fleet.spoken_past().await;
    for gateway in [&mut one, &mut two] {
        gateway.stop().await;
    }
    caught_up(&fleet, &[&reader, &other]).await;
    holds(&fleet, answered).await;
    fleet.is_complete(&reader, &end).await;
    eprintln!("{answered} calls over eight restarts");
}

/// Every call has one event, of the provider's figures, and both wires were written.
async fn holds(fleet: &Fleet, answered: u64) {
    let truth = fleet.truth();
    assert_eq!(truth.repeated, Vec::<String>::new(), "called once each");
    assert_eq!(
        truth.answers.len() as u64,
        answered,
        "what the provider did"
    );
    let settled = "SELECT uniqExact(labels['client_request_id']) FROM usage_events FINAL \
                   WHERE outcome = 'completed' AND usage_source = 'provider'";
    fleet
        .holds(&[
            ("events", "SELECT count() FROM usage_events FINAL", answered),
            ("completed requests", settled, answered),
        ])
        .await;
    fleet.holds(&FAULTS).await;
    fleet.holds(&[COPIES]).await;
    for (wire, records) in [("v1", FROZEN), ("the draft", DRAFTED)] {
        assert!(fleet.count(records).await > 0, "{wire} was written");
    }
}
