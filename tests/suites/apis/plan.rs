//! What the calls of this suite have in common: routes, bodies, forms.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::raw::{RawAnswer, post, send};
use tests::{Plan, Rig};

pub const SECRET: &str = "tg-apis-key";
pub const LIMITED: &str = "tg-apis-limited";
/// The name that apps ask for, the route's own, and the provider's.
pub const ALIAS: &str = "fast";
pub const PUBLIC: &str = "house-model";

/// A route whose model has an alias and another name at its provider; one like it behind Azure's versioned API.
pub fn plan() -> Plan {
    let plan = Plan {
        simulator: simulator::Settings {
            seen_requests: 1_000,
            ..simulator::Settings::default()
        },
        ..Plan::default()
    };
    let mut plan = plan.simulated(&["forbidden"]).tenant(
        "acme",
        "",
        &[
            ("acme-1", SECRET, ""),
            ("acme-2", LIMITED, ", models = [\"forbidden\"]"),
        ],
    );
    plan.rest = format!(
        r#"
[[deployments]]
id = "classic"
provider = "azure"
base_url = "{{azure}}"
api_version = "2024-10-21"
auth = "none"
[[routes]]
model = "{PUBLIC}"
aliases = ["{ALIAS}"]
deployment = "simulator"
upstream_model = "gpt-4o-mini"
[[routes]]
model = "azure-model"
aliases = ["azure-fast"]
deployment = "classic"
upstream_model = "gpt-4o"
[[routes]]
model = "bounded"
deployment = "simulator"
upstream_model = "gpt-4o-mini"
limits = {{ max_output_tokens = 5, n = 2, context_tokens = 40, body_bytes = 4000 }}
[[routes]]
model = "clamped"
deployment = "simulator"
upstream_model = "gpt-4o-mini"
limits = {{ max_output_tokens = 5, n = 2, when_over = "clamp" }}
{}"#,
        plan.rest
    );
    plan
}

/// A body of each endpoint.
pub fn body(endpoint: &str, model: Option<&str>) -> (&'static str, String) {
    let mut body = match endpoint {
        "chat/completions" => json!({"messages": [{"role": "user", "content": "hello"}]}),
        "completions" | "images/generations" => json!({"prompt": "hello"}),
        "audio/speech" => json!({"input": "f\u{fc}nf", "voice": "alloy"}),
        "images/edits" | "audio/transcriptions" | "audio/translations" => {
            let fields: Vec<_> = model.iter().map(|model| ("model", *model)).collect();
            let form = form(&fields, 100, "--b--\r\n");
            return ("multipart/form-data; boundary=b", form);
        }
        _ => json!({"input": "hello"}),
    };
    if let Some(model) = model {
        body["model"] = model.into();
    }
    ("application/json", body.to_string())
}

/// A form with a file of so many bytes after its first fields.
pub fn form(fields: &[(&str, &str)], file_bytes: usize, end: &str) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = |name: &str, bytes: usize| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\nContent-Type: image/png\r\n\r\n{}\r\n",
            "x".repeat(bytes)
        )
    };
    let fields: String = fields.iter().map(field).collect();
    let prompt = field(&("prompt", "hello"));
    format!(
        "{fields}{prompt}{}{}{end}",
        file("file", 10),
        file("image", file_bytes)
    )
}

pub const JSON: &str = "application/json";
pub const ENDPOINTS: [&str; 10] = [
    "chat/completions",
    "completions",
    "embeddings",
    "responses",
    "images/generations",
    "images/edits",
    "audio/transcriptions",
    "audio/translations",
    "audio/speech",
    "moderations",
];

pub async fn call(rig: &Rig, key: &str, path: &str, kind: &str, body: &str) -> RawAnswer {
    let headers = format!("api-key: {key}\r\ncontent-type: {kind}\r\n");
    send(rig.app(), &[&post(path, &headers, body.as_bytes())]).await
}

/// The rig, with Azure's form of the simulator's address.
pub async fn start() -> Rig {
    let mut plan = plan();
    // The simulator's address is known when the configuration is written: one below `/v1`.
    plan.rest = plan.rest.replace("{azure}", "{provider}");
    Rig::start_with(plan, |text, base| {
        let root = base.trim_end_matches("/v1");
        text.replacen(
            &format!("base_url = \"{base}\"\napi_version"),
            &format!("base_url = \"{root}\"\napi_version"),
            1,
        )
    })
    .await
}

pub async fn events_by_id(rig: &Rig) -> BTreeMap<String, Value> {
    let events = rig.events().await.into_iter();
    let id = |event: &Value| event["request_id"].as_str().unwrap_or_default().to_owned();
    events.map(|event| (id(&event), event)).collect()
}

pub fn id(answer: &RawAnswer) -> String {
    answer.header("x-request-id").unwrap_or_default().to_owned()
}
