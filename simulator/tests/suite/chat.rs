//! The proper answers: shapes, counts and the truth about them.

use crate::common::{answers, body, chat, client, content, events, json, start, text};
use anyhow::Result;
use serde_json::json;
use simulator::{Count, Encoding, End, FinishReason, PromptCount, Record};

#[tokio::test]
async fn a_plain_answer_has_the_fields_of_the_real_one() -> Result<()> {
    let simulator = start();
    let response = chat(&simulator, &body("n1", "", json!({"max_tokens": 5}))).await?;
    assert_eq!(response.status(), 200);
    for name in [
        "x-request-id",
        "openai-processing-ms",
        "openai-version",
        "x-ratelimit-remaining-tokens",
    ] {
        assert!(response.headers().contains_key(name), "{name}");
    }
    let answer: serde_json::Value = serde_json::from_str(&response.text().await?)?;
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "gpt-4o-mini-2024-07-18");
    assert_eq!(answer["service_tier"], "default");
    assert!(
        answer["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("chatcmpl-") && id.len() == 38)
    );
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "length");
    assert!(choice["logprobs"].is_null() && choice["message"]["refusal"].is_null());
    let text = choice["message"]["content"].as_str().unwrap();
    assert_eq!(Encoding::O200kBase.count(text), 5);
    // "user" 1, "hello world" 2, 3 for the message, 3 for priming.
    let expected = json!({
        "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    });
    assert_eq!(answer["usage"], expected);
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_with_usage_and_done_when_usage_is_asked() {
    let simulator = start();
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 7});
    let stream = text(&simulator, &body("n1", "", asked)).await;
    assert!(stream.ends_with("data: [DONE]\n\n"));
    let events = events(&stream);
    assert_eq!(events.len(), 1 + 7 + 1 + 1);
    assert_eq!(
        events[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    let (last, chunks) = events.split_last().unwrap();
    assert!(chunks.iter().all(|chunk| {
        chunk
            .as_object()
            .unwrap()
            .get("usage")
            .is_some_and(serde_json::Value::is_null)
    }));
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 7);
    assert_eq!(
        chunks.last().unwrap()["choices"][0]["finish_reason"],
        "length"
    );
    assert_eq!(Encoding::O200kBase.count(&content(&events)), 7);
}

#[tokio::test]
async fn a_stream_says_nothing_of_usage_when_it_is_not_asked() {
    let simulator = start();
    let stream = text(
        &simulator,
        &body("n1", "", json!({"stream": true, "max_tokens": 3})),
    )
    .await;
    assert!(!stream.contains("usage"));
    assert_eq!(events(&stream).len(), 1 + 3 + 1);
}

#[tokio::test]
async fn plain_and_stream_of_one_nonce_say_the_same_and_the_truth_knows_both() {
    let simulator = start();
    let plain = json(&simulator, &body("same", "", json!({"max_tokens": 40}))).await;
    let stream = text(
        &simulator,
        &body("same", "", json!({"max_tokens": 40, "stream": true})),
    )
    .await;
    assert_eq!(
        plain["choices"][0]["message"]["content"],
        content(&events(&stream))
    );
    let lines = simulator.truth().since(0);
    assert_eq!(
        lines.iter().map(Record::seq).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    for (answer, usage_sent) in answers(&simulator).iter().zip([true, false]) {
        assert_eq!(
            (answer.status, answer.end, answer.usage_sent),
            (200, End::Complete, usage_sent)
        );
        assert_eq!(
            (
                answer.prompt_tokens,
                answer.completion_tokens,
                answer.completion_tokens_sent
            ),
            (9, 40, 40)
        );
        assert_eq!(answer.nonce.as_deref(), Some("same"));
    }
    let Record::Request(request) = &lines[0] else {
        panic!("a request comes first")
    };
    assert_eq!(request.api_key_sha256_8.as_deref().map(str::len), Some(8));
    assert_eq!(
        request.authorization_seen_sha256.as_deref().map(str::len),
        Some(64)
    );
}

#[tokio::test]
async fn several_choices_are_all_counted() {
    let simulator = start();
    let plain = json(&simulator, &body("n", "", json!({"max_tokens": 4, "n": 3}))).await;
    assert_eq!(plain["choices"].as_array().unwrap().len(), 3);
    assert_eq!(plain["usage"]["completion_tokens"], 12);
    let asked =
        json!({"max_tokens": 4, "n": 3, "stream": true, "stream_options": {"include_usage": true}});
    let events = events(&text(&simulator, &body("n", "", asked)).await);
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 12);
    let third = events
        .iter()
        .filter(|e| e["choices"][0]["index"] == 2 && e["choices"][0]["delta"]["content"] != "");
    assert_eq!(third.count(), 4 + 1);
}

#[tokio::test]
async fn hidden_and_cached_tokens_are_part_of_the_totals() {
    let simulator = start();
    simulator
        .control()
        .update(|s| (s.reasoning_tokens, s.cached_tokens) = (6, 4))
        .unwrap();
    let answer = json(&simulator, &body("n", "", json!({"max_tokens": 10}))).await;
    assert_eq!(answer["usage"]["completion_tokens"], 10);
    assert_eq!(
        answer["usage"]["completion_tokens_details"]["reasoning_tokens"],
        6
    );
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
    assert_eq!(
        Encoding::O200kBase.count(answer["choices"][0]["message"]["content"].as_str().unwrap()),
        4
    );
    assert_eq!(answers(&simulator)[0].completion_tokens_sent, 10);
}

#[tokio::test]
async fn content_only_counts_nothing_but_the_text() {
    let simulator = start();
    simulator
        .control()
        .update(|s| s.prompt_count = PromptCount::ContentOnly)
        .unwrap();
    let parts = json!([{"role": "user", "name": "ann", "content": [{"type": "text", "text": "hello world"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]);
    let answer = json(
        &simulator,
        &body("n", "", json!({"messages": parts, "max_tokens": 1})),
    )
    .await;
    assert_eq!(answer["usage"]["prompt_tokens"], 2);
}

#[tokio::test]
async fn an_answer_without_a_limit_stops_by_itself() {
    let simulator = start();
    let free = json(&simulator, &body("n", "", json!({}))).await;
    assert_eq!(
        (
            &free["choices"][0]["finish_reason"],
            &free["usage"]["completion_tokens"]
        ),
        (&json!("stop"), &json!(32))
    );
    simulator
        .control()
        .update(|s| (s.finish_reason, s.max_completion_tokens) = (FinishReason::Stop, 3))
        .unwrap();
    let capped = json(&simulator, &body("n", "", json!({"max_tokens": 99}))).await;
    assert_eq!(
        (
            &capped["choices"][0]["finish_reason"],
            &capped["usage"]["completion_tokens"]
        ),
        (&json!("stop"), &json!(3))
    );
}

#[tokio::test]
async fn byte_counting_needs_no_tokenizer_and_agrees_with_itself() {
    let simulator = start();
    simulator
        .control()
        .update(|s| s.count = Count::Bytes)
        .unwrap();
    let body = body("n", "", json!({"max_tokens": 6}));
    let answer = json(&simulator, &body).await;
    assert_eq!(
        answer["usage"]["prompt_tokens"],
        serde_json::to_vec(&body).unwrap().len().div_ceil(4)
    );
    assert_eq!(
        answer["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .len()
            .div_ceil(4),
        6
    );
}

#[tokio::test]
async fn a_large_prompt_is_counted_exactly() {
    let simulator = start();
    let prompt = " stone".repeat(100_000);
    let messages = json!([{"role": "user", "content": prompt}]);
    let answer = json(
        &simulator,
        &body("n", "", json!({"messages": messages, "max_tokens": 1})),
    )
    .await;
    assert_eq!(answer["usage"]["prompt_tokens"], 100_000 + 7);
}

#[tokio::test]
async fn models_are_listed_and_found() -> Result<()> {
    let simulator = start();
    let get = async |path: &str| {
        client()
            .get(format!("{}{path}", simulator.base_url()))
            .send()
            .await
    };
    let list: serde_json::Value = get("/models").await?.json().await?;
    assert!(
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["id"] == "gpt-4o-mini")
    );
    let one: serde_json::Value = get("/models/gpt-4o").await?.json().await?;
    assert_eq!(
        (&one["id"], &one["object"]),
        (&json!("gpt-4o"), &json!("model"))
    );
    assert_eq!(get("/models/nobody").await?.status(), 404);
    Ok(())
}
