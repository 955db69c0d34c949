//! A gateway before its consumer: what the older consumer can not read it does not pass over. And a gateway of the draft that was
//! killed: the newer one takes its journal over.

use reqwest::Response;
use tests::{App, Ask, eventually};

use crate::figures::{DRAFTED, FAULTS, FROZEN, NEVER};
use crate::fleet::{Fleet, caught_up, share};
use crate::versions::Version;

const CALLS: u64 = 30;
const CUT_OFF: u64 = 3;

async fn calls(app: &App, prefix: &str) {
    for number in 0..CALLS {
        let answer = app.call(&Ask::new(format!("{prefix}-{number}"))).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
}

/// Streams that are running when this returns.
async fn streams(app: &App) -> Vec<Response> {
    let mut running = Vec::new();
    for number in 0..CUT_OFF {
        let ask = Ask::new(format!("cut-{number}")).streamed().tokens(400);
        let mut answer = app.begin(&ask.ordering("chunk_delay=200")).await;
        let stream = answer.as_mut().expect("the stream begins");
        assert!(stream.chunk().await.expect("a chunk").is_some());
        running.extend(answer);
    }
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_consumer_waits_for_its_upgrade_and_a_killed_drafts_requests_are_closed() {
    use Version::{Draft, Today};
    let fleet = Fleet::start().await;
    let mut gateway = fleet.gateway("gateway", Draft).await;
    let mut reader = fleet.consumer("consumer", Draft).await;
    share(&[&reader]).await;
    calls(&gateway.app(), "draft").await;
    let running = streams(&gateway.app()).await;
    gateway.kill();
    drop(running);

    // The newer one closes what it left open, before it serves.
    gateway.begin(Today).await;
    calls(&gateway.app(), "today").await;
    let why = eventually("the older consumer says why it stands still", async || {
        let says = reader.says("readyz").await;
        says.contains("newer than this program").then_some(says)
    })
    .await;
    assert!(why.contains("of version v1,"), "{why}");
    // How much is in the store is open: each partition is read at its own pace, and a batch whose cut stands behind the first newer
    // record waits for the upgrade.
    fleet.holds(&NEVER).await;
    assert_eq!(fleet.count(FROZEN).await, 0, "nothing of v1 was taken");

    reader.become_of(Today).await;
    share(&[&reader]).await;
    let end = fleet.spoken_past().await;
    gateway.stop().await;
    caught_up(&fleet, &[&reader]).await;
    let of = |outcome: &str| {
        format!("SELECT count() FROM usage_events FINAL WHERE outcome = '{outcome}'")
    };
    fleet
        .holds(&[
            ("completed", &of("completed"), 2 * CALLS),
            ("unknown", &of("unknown"), CUT_OFF),
            ("records of the draft", DRAFTED, CALLS),
            ("records of v1", FROZEN, CALLS + CUT_OFF),
        ])
        .await;
    fleet.holds(&FAULTS).await;
    // What the gateway said of itself meanwhile was passed over, and is read once more.
    fleet.is_complete(&reader, &end).await;
}
