//! What is refused, what is clamped and noted, what is reserved.

use super::*;
use crate::config::{Config, Deployment, Limits};
use crate::door::read_json;
use crate::snapshot::Snapshot;
use std::sync::Arc;

fn route(limits: Limits) -> Arc<Route> {
    let deployment: Deployment = serde_json::from_value(serde_json::json!({
        "id": "d", "provider": "openai", "base_url": "http://127.0.0.1:1/v1", "auth": "none",
    }))
    .unwrap();
    let route = crate::config::Route {
        model: "gpt-4o".into(),
        aliases: Vec::new(),
        deployment: "d".into(),
        upstream_model: None,
            priced_as: None,
        on_client_gone: crate::config::OnClientGone::Drain,
        limits,
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
    let asked = read_json(endpoint, body.as_bytes(), 64).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = Request {
        endpoint,
        asked,
        body_bytes: body.len(),
        body: Some(body),
        default_output: 4_096,
    };
    apply(&request, &route(limits), &Estimator::new(1)).await
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
async fn reserves_from_lengths() {
    let none = Limits::default;
    let chat = format!(
        r#"{{"messages":["{}"],"max_tokens":100,"n":3}}"#,
        "x".repeat(961)
    );
    let units = held(Endpoint::Chat, &chat, none()).await.unwrap().estimate;
    assert_eq!(
        (units.get(Unit::InputText), units.get(Unit::OutputText)),
        (Some(500), Some(300))
    );
    let units = held(Endpoint::ImageGenerations, r#"{"n":4}"#, none())
        .await
        .unwrap()
        .estimate;
    assert_eq!(units.get(Unit::Images), Some(4));
    let units = held(Endpoint::Speech, r#"{"input":"fünf"}"#, none())
        .await
        .unwrap()
        .estimate;
    assert_eq!(units.get(Unit::Characters), Some(4));
    let units = held(Endpoint::Moderations, "{}", none())
        .await
        .unwrap()
        .estimate;
    assert!(units.is_empty());
}
