//! What is refused, what is clamped and noted, what is reserved.

use super::*;
use crate::config::{Config, Deployment, Limits};
use crate::door::read_json;
use crate::snapshot::Snapshot;
use schemas::Api;
use std::sync::Arc;

fn route(limits: Limits) -> Arc<Route> {
    route_to("openai", limits)
}

fn route_to(provider: &str, limits: Limits) -> Arc<Route> {
    let deployment: Deployment = serde_json::from_value(serde_json::json!({
        "id": "d", "provider": provider, "base_url": "http://127.0.0.1:1/v1", "auth": "none",
    }))
    .unwrap();
    let route = crate::config::Route {
        model: "gpt-4o".into(),
        aliases: Vec::new(),
        deployment: "d".into(),
        upstream_model: None,
        priced_as: None,
        on_client_gone: crate::config::OnClientGone::Drain,
        durability: None,
        limits,
        retry: None,
    };
    let config = Config {
        deployments: vec![deployment],
        routes: vec![route],
        ..Config::default()
    };
    let snapshot = Snapshot::compile(&config, "").unwrap();
    snapshot.route("gpt-4o").unwrap().clone()
}

async fn held(endpoint: Endpoint, body: &str, limits: Limits) -> Result<Limited, Refusal> {
    held_to(endpoint, body, &route(limits)).await
}

async fn held_to(endpoint: Endpoint, body: &str, route: &Route) -> Result<Limited, Refusal> {
    let asked = read_json(endpoint, body.as_bytes(), 64).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = Request {
        endpoint,
        asked,
        body_bytes: body.len(),
        body: Some(body),
        is_coming: false,
        default_output: 4_096,
    };
    apply(&request, route, &Estimator::new(1)).await
}

#[tokio::test]
async fn a_name_that_a_backend_does_not_read_is_no_bound_of_it() {
    let body = |most| format!(r#"{{"messages":[],"max_completion_tokens":{most}}}"#);
    for (provider, given, set, reserved) in [
        ("ollama", 10, vec![("max_tokens", 10)], 10),
        (
            "ollama",
            900,
            vec![("max_completion_tokens", 100), ("max_tokens", 100)],
            100,
        ),
        ("openai", 10, vec![], 10),
        ("groq", 10, vec![], 10),
        ("fireworks", 10, vec![], 10),
    ] {
        let route = route_to(provider, limits(WhenOver::Clamp));
        let limited = held_to(Endpoint::Chat, &body(given), &route).await.unwrap();
        assert_eq!(limited.set.as_slice(), set, "{provider} {given}");
        let output = limited.estimate.get(Unit::OutputText);
        assert_eq!(output, Some(reserved), "{provider} {given}");
    }
    let unlimited = route_to("ollama", Limits::default());
    let limited = held_to(Endpoint::Chat, &body(10), &unlimited)
        .await
        .unwrap();
    assert_eq!(limited.estimate.get(Unit::OutputText), Some(4_096));
}

fn limits(when_over: WhenOver) -> Limits {
    Limits {
        max_output_tokens: Some(100),
        n: Some(2),
        best_of: Some(3),
        context_tokens: Some(50),
        body_bytes: Some(2_000),
        when_over,
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn what_is_above_its_bound_is_refused_with_its_name() {
    let long = "word ".repeat(120);
    let huge = "x".repeat(2_001);
    for (endpoint, body, code) in [
        (
            Endpoint::Chat,
            r#"{"messages":[],"max_tokens":101}"#.to_owned(),
            "parameter_above_limit",
        ),
        (
            Endpoint::Chat,
            r#"{"messages":[],"max_tokens":1,"max_completion_tokens":101}"#.into(),
            "parameter_above_limit",
        ),
        (
            Endpoint::Chat,
            r#"{"messages":[],"n":3}"#.into(),
            "parameter_above_limit",
        ),
        (
            Endpoint::Completions,
            r#"{"best_of":4}"#.into(),
            "parameter_above_limit",
        ),
        (
            Endpoint::Responses,
            r#"{"max_output_tokens":101}"#.into(),
            "parameter_above_limit",
        ),
        (
            Endpoint::ImageGenerations,
            r#"{"n":3}"#.into(),
            "parameter_above_limit",
        ),
        (
            Endpoint::Chat,
            format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}]}}"#),
            "context_length_exceeded",
        ),
        (
            Endpoint::Responses,
            format!(r#"{{"input":"{long}"}}"#),
            "context_length_exceeded",
        ),
        (
            Endpoint::Embeddings,
            format!(r#"{{"input":["{long}"]}}"#),
            "context_length_exceeded",
        ),
        (
            Endpoint::Completions,
            format!(r#"{{"prompt":"{long}"}}"#),
            "context_length_exceeded",
        ),
        (
            Endpoint::Embeddings,
            format!(r#"{{"input":"{huge}"}}"#),
            "request_too_large",
        ),
    ] {
        let error = held(endpoint, &body, limits(WhenOver::Refuse)).await.err();
        assert_eq!(
            error.map(|error| error.code()),
            Some(code),
            "{endpoint:?} {body}"
        );
    }
    let within = r#"{"messages":[],"max_tokens":100,"n":2}"#;
    assert!(
        held(Endpoint::Chat, within, limits(WhenOver::Refuse))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_is_clamped_is_noted_and_reserved_as_it_is_sent() {
    let body = r#"{"messages":[],"max_tokens":900,"n":5}"#;
    let held_to = held(Endpoint::Chat, body, limits(WhenOver::Clamp))
        .await
        .unwrap();
    assert_eq!(held_to.set.as_slice(), [("max_tokens", 100), ("n", 2)]);
    assert_eq!(
        held_to.policies().as_str(),
        "clamped max_tokens 900 to 100, n 5 to 2"
    );
    assert_eq!(held_to.estimate.get(Unit::OutputText), Some(200));
    let unset = held(
        Endpoint::Chat,
        r#"{"messages":[]}"#,
        limits(WhenOver::Clamp),
    )
    .await
    .unwrap();
    assert_eq!(unset.set.as_slice(), [("max_completion_tokens", 100)]);
    assert_eq!(
        unset.policies().as_str(),
        "clamped max_completion_tokens unset to 100"
    );
    assert_eq!(unset.estimate.get(Unit::OutputText), Some(100));
}

#[tokio::test]
async fn tools_count_towards_the_context() {
    let tool = |words: usize| {
        let about = "word ".repeat(words);
        format!(
            r#"{{"messages":[],"tools":[{{"type":"function","function":{{"name":"f","description":"{about}"}}}}]}}"#
        )
    };
    let within = held(Endpoint::Chat, &tool(10), limits(WhenOver::Refuse)).await;
    assert!(within.is_ok());
    let error = held(Endpoint::Chat, &tool(60), limits(WhenOver::Refuse))
        .await
        .err();
    assert_eq!(
        error.map(|error| error.code()),
        Some("context_length_exceeded")
    );
}

async fn reserved(endpoint: Endpoint, body: &str) -> Units {
    held(endpoint, body, Limits::default())
        .await
        .unwrap()
        .estimate
}

#[tokio::test]
async fn reserves_from_lengths() {
    let chat = format!(
        r#"{{"messages":["{}"],"max_tokens":100,"n":3}}"#,
        "x".repeat(961)
    );
    let units = reserved(Endpoint::Chat, &chat).await;
    let bytes = i64::try_from(chat.len()).unwrap();
    assert_eq!(
        (units.get(Unit::InputText), units.get(Unit::OutputText)),
        (Some(bytes + TEMPLATE_TOKENS), Some(300))
    );
    let units = reserved(Endpoint::ImageGenerations, r#"{"n":4}"#).await;
    assert_eq!(units.get(Unit::Images), Some(4));
    let units = reserved(Endpoint::Speech, r#"{"input":"fünf"}"#).await;
    assert_eq!(units.get(Unit::Characters), Some(4));
    assert!(reserved(Endpoint::Moderations, "{}").await.is_empty());
}

#[tokio::test]
async fn each_of_several_prompts_reserves_its_answers() {
    for (body, expected) in [
        (r#"{"prompt":"a","max_tokens":10}"#, 10),
        (r#"{"prompt":["a","b","c"],"max_tokens":10}"#, 30),
        (
            r#"{"prompt":["a","b","c"],"max_tokens":10,"n":2,"best_of":4}"#,
            120,
        ),
        (r#"{"prompt":[[1],[2]],"max_tokens":10}"#, 20),
        (r#"{"prompt":[1,2],"max_tokens":10}"#, 10),
        (r#"{"prompt":["a","b"]}"#, 2 * 4_096),
    ] {
        let units = reserved(Endpoint::Completions, body).await;
        assert_eq!(units.get(Unit::OutputText), Some(expected), "{body}");
    }
}

/// Of each of these texts, about each byte is a token.
#[tokio::test]
async fn the_reservation_bounds_rare_text() {
    let estimator = Estimator::new(1);
    for text in [
        "\u{1f9ff}\u{13000}\u{12000}",
        "\u{1d800}\u{a500}",
        "~\u{7f}`\u{7f}|",
    ] {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text.repeat(100)}]});
        let body = body.to_string();
        let question = Question {
            model: "gpt-4".into(),
            api: Api::Chat,
            request: Some(Bytes::from(body.clone())),
            output: None,
        };
        let counted = estimator.count(question).await.units.get(Unit::InputText);
        let bound = reserved(Endpoint::Chat, &body).await.get(Unit::InputText);
        assert!(
            counted > Some(i64::try_from(body.len() / 2).unwrap()),
            "{text} is not rare: {counted:?}"
        );
        assert!(counted <= bound, "{text}: {counted:?} above {bound:?}");
    }
}

#[tokio::test]
async fn an_input_without_a_bound_reserves_nothing() {
    let picture = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/1.png"}}]}],"max_tokens":10}"#;
    assert!(reserved(Endpoint::Chat, picture).await.is_empty());
    let searching = r#"{"input":"x","tools":[{"type":"web_search"}]}"#;
    assert!(reserved(Endpoint::Responses, searching).await.is_empty());
    let own = r#"{"input":"x","tools":[{"type":"function","name":"f"}]}"#;
    assert!(!reserved(Endpoint::Responses, own).await.is_empty());
}

#[test]
fn models_that_search_have_no_bound() {
    assert!(!searches(Endpoint::Chat, ["our-deployment", "gpt-4o"]));
    assert!(!searches(
        Endpoint::Embeddings,
        ["x", "text-search-ada-doc-001"]
    ));
    for name in [
        "gpt-4o-search-preview",
        "o3-deep-research",
        "sonar-pro",
        "openai/gpt-4o:online",
    ] {
        assert!(searches(Endpoint::Chat, ["our-deployment", name]), "{name}");
    }
}

/// A figure that no provider can reach bounds nothing, and would be nonsense as money.
#[tokio::test]
async fn what_no_provider_can_give_reserves_nothing() {
    for (endpoint, body, is_reserved) in [
        (
            Endpoint::Chat,
            r#"{"messages":[],"max_tokens":9223372036854775807}"#,
            false,
        ),
        (
            Endpoint::Chat,
            r#"{"messages":[],"max_tokens":16777217}"#,
            false,
        ),
        (
            Endpoint::Chat,
            r#"{"messages":[],"max_tokens":16777216}"#,
            true,
        ),
        (
            Endpoint::Chat,
            r#"{"messages":[],"n":4611686018427387904}"#,
            false,
        ),
        (
            Endpoint::Completions,
            r#"{"prompt":"a","best_of":10001}"#,
            false,
        ),
        (
            Endpoint::ImageGenerations,
            r#"{"prompt":"a","n":10001}"#,
            false,
        ),
        (
            Endpoint::ImageGenerations,
            r#"{"prompt":"a","n":10000}"#,
            true,
        ),
    ] {
        let limited = held(endpoint, body, Limits::default()).await.unwrap();
        assert_eq!(!limited.estimate.is_empty(), is_reserved, "{body}");
    }
}

/// How many pictures a form asks for may stand behind the picture.
#[tokio::test]
async fn a_form_that_still_comes_reserves_what_its_route_allows() {
    for (n, is_coming, most, images) in [
        (None, false, Some(4), Some(1)),
        (None, true, Some(4), Some(4)),
        (None, true, None, None),
        (Some(3), true, Some(4), Some(3)),
        (Some(3), true, None, Some(3)),
    ] {
        let n = n.map_or(String::new(), |n| format!(r#","n":{n}"#));
        let asked = format!(r#"{{"prompt":"a"{n}}}"#);
        let request = Request {
            endpoint: Endpoint::ImageEdits,
            asked: read_json(Endpoint::ImageGenerations, asked.as_bytes(), 64).unwrap(),
            body: None,
            body_bytes: 100,
            is_coming,
            default_output: 4_096,
        };
        let route = route(Limits {
            n: most,
            ..Limits::default()
        });
        let limited = apply(&request, &route, &Estimator::new(1)).await.unwrap();
        assert_eq!(
            limited.estimate.get(Unit::Images),
            images,
            "{n} {is_coming} {most:?}"
        );
    }
}
