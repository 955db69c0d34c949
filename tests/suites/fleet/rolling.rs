//! Three gateways restart one after the other under load. An app goes to another one only where a connection is refused; what
//! was taken is answered.

use std::error::Error as _;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemas::Topic;
use tests::{App, Ask, Cluster, Truth, eventually};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::stand::{Plan, Stand};
use crate::topic::{dense, read_topic};

const GATEWAYS: usize = 3;
const APPS: usize = 6;
/// Between two restarts.
const CALLS: usize = 60;

fn was_refused(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}

/// One app's calls, one after the other, until it is told to stop. Gives the nonces and what went wrong.
async fn calls(
    app: usize,
    instances: Vec<App>,
    served: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> (Vec<String>, Vec<String>) {
    let (mut nonces, mut wrong) = (Vec::new(), Vec::new());
    let mut at = app;
    for call in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let ask = Ask::new(format!("{app}-{call}"));
        let ask = if call % 4 == 3 { ask.streamed() } else { ask };
        let mut answer = Err("every instance refuses".to_owned());
        for _ in 0..GATEWAYS {
            at = (at + 1) % GATEWAYS;
            match instances[at].call(&ask).await {
                Err(error) if was_refused(&error) => {}
                other => {
                    answer = other.map_err(|error| format!("{error:?}"));
                    break;
                }
            }
        }
        match answer {
            Ok(whole) if whole.seen(ask.stream) == simulator::load::Outcome::Complete => {
                served.fetch_add(1, Ordering::Relaxed);
            }
            Ok(whole) => wrong.push(format!("{}: status {}", ask.nonce, whole.status)),
            Err(error) => wrong.push(format!("{}: {error}", ask.nonce)),
        }
        nonces.push(ask.nonce);
    }
    (nonces, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_restart_in_turn_at_load_without_a_failed_call_or_a_lost_record() {
    let cluster = Cluster::start(1).await;
    let mut plan = Plan::single(&cluster.servers());
    plan.prefix = Some("fleet.".to_owned());
    // Long enough for every app to have had an answer on each of its connections.
    plan.setup.gateway = "unready_ms = 1000".to_owned();
    plan.setup.simulator.latency_ms = 20;
    let mut stands = Vec::new();
    for _ in 0..GATEWAYS {
        stands.push(Stand::start(plan.clone()).await);
    }
    let (served, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let mut apps = JoinSet::new();
    for app in 0..APPS {
        let instances = stands.iter().map(Stand::app).collect();
        apps.spawn(calls(app, instances, served.clone(), stop.clone()));
    }
    let more_are_served = async || {
        let before = served.load(Ordering::Relaxed);
        eventually("more calls are served", async || {
            (served.load(Ordering::Relaxed) >= before + CALLS).then_some(())
        })
        .await;
    };
    for stand in &mut stands {
        more_are_served().await;
        stand.terminate().await;
        more_are_served().await;
        stand.start_again().await;
    }
    more_are_served().await;
    stop.cancel();
    let (mut asked, mut wrong) = (Vec::new(), Vec::new());
    while let Some(app) = apps.join_next().await {
        let (nonces, failed) = app.expect("no panic");
        asked.extend(nonces);
        wrong.extend(failed);
    }
    assert_eq!(wrong, [""; 0], "of {} calls", asked.len());

    let mut provided = 0;
    for stand in &mut stands {
        stand.terminate().await;
        provided += Truth::of(&stand.simulator).requests.len();
    }
    let records = read_topic(&cluster.servers(), &stands[0].topic(Topic::Usage)).await;
    dense(&records);
    let mut found: Vec<String> = records
        .iter()
        .map(|record| {
            let event = serde_json::from_slice::<serde_json::Value>(&record.value);
            let event = event.expect("a record is JSON");
            assert_eq!(event["outcome"], "completed", "{event}");
            let nonce = event["labels"]["client_request_id"].as_str();
            nonce.expect("a nonce").to_owned()
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    asked.sort_unstable();
    assert_eq!(found, asked, "each call has its record");
    assert_eq!(provided, asked.len(), "no call was made twice");
    eprintln!("{} calls over {GATEWAYS} restarts", asked.len());
}
