//! What the calls of this suite have in common: routes that call again, and the records of their requests.

use schemas::{Attempt, Billable, Outcome, UsageEvent};
use serde_json::{Value, json};
use tests::raw::{RawAnswer, post, send};
use tests::{Plan, Rig, eventually, read_journal};

pub const SECRET: &str = "tg-retries-key";
/// The key of another project's requests, which fail at no provider.
pub const OTHER: &str = "tg-retries-other";
/// The model of a route with three calls, and of one with a single one.
pub const AGAIN: &str = "again";
pub const ONCE: &str = "once";
/// The model of a route whose provider a test plays itself.
pub const PLAYED: &str = "played";

/// Three calls a request; `more` are further lines of `[gateway]`, `played` is where the played provider listens.
pub fn plan(more: &str, played: &str) -> Plan {
    let prices = concat!(env!("CARGO_MANIFEST_DIR"), "/../prices.csv");
    let plan = Plan {
        top: format!("prices = \"{prices}\""),
        gateway: more.to_owned(),
        ..Plan::default()
    };
    let mut plan = plan
        .simulated(&["gpt-4o-mini"])
        .backend("played", played, "auth = \"none\"", &[])
        .tenant("acme", "", &[("acme-1", SECRET, ""), ("acme-2", OTHER, "")]);
    let routes = format!(
        r#"
[[routes]]
model = "{AGAIN}"
deployment = "simulator"
upstream_model = "gpt-4o-mini"
retry = {{ attempts = 3, on = ["connect", "reset", "first_byte_timeout", "429", "5xx"], backoff_ms = 10, backoff_max_ms = 20 }}
[[routes]]
model = "{ONCE}"
deployment = "simulator"
upstream_model = "gpt-4o-mini"
[[routes]]
model = "{PLAYED}"
deployment = "played"
upstream_model = "gpt-4o-mini"
retry = {{ attempts = 8, backoff_ms = 50, backoff_max_ms = 1000 }}
"#
    );
    plan.rest.push_str(&routes);
    plan
}

pub async fn start(more: &str) -> Rig {
    Rig::start(plan(more, "http://127.0.0.1:9/v1")).await
}

pub fn chat(model: &str, stream: bool) -> String {
    json!({
        "model": model, "stream": stream, "max_tokens": 12,
        "messages": [{"role": "user", "content": "Say something short about tolls and bridges."}],
    })
    .to_string()
}

/// A chat that orders its provider's behaviour.
pub async fn call(rig: &Rig, key: &str, order: &str, body: &str) -> RawAnswer {
    let headers =
        format!("api-key: {key}\r\ncontent-type: application/json\r\nx-stainless-sim: {order}\r\n");
    let request = post("/v1/chat/completions", &headers, body.as_bytes());
    send(rig.app(), &[&request]).await
}

/// The record of an answer; waits until it is written.
pub async fn record(rig: &Rig, answer: &RawAnswer) -> UsageEvent {
    let id = answer.header("x-request-id").expect("an id").to_owned();
    eventually("its record is written", async || {
        let events = read_journal(&rig.data_dir()).events;
        events
            .into_iter()
            .find(|event| event.request_id.as_str() == id)
    })
    .await
}

/// Status, outcome and bill of each call.
pub fn calls(event: &UsageEvent) -> Vec<(Option<u16>, Outcome, Option<Billable>)> {
    let calls = event.attempts.iter();
    calls
        .map(|call: &Attempt| (call.status, call.outcome, call.billable))
        .collect()
}

pub fn failed(status: u16, billable: Billable) -> (Option<u16>, Outcome, Option<Billable>) {
    (Some(status), Outcome::UpstreamError, Some(billable))
}

pub const SERVED: (Option<u16>, Outcome, Option<Billable>) =
    (Some(200), Outcome::Completed, Some(Billable::Yes));

/// A document's value at a path, as text without quotes.
pub fn at(document: &Value, pointer: &str) -> String {
    let value = document.pointer(pointer);
    let text = value.map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    text.unwrap_or_default()
}
