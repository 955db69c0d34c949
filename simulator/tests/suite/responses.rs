//! Responses: their items, their events, their ends, and the truth about them.

use serde_json::{Value, json};
use simulator::{End, Unit};

use crate::asked::Asked;
use crate::common::{answers, events, start, units};

fn asked(more: Value) -> Asked {
    let mut body = json!({"model": "gpt-5", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hello world"}]}]});
    let mut more = more;
    body.as_object_mut()
        .expect("an object")
        .append(more.as_object_mut().expect("an object"));
    Asked::json("/responses", &body)
}

#[tokio::test]
async fn a_response_has_the_fields_of_the_real_one() {
    let simulator = start();
    let answer = asked(json!({}))
        .value(&simulator, "reasoning=8,cached=4,tier=flex")
        .await;
    assert_eq!(
        (&answer["object"], &answer["status"]),
        (&json!("response"), &json!("completed"))
    );
    assert_eq!(answer["model"], "gpt-5-2025-08-07");
    assert_eq!(answer["service_tier"], "flex");
    assert_eq!(answer["output"][0]["type"], "reasoning");
    let text = answer["output"][1]["content"][0]["text"]
        .as_str()
        .expect("a text");
    assert_eq!(text.split_whitespace().count(), 24);
    let usage = json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 32,
        "output_tokens_details": {"reasoning_tokens": 8}, "total_tokens": 41});
    assert_eq!(answer["usage"], usage);
    assert_eq!(
        units(&simulator),
        json!({"input_text": 5, "input_cached": 4, "output_text": 24, "output_reasoning": 8})
    );
    let truth = answers(&simulator).pop().expect("an answer");
    assert_eq!(truth.lines[0].service_tier.as_deref(), Some("flex"));
    assert_eq!(
        (
            truth.lines[0].units.get(Unit::OutputReasoning),
            truth.completion_tokens_sent
        ),
        (8, 32)
    );
}

#[tokio::test]
async fn a_text_and_instructions_are_counted_as_messages() {
    let simulator = start();
    let body = json!({"model": "gpt-5", "input": "hello world", "instructions": "hello"});
    Asked::json("/responses", &body).value(&simulator, "").await;
    // 3 + 1 + 1 for the instructions, 3 + 1 + 2 for the input, 3 for priming.
    assert_eq!(answers(&simulator)[0].prompt_tokens, 14);
}

#[tokio::test]
async fn a_stream_has_the_events_of_the_real_one_in_their_order() {
    let simulator = start();
    let order = "reasoning=4,tool=web_search:2,tokens_per_chunk=14";
    let stream = asked(json!({"stream": true})).text(&simulator, order).await;
    assert!(!stream.contains("[DONE]"));
    let named: Vec<_> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    let events = events(&stream);
    assert_eq!(
        named,
        events
            .iter()
            .map(|event| event["type"].as_str().expect("a type"))
            .collect::<Vec<_>>()
    );
    let numbers: Vec<_> = events
        .iter()
        .map(|event| event["sequence_number"].as_u64())
        .collect();
    assert_eq!(
        numbers,
        (0..events.len() as u64).map(Some).collect::<Vec<_>>()
    );
    let search = [
        "response.output_item.added",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.output_item.done",
    ];
    let expected = [
        &[
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.output_item.done",
        ][..],
        &search,
        &search,
        &[
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
        ],
        &[
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ],
    ];
    assert_eq!(named, expected.concat());
    let last = &events.last().expect("an event")["response"];
    let text: String = events
        .iter()
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(last["output"][3]["content"][0]["text"], text);
    assert_eq!(last["usage"]["output_tokens"], 32);
    assert_eq!(last["tool_usage"]["web_search"]["num_requests"], 2);
    assert_eq!(events[0]["response"]["usage"], json!(null));
    assert_eq!(units(&simulator)["web_search_calls"], 2);
    let plain = asked(json!({})).value(&simulator, order).await;
    let same = |response: &Value, member: &str| response[member].clone();
    assert_eq!(same(&plain, "usage"), same(last, "usage"));
    assert_eq!(plain["output"][3]["content"], last["output"][3]["content"]);
}

#[tokio::test]
async fn a_response_can_be_incomplete_or_fail() {
    let simulator = start();
    for (more, order, status, why) in [
        (
            json!({"max_output_tokens": 16}),
            "",
            "incomplete",
            json!({"reason": "max_output_tokens"}),
        ),
        (
            json!({}),
            "finish=length",
            "incomplete",
            json!({"reason": "max_output_tokens"}),
        ),
        (
            json!({}),
            "filter=answer",
            "incomplete",
            json!({"reason": "content_filter"}),
        ),
        (json!({}), "failed", "failed", json!(null)),
    ] {
        let plain = asked(more.clone()).value(&simulator, order).await;
        assert_eq!(
            (&plain["status"], &plain["incomplete_details"]),
            (&json!(status), &why)
        );
        let mut more = more;
        more["stream"] = json!(true);
        let events = events(&asked(more).text(&simulator, order).await);
        let last = events.last().expect("an event");
        assert_eq!(last["type"], format!("response.{status}"));
        let failed = status == "failed";
        for response in [&plain, &last["response"]] {
            assert_eq!(
                (response["usage"].is_object(), response["error"].is_object()),
                (!failed, failed)
            );
        }
        let truth = answers(&simulator).pop().expect("an answer");
        assert_eq!(
            (truth.end, truth.lines.is_empty(), truth.usage_sent),
            (End::Complete, failed, !failed)
        );
        assert_eq!(truth.completion_tokens, truth.completion_tokens_sent);
    }
}

#[tokio::test]
async fn tools_leave_items_and_use_models_of_their_own() {
    let simulator = start();
    let order = "tool=file_search,tool=code_interpreter:3,tool=image_generation:2,tool=function";
    let answer = asked(json!({})).value(&simulator, order).await;
    let kinds: Vec<_> = answer["output"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["type"].as_str())
        .collect();
    let expected = [
        "file_search_call",
        "code_interpreter_call",
        "code_interpreter_call",
        "code_interpreter_call",
        "image_generation_call",
        "image_generation_call",
        "function_call",
        "message",
    ];
    assert_eq!(kinds, expected.map(Some));
    let containers = answer["output"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["container_id"].as_str());
    let containers: std::collections::BTreeSet<_> = containers.collect();
    assert_eq!(containers.len(), 1);
    let truth = answers(&simulator).pop().expect("an answer");
    assert_eq!(truth.lines.len(), 2);
    let own = &truth.lines[0].units;
    assert_eq!(
        (
            own.get(Unit::FileSearchCalls),
            own.get(Unit::CodeInterpreterSessions)
        ),
        (1, 1)
    );
    assert_eq!(&*truth.lines[1].model, "gpt-image-1");
    let told = answer["tool_usage"]["image_gen"]["output_tokens"].as_u64();
    assert_eq!(told, Some(truth.lines[1].units.get(Unit::OutputImage)));
}
