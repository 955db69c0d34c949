//! A record's spans against golden JSON, and the cases in which a span is an error.

use axum::http::Request;
use runtime::otlp::{KeyValue, value::Value};
use serde_json::{Value as Json, json};

use super::*;

fn full() -> UsageEvent {
    let full = include_str!("../../../schemas/golden/usage-full.v1.json");
    serde_json::from_str(full).unwrap()
}

fn context(event: &UsageEvent) -> TraceContext {
    let request = Request::post("/v1/chat/completions?api-key=canary")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .header("authorization", "Bearer canary")
        .body(());
    TraceContext::begin(event.event_id, &request.unwrap(), 1.0)
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Bool(yes) => json!(yes),
        Value::Int(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::Array(list) => {
            let values = list.values.iter().filter_map(|v| v.value.as_ref());
            values.map(plain).collect()
        }
    }
}

fn attributes(span: &Span) -> serde_json::Map<String, Json> {
    let read = |KeyValue { key, value }: &KeyValue| {
        let value = value.as_ref().and_then(|v| v.value.as_ref());
        (key.clone(), value.map(plain).unwrap_or_default())
    };
    let map: serde_json::Map<_, _> = span.attributes.iter().map(read).collect();
    assert_eq!(map.len(), span.attributes.len(), "each key once");
    map
}

fn shown(span: &Span) -> Json {
    json!({
        "trace_id": hex::encode(&span.trace_id),
        "span_id": hex::encode(&span.span_id),
        "parent_span_id": hex::encode(&span.parent_span_id),
        "trace_state": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "flags": span.flags,
        "status": span.status.as_ref().map(|status| status.code),
        "attributes": attributes(span),
    })
}

fn made(event: &UsageEvent) -> Vec<Span> {
    let url: Uri = "https://models.example/v1/chat/completions"
        .parse()
        .unwrap();
    let deployment = event.attempts.last().map_or("", |a| a.deployment.as_str());
    let target = Target {
        deployment,
        provider: "openai",
        model: "gpt-4o-2024-08-06",
        url: &url,
    };
    spans(event, &context(event), &[target])
}

#[test]
fn a_full_record_gives_the_golden_spans() {
    let spans: Vec<Json> = made(&full()).iter().map(shown).collect();
    let golden: Json = serde_json::from_str(include_str!("spans_golden.json")).unwrap();
    let made = Json::from(spans);
    assert_eq!(
        made,
        golden,
        "{}",
        serde_json::to_string_pretty(&made).unwrap()
    );
}

#[test]
fn totals_include_their_parts_and_the_unreported_is_absent() {
    let mut event = full();
    event.lines.truncate(1);
    let units = &mut event.lines[0].units;
    *units = schemas::Units::default();
    for (unit, count) in [
        (schemas::Unit::InputText, 60),
        (schemas::Unit::InputCached, 30),
        (schemas::Unit::InputCachedAudio, 8),
        (schemas::Unit::InputAudio, 2),
        (schemas::Unit::OutputText, 5),
        (schemas::Unit::OutputReasoning, 7),
    ] {
        units.set(unit, count).unwrap();
    }
    let spans = made(&event);
    let given = attributes(spans.last().unwrap());
    for (key, count) in [
        ("input_tokens", 100),
        ("cache_read.input_tokens", 38),
        ("audio.input_tokens", 10),
        ("audio.cache_read.input_tokens", 8),
        ("output_tokens", 12),
        ("reasoning.output_tokens", 7),
    ] {
        assert_eq!(given[&format!("gen_ai.usage.{key}")], count, "{key}");
    }
    for absent in [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.image.output_tokens",
        "tollgate.units.images",
    ] {
        assert!(!given.contains_key(absent), "{absent}");
    }
}

#[test]
fn a_fault_of_the_app_is_no_error_of_the_server_and_one_of_the_providers_is_of_both() {
    let fault = |outcome, app, provider: Option<u16>| {
        let mut event = full();
        event.attempts.truncate(1);
        event.outcome = outcome;
        event.outcome_detail = Some(Text::cut("why"));
        event.status = app;
        event.attempts[0].status = provider;
        event.attempts[0].outcome = outcome;
        let spans = made(&event);
        let error = |span: &Span| {
            let given = attributes(span).get("error.type").cloned();
            assert_eq!(given.is_some(), span.status.is_some());
            given.map(|text| text.as_str().unwrap().to_owned())
        };
        (error(&spans[0]), error(&spans[1]))
    };
    let text = |text: &str| Some(text.to_owned());
    let good = (None, None);
    assert_eq!(fault(Outcome::Completed, Some(200), Some(200)), good);
    assert_eq!(fault(Outcome::ClientAborted, Some(200), Some(200)), good);
    assert_eq!(fault(Outcome::Filtered, Some(200), Some(200)), good);
    assert_eq!(
        fault(Outcome::UpstreamError, Some(429), Some(429)),
        (None, text("429"))
    );
    assert_eq!(
        fault(Outcome::UpstreamError, Some(500), Some(500)),
        (text("why"), text("500"))
    );
    assert_eq!(
        fault(Outcome::UpstreamError, Some(200), Some(200)),
        (text("why"), text("why"))
    );
    assert_eq!(
        fault(Outcome::Timeout, Some(504), None),
        (text("why"), text("why"))
    );
}

#[test]
fn each_call_is_a_span_and_what_is_billed_stands_on_the_last() {
    let mut event = full();
    let mut first = event.attempts[0].clone();
    first.deployment = Text::cut("west");
    first.status = Some(503);
    first.outcome = Outcome::UpstreamError;
    event.attempts.insert(0, first);
    let url: Uri = "http://10.0.0.1:8000/v1".parse().unwrap();
    let west = Target {
        deployment: "west",
        provider: "azure",
        model: "our-gpt",
        url: &url,
    };
    let spans = spans(&event, &context(&event), &[west]);
    let [server, first, last] = spans.as_slice() else {
        panic!("three spans: {spans:?}");
    };
    for call in [first, last] {
        assert_eq!(call.parent_span_id, server.span_id);
        assert_eq!(call.trace_id, server.trace_id);
    }
    assert_ne!(first.span_id, last.span_id);
    let (given, billed) = (attributes(first), attributes(last));
    assert_eq!(first.name, "chat our-gpt");
    assert_eq!(given["gen_ai.provider.name"], "azure.ai.openai");
    assert_eq!(given["server.address"], "10.0.0.1");
    assert_eq!(given["server.port"], 8000);
    assert_eq!(given["error.type"], "503");
    assert!(!given.keys().any(|key| key.starts_with("gen_ai.usage")));
    assert_eq!(billed["gen_ai.usage.input_tokens"], 1_000);
    assert_eq!(billed["tollgate.attempt"], 2);
    assert_eq!(given.get("http.request.resend_count"), None);
    assert_eq!(billed["http.request.resend_count"], 1);
}

#[test]
fn a_call_after_which_the_app_left_tells_its_own_fault_and_no_answer() {
    let mut event = full();
    event.outcome = Outcome::ClientAborted;
    event.outcome_detail = Some(Text::cut("client_gone"));
    event.attempts[0].status = None;
    event.attempts[0].outcome = Outcome::UpstreamError;
    let spans = made(&event);
    let call = attributes(spans.last().unwrap());
    assert_eq!(call["error.type"], "upstream_error");
    assert!(!call.keys().any(|key| key.starts_with("gen_ai.response")));
}

#[test]
fn a_refusal_is_one_span_and_its_unknown_model_is_not_told() {
    let mut event = full();
    event.attempts.clear();
    event.route = None;
    event.model_requested = Text::cut("canary");
    event.status = Some(404);
    event.outcome = Outcome::RefusedInvalid;
    let spans = made(&event);
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].status, None);
    assert!(!shown(&spans[0]).to_string().contains("canary"));
}
