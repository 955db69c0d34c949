//! What a route bounds.

use schemas::Unit;
use serde_json::Value;
use tests::raw::{RawAnswer, send};
use tests::{Rig, read_journal};

use super::plan::{ALIAS, JSON, PUBLIC, SECRET, call, events_by_id, form, id, start};

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

/// Sends a body without saying how long it is, in two chunks.
async fn call_in_chunks(rig: &Rig, path: &str, kind: &str, body: &str) -> RawAnswer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\napi-key: {SECRET}\r\ncontent-type: {kind}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let (first, rest) = body.split_at(body.len() / 2);
    let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
    let (first, rest) = (chunk(first), chunk(rest) + "0\r\n\r\n");
    send(
        rig.app(),
        &[head.as_bytes(), first.as_bytes(), rest.as_bytes()],
    )
    .await
}

/// What admission reserved for the last request.
fn reserved(rig: &Rig) -> Vec<(Unit, i64)> {
    let record = read_journal(&rig.data_dir()).events.pop();
    record.expect("a record").estimated_units.iter().collect()
}

/// Without `n` a request asks for one answer, if all of it has come: of what still comes nobody knows.
#[tokio::test]
async fn admission_reserves_one_answer_where_all_has_come_and_nothing_where_more_may_come() {
    let rig = start().await;
    let chat = format!(
        r#"{{"model":"{PUBLIC}","max_tokens":9,"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    let bytes = i64::try_from(chat.len()).expect("a short body");
    let whole = [(Unit::InputText, bytes + 256), (Unit::OutputText, 9)];
    let path = "/v1/chat/completions";
    assert_eq!(call(&rig, SECRET, path, JSON, &chat).await.status, 200);
    assert_eq!(reserved(&rig), whole);
    assert_eq!(call_in_chunks(&rig, path, JSON, &chat).await.status, 200);
    assert_eq!(reserved(&rig), whole, "it was read whole");
    let (path, kind) = ("/v1/images/edits", "multipart/form-data; boundary=b");
    let large = form(&[("model", ALIAS)], 3 << 20, "--b--\r\n");
    assert_eq!(call(&rig, SECRET, path, kind, &large).await.status, 200);
    assert_eq!(reserved(&rig), [], "an `n` may follow the file");
    assert_eq!(call_in_chunks(&rig, path, kind, &large).await.status, 200);
    assert_eq!(reserved(&rig), []);
}
