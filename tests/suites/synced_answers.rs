//! What a tenant that asked for `synced` is told, whoever says it, has its record on the disk before it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use journal::{Item, Reader, RealLayer};
use schemas::{RecordKind, fs_names};
use serde::Deserialize;
use tests::{Ask, KEYS, Life, Setup, free_address};

/// Of each kind.
const CALLS: usize = 60;

#[derive(Deserialize)]
struct Record {
    request_id: String,
}

/// Where the usage record of each request lies.
fn places(data_dir: &Path) -> Vec<(String, u64)> {
    let journal = data_dir.join(fs_names::JOURNAL_DIR);
    let mut reader = Reader::open_dir(&journal).expect("a journal can be read");
    let mut places = Vec::new();
    while let Some(item) = reader.read().expect("a journal can be read") {
        if let Item::Frame(frame) = item
            && frame.kind == RecordKind::Usage as u8
        {
            let record: Record = serde_json::from_slice(&frame.payload).expect("a record");
            places.push((record.request_id, frame.position));
        }
    }
    places
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
    let places = places(folder.path());
    for (id, status, synced) in told {
        let found: Vec<u64> = places
            .iter()
            .filter(|(of, _)| *of == id)
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
