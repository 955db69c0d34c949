//! What a tenant that asked for `synced` is told, whoever says it, has its record on the disk before it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use journal::testing::FaultLayer;
use journal::{Item, Reader, RealLayer};
use schemas::{RecordKind, fs_names};
use serde::Deserialize;
use tests::{Ask, KEYS, Life, Setup, eventually, free_address, within};

/// Of each kind.
const CALLS: usize = 60;

#[derive(Debug, Deserialize)]
struct Record {
    request_id: String,
    outcome: String,
    outcome_detail: Option<String>,
    status: Option<u16>,
    durability_degraded: bool,
}

/// The usage records, and where they lie.
fn records(data_dir: &Path) -> Vec<(Record, u64)> {
    let journal = data_dir.join(fs_names::JOURNAL_DIR);
    let mut reader = Reader::open_dir(&journal).expect("a journal can be read");
    let mut records = Vec::new();
    while let Some(item) = reader.read().expect("a journal can be read") {
        if let Item::Frame(frame) = item
            && frame.kind == RecordKind::Usage as u8
        {
            let record: Record = serde_json::from_slice(&frame.payload).expect("a record");
            records.push((record, frame.position));
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_our_own_wait_for_their_record_as_well() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let setup = Setup {
        durability: ["synced"; 3],
        // Nobody listens there.
        provider_url: Some(format!("http://{}/v1", free_address())),
        ..Setup::default()
    };
    let life = Life::start(
        &setup.toml(any, any, ""),
        folder.path(),
        Arc::new(RealLayer),
    )
    .await;
    let (app, http) = (life.app(), reqwest::Client::new());
    let models = app.url().replace("/chat/completions", "/models");
    let mut told = Vec::new();
    for number in 0..CALLS {
        let ask = Ask::new(format!("unreachable-{number}"));
        let listing = http.get(&models).bearer_auth(KEYS[0].secret);
        for status in [502, 404, 200] {
            let answer = match status {
                502 => app.begin(&ask).await,
                404 => app.begin(&ask.clone().model("no-such-model")).await,
                _ => listing.try_clone().expect("no body").send().await,
            };
            let (answer, synced) = (answer.expect("an answer"), life.journal.synced_end());
            assert_eq!(answer.status().as_u16(), status);
            let id = answer.headers()["x-request-id"].to_str().expect("a text");
            told.push((id.to_owned(), status, synced));
        }
    }
    life.stop().await;
    let records = records(folder.path());
    for (id, status, synced) in told {
        let found: Vec<u64> = records
            .iter()
            .filter(|(of, _)| of.request_id == id)
            .map(|(_, at)| *at)
            .collect();
        let [at] = found[..] else {
            panic!("records of {id}: {found:?}");
        };
        assert!(
            at < synced,
            "{status} was told when {synced} was synced, its record lies at {at}"
        );
    }
}

/// Syncs that are let go on at the end, whatever it is.
struct Held(FaultLayer);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.hold_syncs(false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_sync_in_time_refuses_who_comes_and_lets_finish_who_was_let_in() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let simulator = simulator::Simulator::start(simulator::Config::default());
    let simulator = simulator.expect("the simulator starts");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let setup = Setup {
        durability: ["synced"; 3],
        ..Setup::default()
    };
    let layer = FaultLayer::new(Arc::new(RealLayer));
    let life = Life::start(
        &setup.toml(any, any, &simulator.base_url()),
        folder.path(),
        Arc::new(layer.clone()),
    )
    .await;
    let app = life.app();
    let early = Ask::new("early").ordering("latency=4000");
    let truth = simulator.truth();
    let held = Held(layer);
    let is_told = AtomicBool::new(false);
    let both = async {
        let early = async {
            let answer = app.call(&early).await;
            is_told.store(true, Ordering::SeqCst);
            answer
        };
        tokio::join!(early, async {
            eventually("the first call is at its provider", async || {
                (!truth.since(0).is_empty()).then_some(())
            })
            .await;
            held.0.hold_syncs(true);
            let late = app.call(&Ask::new("late")).await;
            let is_told = is_told.load(Ordering::SeqCst);
            assert!(!is_told, "its record came later, and is waited for as long");
            late
        })
    };
    let (early, late) = within("both are answered", both).await;
    drop(held);
    let (early, late) = (early.expect("an answer"), late.expect("an answer"));
    assert_eq!((early.status, late.status), (200, 503));
    let late = String::from_utf8_lossy(&late.body).into_owned();
    assert!(late.contains("metering_unavailable"), "{late}");
    life.stop().await;
    let requests = truth.since(0).into_iter();
    let requests = requests.filter(|record| matches!(record, simulator::Record::Request(_)));
    assert_eq!(requests.count(), 1, "who is refused is not sent on");
    let mut told: Vec<_> = records(folder.path())
        .into_iter()
        .map(|(record, _)| {
            let Record {
                outcome,
                outcome_detail,
                status,
                durability_degraded,
                ..
            } = record;
            (status, outcome, outcome_detail, durability_degraded)
        })
        .collect();
    told.sort();
    // What is written does not say what its own wait became: that is logged and counted.
    let completed = (Some(200), "completed".to_owned(), None, false);
    let unrecorded = Some("metering_unavailable".to_owned());
    let refused = (Some(503), "refused_limit".to_owned(), unrecorded, true);
    assert_eq!(told, [completed, refused]);
}
