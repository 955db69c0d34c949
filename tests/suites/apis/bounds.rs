//! What a route bounds.

use serde_json::Value;
use tests::read_journal;

use super::plan::{JSON, SECRET, call, events_by_id, id, start};

#[tokio::test]
async fn a_route_bounds_what_a_request_may_ask() {
    let rig = start().await;
    let chat = |model: &str, more: &str, text: &str| {
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#)
    };
    for (more, text, status, code) in [
        (r#","max_tokens":6"#, "hello", 400, "parameter_above_limit"),
        (r#","n":3"#, "hello", 400, "parameter_above_limit"),
        (
            "",
            &"word ".repeat(60) as &str,
            400,
            "context_length_exceeded",
        ),
        ("", &"word ".repeat(900), 413, "request_too_large"),
        (r#","max_tokens":5,"n":2"#, "hello", 200, ""),
    ] {
        let body = chat("bounded", more, text);
        let answer = call(&rig, SECRET, "/v1/chat/completions", JSON, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{}",
            answer.text()
        );
    }
    let body = chat("clamped", r#","max_tokens":50,"n":7"#, "hello");
    let answer = call(&rig, SECRET, "/v1/chat/completions", JSON, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    assert_eq!(said["choices"].as_array().map(Vec::len), Some(2));
    let event = &events_by_id(&rig).await[&id(&answer)];
    let record = read_journal(&rig.data_dir())
        .events
        .pop()
        .expect("a record");
    let policies = record.policies.as_str();
    assert_eq!(policies, "clamped max_tokens 50 to 5, n 7 to 2");
    assert_eq!(
        event["output_text"], 10,
        "two answers of five tokens: {event}"
    );
}
