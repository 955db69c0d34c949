//! Connections that end before a request has passed whole: by the provider, and by an app that leaves in a pause.

use schemas::{Billable, Outcome};
use tests::raw::post;
use tests::{Rig, eventually, read_journal};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::forms::{KIND, MIB, edit, form};
use super::plan::{PLAYED, SECRET, calls, failed, plan, record};
use super::provider::{Act, Provider};

/// More than the sockets of a connection hold, so that some of it never left.
const LARGE: usize = 8 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_had_the_whole_request_bills_nothing() {
    let provider = Provider::start(vec![Act::Reset(MIB)]);
    let rig = Rig::start(plan("", &provider.base_url())).await;
    let json = format!(
        r#"{{"model":"{PLAYED}","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
        "QUJD".repeat(LARGE / 4)
    );
    let (form, _) = form(LARGE);
    for (kind, path, body) in [
        (KIND, "/v1/images/edits", form.as_slice()),
        ("application/json", "/v1/chat/completions", json.as_bytes()),
    ] {
        for _ in 0..2 {
            let answer = edit(&rig, kind, path, body).await;
            assert_eq!(answer.status, 502, "{}", answer.text());
            let event = record(&rig, &answer).await;
            assert_eq!(
                event.outcome_detail.as_ref().map(schemas::Text::as_str),
                Some("upstream_reset")
            );
            let broken = (None, Outcome::UpstreamError, Some(Billable::No));
            assert_eq!(calls(&event), [broken], "{path}");
            assert_eq!(event.billable, Billable::No, "{path}");
        }
    }
    let bodies = provider.bodies();
    assert!(bodies.iter().all(|body| !body.whole), "{bodies:?}");
}

/// The first call had all of the form, so the app has nothing more to send and its end is seen at once; the second one is
/// answered while the form is sent again, and held there.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_leaves_in_a_pause_leaves_no_call_behind() {
    let acts = vec![Act::Answer(429), Act::Patient(MIB, 503)];
    let provider = Provider::start(acts);
    let rig = Rig::start(plan("", &provider.base_url())).await;
    let headers = format!("api-key: {SECRET}\r\ncontent-type: {KIND}\r\n");
    let (body, _) = form(LARGE);
    let mut stream = TcpStream::connect(rig.app()).await.expect("it listens");
    let request = post("/v1/images/edits", &headers, &body);
    stream.write_all(&request).await.expect("it reads");
    eventually("the second call is held", async || {
        provider.has_stalled().then_some(())
    })
    .await;
    drop(stream);
    let ended = eventually("the connection of the call ended", async || {
        provider.bodies().into_iter().nth(1)
    })
    .await;
    assert!(!ended.whole, "{ended:?}");
    let event = eventually("its record is there", async || {
        read_journal(&rig.data_dir()).events.pop()
    })
    .await;
    assert_eq!(event.outcome, Outcome::ClientAborted);
    let both = [failed(429, Billable::No), failed(503, Billable::Unclear)];
    assert_eq!(calls(&event), both);
    assert_eq!(read_journal(&rig.data_dir()).events.len(), 1, "once");
}
