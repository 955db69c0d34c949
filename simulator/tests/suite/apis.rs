//! Completions, embeddings and moderations: shapes, counts and the truth about them.

use base64::Engine as _;
use serde_json::json;
use simulator::Count;

use crate::asked::Asked;
use crate::common::{answers, events, start, units};

#[tokio::test]
async fn a_completion_has_the_fields_of_the_real_one() {
    let simulator = start();
    let body = json!({"model": "gpt-3.5-turbo-instruct", "prompt": "hello world", "max_tokens": 5});
    let answer = Asked::json("/completions", &body)
        .value(&simulator, "")
        .await;
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["model"], "gpt-3.5-turbo-instruct:20230824-v2");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(
        answer["choices"][0]["text"]
            .as_str()
            .map(|text| text.split_whitespace().count()),
        Some(5)
    );
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7})
    );
    assert_eq!(
        units(&simulator),
        json!({"input_text": 2, "output_text": 5})
    );
}

#[tokio::test]
async fn prompts_of_all_forms_are_counted_and_each_has_its_answers() {
    let simulator = start();
    for (prompt, tokens, answers) in [
        (json!("hello world"), 2, 1),
        (json!(["hello world", "hello"]), 3, 2),
        (json!([1, 2, 3]), 3, 1),
        (json!([[1, 2], [3, 4], [5]]), 5, 3),
    ] {
        let body = json!({"model": "davinci-002", "prompt": prompt, "n": 2, "best_of": 3, "max_tokens": 4});
        let answer = Asked::json("/completions", &body)
            .value(&simulator, "")
            .await;
        assert_eq!(
            answer["choices"].as_array().map(Vec::len),
            Some(2 * answers)
        );
        let usage = json!({"prompt_tokens": tokens, "completion_tokens": 12 * answers, "total_tokens": tokens + 12 * answers});
        assert_eq!(answer["usage"], usage, "best_of makes more than it gives");
        let body = json!({"model": "text-embedding-3-small", "input": prompt});
        let answer = Asked::json("/embeddings", &body)
            .value(&simulator, "")
            .await;
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(answers));
        assert_eq!(
            answer["usage"],
            json!({"prompt_tokens": tokens, "total_tokens": tokens})
        );
        assert_eq!(units(&simulator), json!({"input_text": tokens}));
    }
}

#[tokio::test]
async fn a_streamed_completion_tells_usage_only_when_asked() {
    let simulator = start();
    let mut body = json!({"model": "davinci-002", "prompt": "a", "max_tokens": 3, "stream": true});
    let silent = Asked::json("/completions", &body)
        .text(&simulator, "")
        .await;
    assert!(!silent.contains("usage") && silent.ends_with("data: [DONE]\n\n"));
    body["stream_options"] = json!({"include_usage": true});
    let told = Asked::json("/completions", &body)
        .text(&simulator, "")
        .await;
    let events = events(&told);
    assert_eq!(events.len(), 3 + 1 + 1);
    assert_eq!(events[4]["usage"]["completion_tokens"], 3);
    assert_eq!(events[3]["choices"][0]["finish_reason"], "length");
    assert!(answers(&simulator)[1].usage_sent && !answers(&simulator)[0].usage_sent);
}

#[tokio::test]
async fn an_embedding_is_the_same_in_numbers_and_in_base64() {
    let simulator = start();
    let mut body = json!({"model": "text-embedding-3-large", "input": "hello", "dimensions": 8});
    let numbers = Asked::json("/embeddings", &body)
        .value(&simulator, "")
        .await;
    body["encoding_format"] = json!("base64");
    let coded = Asked::json("/embeddings", &body)
        .value(&simulator, "")
        .await;
    let text = coded["data"][0]["embedding"].as_str().expect("a text");
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .expect("Base64");
    let decoded: Vec<f64> = bytes
        .chunks_exact(4)
        .map(|four| f64::from(f32::from_le_bytes(four.try_into().expect("four"))))
        .collect();
    let told: Vec<f64> =
        serde_json::from_value(numbers["data"][0]["embedding"].clone()).expect("numbers");
    assert_eq!(decoded.len(), 8);
    assert!(decoded.iter().zip(&told).all(|(a, b)| (a - b).abs() < 1e-6));
    body["dimensions"] = json!(null);
    body["encoding_format"] = json!("float");
    let whole = Asked::json("/embeddings", &body)
        .value(&simulator, "")
        .await;
    assert_eq!(
        whole["data"][0]["embedding"].as_array().map(Vec::len),
        Some(3_072)
    );
}

#[tokio::test]
async fn byte_counting_still_gives_each_input_its_answer() {
    let simulator = start();
    simulator
        .control()
        .update(|s| s.count = Count::Bytes)
        .expect("good settings");
    let asked = Asked::json(
        "/embeddings",
        &json!({"model": "text-embedding-3-small", "input": ["a", "b"]}),
    );
    let answer = asked.value(&simulator, "").await;
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        answer["usage"]["prompt_tokens"],
        asked.body.len().div_ceil(4)
    );
}

#[tokio::test]
async fn a_moderation_judges_each_input_and_costs_nothing() {
    let simulator = start();
    let inputs = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    for (input, results) in [(json!("a"), 1), (json!(["a", "b"]), 2), (inputs, 2)] {
        let answer = Asked::json("/moderations", &json!({"input": input}))
            .value(&simulator, "")
            .await;
        assert_eq!(answer["model"], "omni-moderation-latest");
        assert_eq!(answer["results"].as_array().map(Vec::len), Some(results));
        assert_eq!(answer["results"][0]["categories"]["violence"], false);
        let truth = answers(&simulator).pop().expect("an answer");
        assert!(truth.lines.is_empty() && truth.prompt_tokens == 0);
    }
}

#[tokio::test]
async fn lies_about_usage_work_in_every_shape() {
    let simulator = start();
    let asked = [
        Asked::json(
            "/embeddings",
            &json!({"model": "text-embedding-3-small", "input": "a b c"}),
        ),
        Asked::json(
            "/responses",
            &json!({"model": "gpt-5", "input": "a b c", "max_output_tokens": 5}),
        ),
        Asked::json(
            "/images/generations",
            &json!({"model": "gpt-image-1", "prompt": "a b c"}),
        ),
    ];
    for asked in asked {
        let honest = asked.value(&simulator, "").await["usage"].take();
        let mut seen = vec![honest];
        for lie in [
            "negative", "fraction", "text", "huge", "sum", "extra", "null",
        ] {
            seen.push(asked.value(&simulator, &format!("usage={lie}")).await["usage"].take());
        }
        for (place, usage) in seen.iter().enumerate() {
            assert!(!seen[..place].contains(usage), "{}: {usage}", asked.path);
        }
    }
}
