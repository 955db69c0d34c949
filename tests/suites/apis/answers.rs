//! What is recorded of an answer that tells little, or breaks off.

use serde_json::json;
use tests::raw::{post, send};

use super::plan::{ALIAS, JSON, SECRET, body, call, events_by_id, form, id, start};

#[tokio::test]
async fn figures_that_an_answer_does_not_tell_are_marked() {
    let rig = start().await;
    let (kind, speech) = body("audio/speech", Some(ALIAS));
    let spoken = call(&rig, SECRET, "/v1/audio/speech", kind, &speech).await;
    let text = form(
        &[("model", ALIAS), ("response_format", "text")],
        100,
        "--b--\r\n",
    );
    let kind = "multipart/form-data; boundary=b";
    let written = call(&rig, SECRET, "/v1/audio/transcriptions", kind, &text).await;
    assert_eq!(
        (spoken.status, written.status),
        (200, 200),
        "{}",
        written.text()
    );
    let events = events_by_id(&rig).await;
    let spoken = &events[&id(&spoken)];
    assert_eq!(spoken["characters"], 4, "{spoken}");
    assert_eq!(
        ["outcome", "usage_source", "usage_quality"].map(|name| spoken[name].as_str()),
        [Some("completed"), Some("estimated"), Some("missing")]
    );
    let written = &events[&id(&written)];
    assert_eq!(
        ["outcome", "usage_source", "usage_quality"].map(|name| written[name].as_str()),
        [Some("completed"), Some("none"), Some("missing")]
    );
}

/// What an answer would have told at its end is not made up from what came of it.
#[tokio::test]
async fn pieces_of_a_broken_answer_are_no_figures() {
    let rig = start().await;
    let headers =
        format!("api-key: {SECRET}\r\ncontent-type: {JSON}\r\nx-stainless-sim: reset_mid=2\r\n");
    let body = json!({"model": ALIAS, "prompt": "hello", "n": 2}).to_string();
    let request = post("/v1/images/generations", &headers, body.as_bytes());
    let answer = send(rig.app(), &[&request]).await;
    assert!(!answer.whole, "{}", answer.text());
    let events = rig.events().await;
    assert_eq!(
        ["outcome", "usage_source", "usage_quality", "billable"]
            .map(|name| events[0][name].as_str()),
        [
            Some("upstream_error"),
            Some("none"),
            Some("missing"),
            Some("unclear")
        ],
        "{}",
        events[0]
    );
    assert!(events[0]["images"].is_null(), "{}", events[0]);
}
