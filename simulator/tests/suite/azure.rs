//! Azure's dialect: its addresses, its errors, its verdicts.

use serde_json::{Value, json};
use simulator::{Dialect, Record, Simulator};

use crate::asked::Asked;
use crate::common::{answers, client, events, start};

const VERSION: &str = "api-version=2024-10-21";

fn deployment(simulator: &Simulator, name: &str) -> String {
    format!("http://{}/openai/deployments/{name}", simulator.addr())
}

fn chat(path: &'static str, more: Value) -> Asked {
    let mut body =
        json!({"messages": [{"role": "user", "content": "hello world"}], "max_tokens": 3});
    let mut more = more;
    body.as_object_mut()
        .expect("an object")
        .append(more.as_object_mut().expect("an object"));
    Asked::json(path, &body)
}

const CHAT: &str = "/chat/completions?api-version=2024-10-21";

#[tokio::test]
async fn a_deployment_answers_in_azures_way() {
    let simulator = start();
    let base = deployment(&simulator, "gpt-4o");
    let response = chat(CHAT, json!({"model": "gpt-4"}))
        .post(&base, "n", "")
        .await
        .expect("an answer");
    for name in ["x-ms-region", "apim-request-id", "x-request-id"] {
        assert!(response.headers().contains_key(name), "{name}");
    }
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer["model"], "gpt-4o-2024-08-06", "the path decides");
    assert_eq!(answer["prompt_filter_results"][0]["prompt_index"], 0);
    assert_eq!(
        answer["choices"][0]["content_filter_results"]["hate"]["severity"],
        "safe"
    );
    let Record::Request(request) = &simulator.truth().since(0)[0] else {
        panic!("a request comes first")
    };
    assert_eq!(
        (request.dialect, request.model.as_deref()),
        (Dialect::Azure, Some("gpt-4o"))
    );
}

#[tokio::test]
async fn a_stream_begins_with_the_verdict_on_the_prompt() {
    let simulator = start();
    let base = deployment(&simulator, "gpt-4o");
    let asked = chat(
        CHAT,
        json!({"stream": true, "stream_options": {"include_usage": true}}),
    );
    let read = async |order: &str| {
        let response = asked.post(&base, "n", order).await.expect("an answer");
        events(&response.text().await.expect("a body"))
    };
    let usual = read("").await;
    assert_eq!(
        (&usual[0]["id"], &usual[0]["choices"]),
        (&json!(""), &json!([]))
    );
    assert!(usual[0]["prompt_filter_results"].is_array());
    assert!(usual[2]["choices"][0]["content_filter_results"]["hate"].is_object());
    assert_eq!(
        usual.last().expect("an event")["usage"]["completion_tokens"],
        3
    );
    let late = read("late_verdicts").await;
    assert_eq!(late.len(), usual.len() + 1);
    assert!(
        late[2]["choices"][0]
            .get("content_filter_results")
            .is_none()
    );
    assert!(late[late.len() - 2]["choices"][0]["content_filter_offsets"].is_object());
    let filtered = read("filter=answer").await;
    let last = filtered.last().expect("an event");
    assert_eq!(last["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(
        last["usage"],
        json!(null),
        "nothing is told of a filtered answer"
    );
    assert!(!answers(&simulator).pop().expect("an answer").usage_sent);
}

#[tokio::test]
async fn errors_have_azures_words() {
    let simulator = start();
    for (name, order, status, code) in [
        ("nobody", "", 404, json!("DeploymentNotFound")),
        ("gpt-4o", "status=401", 401, json!("401")),
        ("gpt-4o", "status=429", 429, json!("429")),
        ("gpt-4o", "filter=prompt", 400, json!("content_filter")),
        ("gpt-4o", "status=500", 500, json!(null)),
    ] {
        let response = chat(CHAT, json!({}))
            .post(&deployment(&simulator, name), "n", order)
            .await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), status);
        assert!(response.headers().contains_key("apim-request-id"));
        assert_eq!(
            response.headers().contains_key("retry-after"),
            status == 429
        );
        let error = response.json::<Value>().await.expect("JSON")["error"].take();
        assert_eq!(error["code"], code, "{error}");
        if status == 400 {
            assert_eq!(error["innererror"]["code"], "ResponsibleAIPolicyViolation");
            assert_eq!(
                error["innererror"]["content_filter_result"]["violence"]["filtered"],
                true
            );
        }
    }
}

#[tokio::test]
async fn a_version_must_be_named() {
    let simulator = start();
    let base = deployment(&simulator, "gpt-4o");
    for (path, status, code) in [
        ("/chat/completions", 404, "404"),
        ("/chat/completions?api-version=soon", 400, "BadRequest"),
        ("/moderations?api-version=2024-10-21", 404, "404"),
    ] {
        let response = chat(path, json!({}))
            .post(&base, "n", "")
            .await
            .expect("an answer");
        assert_eq!(response.status(), status);
        assert_eq!(
            response.json::<Value>().await.expect("JSON")["error"]["code"],
            code
        );
    }
    assert!(answers(&simulator).is_empty(), "nobody was called");
}

#[tokio::test]
async fn every_deployments_api_is_there() {
    let simulator = start();
    let speech = json!({"voice": "alloy", "input": "a"});
    for (name, asked) in [
        (
            "davinci-002",
            Asked::json(
                "/completions?api-version=2024-10-21",
                &json!({"prompt": "a"}),
            ),
        ),
        (
            "text-embedding-3-small",
            Asked::json("/embeddings?api-version=2024-10-21", &json!({"input": "a"})),
        ),
        (
            "dall-e-3",
            Asked::json(
                "/images/generations?api-version=2024-10-21",
                &json!({"prompt": "a"}),
            ),
        ),
        (
            "gpt-image-1",
            Asked::form(
                "/images/edits?api-version=2024-10-21",
                &[("prompt", "a")],
                ("image", b"x"),
            ),
        ),
        (
            "whisper-1",
            Asked::form(
                "/audio/transcriptions?api-version=2024-10-21",
                &[],
                ("file", b"x"),
            ),
        ),
        (
            "whisper-1",
            Asked::form(
                "/audio/translations?api-version=2024-10-21",
                &[],
                ("file", b"x"),
            ),
        ),
        (
            "tts-1",
            Asked::json("/audio/speech?api-version=2024-10-21", &speech),
        ),
    ] {
        let response = asked
            .post(&deployment(&simulator, name), "n", "")
            .await
            .expect("an answer");
        assert_eq!(response.status(), 200, "{name} {}", asked.path);
        let truth = answers(&simulator).pop().expect("an answer");
        assert_eq!(truth.model.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn paths_without_a_deployment_take_the_model_from_the_body() {
    let simulator = start();
    let body = json!({"model": "gpt-4o", "input": "a"});
    for path in [
        "/openai/responses?api-version=2025-04-01-preview",
        "/openai/v1/responses",
        "/openai/v1/responses?api-version=preview",
    ] {
        let base = format!("http://{}", simulator.addr());
        let response = Asked::json(path, &body)
            .post(&base, "n", "")
            .await
            .expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.headers().contains_key("x-ms-region"));
    }
    for path in [
        format!("models?{VERSION}"),
        "v1/models".to_owned(),
        format!("models/gpt-4o?{VERSION}"),
    ] {
        let url = format!("http://{}/openai/{path}", simulator.addr());
        let answer: Value = client()
            .get(url)
            .header("api-key", "k")
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let entry = if path.contains("gpt-4o") {
            &answer
        } else {
            &answer["data"][0]
        };
        assert_eq!(entry["status"], "succeeded", "{path}");
    }
}
