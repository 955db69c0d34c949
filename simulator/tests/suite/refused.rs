//! What every API refuses, and how.

use serde_json::{Value, json};

use crate::asked::{Asked, picture, plain, speech, streams};
use crate::common::{answers, start};

#[tokio::test]
async fn every_api_has_the_providers_errors() {
    let simulator = start();
    for (_, asked) in plain().into_iter().chain(streams()) {
        for (status, kind) in [
            (400, "invalid_request_error"),
            (401, "invalid_request_error"),
            (404, "invalid_request_error"),
            (429, "tokens"),
            (500, "server_error"),
        ] {
            let order = format!("status={status},retry_after=1500");
            let response = asked
                .post(&simulator.base_url(), "n", &order)
                .await
                .expect("an answer");
            assert_eq!(response.status(), status);
            let waits = response.headers().get("retry-after-ms").cloned();
            assert_eq!(waits.is_some_and(|value| value == "1500"), status == 429);
            let error: Value = response.json().await.expect("JSON");
            assert_eq!(error["error"]["type"], kind, "{}: {error}", asked.path);
        }
        let truth = answers(&simulator).pop().expect("an answer");
        assert_eq!((truth.status, truth.lines.len()), (500, 0));
    }
}

/// JSON that is refused.
fn bad_bodies() -> Vec<Asked> {
    vec![
        Asked::json("/completions", &json!({"model": "davinci-002"})),
        Asked::json(
            "/completions",
            &json!({"model": "davinci-002", "prompt": []}),
        ),
        Asked::json(
            "/completions",
            &json!({"model": "davinci-002", "prompt": "x", "n": 3, "best_of": 2}),
        ),
        Asked::json("/embeddings", &json!({"input": "x"})),
        Asked::json(
            "/embeddings",
            &json!({"model": "text-embedding-3-small", "input": {}}),
        ),
        Asked::json(
            "/embeddings",
            &json!({"model": "text-embedding-3-small", "input": "x", "dimensions": 0}),
        ),
        Asked::json(
            "/embeddings",
            &json!({"model": "text-embedding-3-small", "input": "x", "encoding_format": "hex"}),
        ),
        Asked::json("/responses", &json!({"model": "gpt-5"})),
        Asked::json("/images/generations", &json!({"model": "gpt-image-1"})),
        picture(json!({"size": "7x7"})),
        picture(json!({"n": 11})),
        picture(json!({"partial_images": 4})),
        speech(json!({"response_format": "ogg"})),
        speech(json!({"model": "tts-1", "stream_format": "sse"})),
        Asked::json("/audio/speech", &json!({"model": "tts-1", "input": "x"})),
        Asked::json("/moderations", &json!({})),
    ]
}

/// Forms that are refused.
fn bad_forms() -> Vec<Asked> {
    let image = ("image", &b"x"[..]);
    vec![
        Asked::json("/images/edits", &json!({"model": "gpt-image-1"})),
        Asked::form("/images/edits", &[("model", "gpt-image-1")], image),
        Asked::form(
            "/images/edits",
            &[("model", "gpt-image-1"), ("prompt", "x"), ("n", "two")],
            image,
        ),
        Asked::form("/audio/transcriptions", &[], ("file", b"x")),
        Asked::form("/audio/transcriptions", &[("model", "whisper-1")], image),
        Asked::form(
            "/audio/transcriptions",
            &[("model", "gpt-4o-transcribe"), ("response_format", "srt")],
            ("file", b"x"),
        ),
        Asked::form(
            "/audio/transcriptions",
            &[("model", "whisper-1"), ("response_format", "xml")],
            ("file", b"x"),
        ),
    ]
}

#[tokio::test]
async fn bad_requests_of_every_api_are_refused() {
    let simulator = start();
    let cases = [bad_bodies(), bad_forms()].concat();
    for asked in &cases {
        let response = asked
            .post(&simulator.base_url(), "n", "")
            .await
            .expect("an answer");
        let (status, error): (_, Value) = (response.status(), response.json().await.expect("JSON"));
        assert_eq!(
            (status.as_u16(), &error["error"]["type"]),
            (400, &json!("invalid_request_error")),
            "{asked:?}"
        );
    }
    assert_eq!(answers(&simulator).len(), cases.len());
}

#[tokio::test]
async fn a_model_that_nobody_has_is_not_found() {
    let simulator = start();
    for (_, asked) in plain() {
        let named = String::from_utf8_lossy(&asked.body)
            .replace("gpt", "nobody")
            .replace("whisper", "nobody");
        let unknown = Asked {
            body: named.replace("text-emb", "nobody-emb").into_bytes(),
            ..asked
        };
        let response = unknown
            .post(&simulator.base_url(), "n", "")
            .await
            .expect("an answer");
        let free = unknown.path == "/moderations";
        assert_eq!(
            response.status(),
            if free { 200 } else { 404 },
            "{}",
            unknown.path
        );
    }
}

#[tokio::test]
async fn who_sends_much_to_nowhere_still_sees_the_answer() {
    let simulator = start();
    let asked = Asked::form("/images/edits", &[], ("image", &vec![7; 8 * 1024 * 1024]));
    let nowhere = format!("http://{}/openai", simulator.addr());
    for _ in 0..4 {
        let response = asked.post(&nowhere, "n", "").await.expect("an answer");
        assert_eq!(response.status(), 404);
    }
}
