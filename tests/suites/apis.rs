//! Every endpoint by every path: routed by the same names, recorded in the same shape. Forms pass while they come. What
//! a route bounds is refused or clamped.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::raw::{RawAnswer, post, send};
use tests::{Plan, Rig, eventually, read_journal};

const SECRET: &str = "tg-apis-key";
const LIMITED: &str = "tg-apis-limited";
/// The name that apps ask for, the route's own, and the provider's.
const ALIAS: &str = "fast";
const PUBLIC: &str = "house-model";

/// A route whose model has an alias and another name at its provider; one like it behind Azure's versioned API.
fn plan() -> Plan {
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
fn body(endpoint: &str, model: Option<&str>) -> (&'static str, String) {
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
fn form(fields: &[(&str, &str)], file_bytes: usize, end: &str) -> String {
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

const JSON: &str = "application/json";
const ENDPOINTS: [&str; 10] = [
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

async fn call(rig: &Rig, key: &str, path: &str, kind: &str, body: &str) -> RawAnswer {
    let headers = format!("api-key: {key}\r\ncontent-type: {kind}\r\n");
    send(rig.app(), &[&post(path, &headers, body.as_bytes())]).await
}

#[tokio::test]
async fn what_is_covered_is_served_for_every_endpoint() {
    let rig = start().await;
    let answer = rig.http().get(rig.ops_url("/coverage")).send().await;
    let answer = answer.expect("the operators' door answers");
    let covered: Value = answer.json().await.expect("it is JSON");
    let endpoints = covered["endpoints"].as_array().expect("a list");
    for endpoint in ENDPOINTS {
        let found = endpoints.iter().find(|row| row["endpoint"] == endpoint);
        let plain = found.map(|row| row["dialects"]["openai"]["plain"].as_u64());
        assert!(
            plain.flatten() > Some(0),
            "{endpoint} has no recorded answer"
        );
    }
}

/// The rig, with Azure's form of the simulator's address.
async fn start() -> Rig {
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

async fn events_by_id(rig: &Rig) -> BTreeMap<String, Value> {
    let events = rig.events().await.into_iter();
    let id = |event: &Value| event["request_id"].as_str().unwrap_or_default().to_owned();
    events.map(|event| (id(&event), event)).collect()
}

fn id(answer: &RawAnswer) -> String {
    answer.header("x-request-id").unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_endpoint_resolves_the_same_names_by_every_path() {
    let rig = start().await;
    let mut expected = Vec::new();
    for endpoint in ENDPOINTS {
        for (alias, public) in [(ALIAS, PUBLIC), ("azure-fast", "azure-model")] {
            let mut paths = vec![format!("/v1/{endpoint}"), format!("/openai/v1/{endpoint}")];
            if endpoint == "responses" {
                paths.push(format!("/openai/{endpoint}?api-version=2025-03-01-preview"));
            }
            let is_by_deployment = !matches!(endpoint, "responses" | "moderations");
            let by_path = format!("/openai/deployments/{alias}/{endpoint}?api-version=2025-01-01");
            paths.extend(is_by_deployment.then_some(by_path));
            for path in paths {
                let names = if path.contains("deployments") {
                    vec![None, Some(alias), Some(public)]
                } else {
                    vec![Some(alias)]
                };
                for name in names {
                    // Azure has no moderations.
                    if endpoint == "moderations" && public == "azure-model" {
                        continue;
                    }
                    let (kind, body) = body(endpoint, name);
                    let answer = call(&rig, SECRET, &path, kind, &body).await;
                    assert_eq!(answer.status, 200, "{path} {name:?}: {}", answer.text());
                    expected.push((id(&answer), path.clone(), alias, public));
                }
            }
        }
    }
    let events = events_by_id(&rig).await;
    assert_eq!(events.len(), expected.len());
    for (id, path, alias, public) in &expected {
        let event = &events[id];
        let seen = ["model_requested", "route", "outcome"].map(|name| event[name].as_str());
        assert_eq!(
            seen,
            [Some(*alias), Some(*public), Some("completed")],
            "{path}: {event}"
        );
    }
    assert_same_use(&rig, &events, &expected);
    let seen = rig.simulator.seen();
    let of_azure = |path: &str| path.starts_with("/openai/");
    for request in &seen {
        let by_version = request.path.contains("api-version=2025-01-01")
            || request.path.contains("api-version=2025-03-01-preview")
            || request.path.contains("api-version=2024-10-21");
        assert_eq!(of_azure(&request.path), by_version, "{}", request.path);
    }
    assert!(seen.iter().any(|request| request.path
        == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"));
}

/// The units of each record are those that the provider counted.
fn assert_same_use(
    rig: &Rig,
    events: &BTreeMap<String, Value>,
    expected: &[(String, String, &str, &str)],
) {
    let truth = rig.simulator.truth().since(0);
    let mut counted = BTreeMap::new();
    for record in truth {
        if let simulator::Record::Answer(answer) = record {
            let nonce = answer.nonce.as_deref().unwrap_or_default().to_owned();
            counted.insert(nonce, answer.lines);
        }
    }
    // A speech tells nothing of its use.
    for (id, path, ..) in expected
        .iter()
        .filter(|(_, path, ..)| !path.contains("speech"))
    {
        let lines = serde_json::to_value(&counted[id]).expect("lines are JSON");
        let told = &lines[0]["units"];
        let event = &events[id];
        for (unit, count) in told.as_object().into_iter().flatten() {
            assert_eq!(event[unit], *count, "{path} {unit}: {event}");
        }
    }
}

#[tokio::test]
async fn what_is_unknown_or_forbidden_is_so_by_every_path() {
    let rig = start().await;
    for endpoint in ENDPOINTS {
        let by_deployment = (!matches!(endpoint, "responses" | "moderations"))
            .then_some("/openai/deployments/MODEL/ENDPOINT?api-version=2025-01-01");
        let paths = ["/v1/ENDPOINT", "/openai/v1/ENDPOINT"]
            .into_iter()
            .chain(by_deployment);
        for path in paths {
            for (key, model, status, code) in [
                (SECRET, "nowhere", 404, "model_not_found"),
                (LIMITED, ALIAS, 403, "model_not_allowed"),
                (LIMITED, PUBLIC, 403, "model_not_allowed"),
            ] {
                let path = path.replace("ENDPOINT", endpoint).replace("MODEL", model);
                let (kind, body) = body(endpoint, Some(model));
                let answer = call(&rig, key, &path, kind, &body).await;
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (status, code),
                    "{path}"
                );
            }
        }
    }
    assert!(
        rig.simulator.truth().since(0).is_empty(),
        "no provider was called"
    );
    let events = rig.events().await;
    assert!(events.iter().all(|event| event["deployment"].is_null()));
    let forbidden = events
        .iter()
        .filter(|e| e["outcome"] == "refused_policy")
        .count();
    assert_eq!((events.len(), forbidden), (84, 56));
}

#[tokio::test]
async fn an_endpoint_without_a_model_takes_its_usual_one_if_it_is_served() {
    let rig = start().await;
    let answer = call(
        &rig,
        SECRET,
        "/v1/moderations",
        JSON,
        r#"{"input":"hello"}"#,
    )
    .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "model_not_found")
    );
    assert!(answer.text().contains("omni-moderation-latest"));
    let answer = call(&rig, SECRET, "/v1/embeddings", JSON, r#"{"input":"hello"}"#).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "missing_required_parameter")
    );
}

#[tokio::test]
async fn figures_that_an_answer_does_not_tell_are_marked() {
    let rig = start().await;
    let (kind, speech) = body("audio/speech", Some(ALIAS));
    let spoken = call(&rig, SECRET, "/v1/audio/speech", kind, &speech).await;
    let text = form(
        &[("model", ALIAS), ("response_format", "text")],
        100,
        "--b--\r\n",
    );
    let kind = "multipart/form-data; boundary=b";
    let written = call(&rig, SECRET, "/v1/audio/transcriptions", kind, &text).await;
    assert_eq!(
        (spoken.status, written.status),
        (200, 200),
        "{}",
        written.text()
    );
    let events = events_by_id(&rig).await;
    let spoken = &events[&id(&spoken)];
    assert_eq!(spoken["characters"], 4, "{spoken}");
    assert_eq!(
        ["outcome", "usage_source", "usage_quality"].map(|name| spoken[name].as_str()),
        [Some("completed"), Some("estimated"), Some("missing")]
    );
    let written = &events[&id(&written)];
    assert_eq!(
        ["outcome", "usage_source", "usage_quality"].map(|name| written[name].as_str()),
        [Some("completed"), Some("none"), Some("missing")]
    );
}

/// Peak of the serving process's memory, in KiB.
fn peak_kib(rig: &Rig) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.pid()));
    let status = status.expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.expect("it has a peak")
}

#[tokio::test(flavor = "multi_thread")]
async fn large_forms_pass_without_being_held() {
    let rig = start().await;
    let (kind, small) = ("multipart/form-data; boundary=b", 100);
    let body = form(&[("model", ALIAS)], small, "--b--\r\n");
    assert_eq!(
        call(&rig, SECRET, "/v1/images/edits", kind, &body)
            .await
            .status,
        200
    );
    let before = peak_kib(&rig);
    let large = form(&[("model", ALIAS)], 20 << 20, "--b--\r\n");
    let calls = (0..8).map(async |_| call(&rig, SECRET, "/v1/images/edits", kind, &large).await);
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let grown = peak_kib(&rig) - before;
    assert!(grown < 48 << 10, "eight times 20 MiB took {grown} KiB");
    let events = rig.events().await;
    let whole = events
        .iter()
        .filter(|event| event["request_bytes"] == large.len());
    assert_eq!(whole.count(), 8, "the record says how long each was");
}

#[tokio::test]
async fn a_form_that_turns_out_wrong_after_it_has_begun_is_refused_and_recorded() {
    let rig = start().await;
    let kind = "multipart/form-data; boundary=b";
    let again =
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nforbidden\r\n--b--\r\n";
    let mut expected = Vec::new();
    for (end, code) in [
        (again, "duplicate_parameter"),
        ("--b\r\n", "invalid_form"),
        ("--b--\r\nmore", "invalid_form"),
    ] {
        for file_bytes in [100, 3_000_000] {
            let body = form(&[("model", ALIAS)], file_bytes, end);
            let answer = call(&rig, SECRET, "/v1/images/edits", kind, &body).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, code),
                "{}",
                answer.text()
            );
            expected.push((id(&answer), code));
        }
    }
    let events = events_by_id(&rig).await;
    for (id, code) in &expected {
        let event = &events[id];
        assert_eq!(
            ["outcome", "outcome_detail", "billable"].map(|name| event[name].as_str()),
            [Some("refused_invalid"), Some(*code), Some("no")],
            "{event}"
        );
    }
    let truth = rig.simulator.truth().since(0);
    let answered = truth.iter().filter(
        |record| matches!(record, simulator::Record::Answer(answer) if answer.status == 200),
    );
    assert_eq!(answered.count(), 0, "no provider had a whole request");
}

/// Apps send a large body on while they are refused by its head: they must see why.
#[tokio::test]
async fn who_is_refused_while_it_sends_sees_the_answer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let rig = start().await;
    let form = form(&[("model", ALIAS)], 8 << 20, "--b--\r\n");
    let json = format!(r#"{{"model":"{ALIAS}","input":"{}"}}"#, "x".repeat(8 << 20));
    for (path, kind, key, body, status) in [
        (
            "/v1/audio/transcriptions",
            "multipart/form-data; boundary=b",
            "wrong",
            &form,
            "401",
        ),
        (
            "/v1/images/edits",
            "multipart/form-data; boundary=b",
            LIMITED,
            &form,
            "403",
        ),
        ("/v1/embeddings", JSON, "wrong", &json, "401"),
        ("/v1/files", JSON, SECRET, &json, "400"),
    ] {
        let headers = format!("api-key: {key}\r\ncontent-type: {kind}\r\n");
        let request = post(path, &headers, body.as_bytes());
        let mut stream = tokio::net::TcpStream::connect(rig.app())
            .await
            .expect("it listens");
        stream.write_all(&request[..400]).await.expect("it reads");
        // The refusal is on its way before the rest is sent.
        let mut answer = [0; 12];
        if status == "401" {
            stream.read_exact(&mut answer).await.expect("it answers");
        }
        stream
            .write_all(&request[400..])
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        if status != "401" {
            stream.read_exact(&mut answer).await.expect("it answers");
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(answer, format!("HTTP/1.1 {status}"), "{path}");
    }
}

/// What an answer would have told at its end is not made up from what came of it.
#[tokio::test]
async fn pieces_of_a_broken_answer_are_no_figures() {
    let rig = start().await;
    let headers =
        format!("api-key: {SECRET}\r\ncontent-type: {JSON}\r\nx-stainless-sim: reset_mid=2\r\n");
    let body = json!({"model": ALIAS, "prompt": "hello", "n": 2}).to_string();
    let request = post("/v1/images/generations", &headers, body.as_bytes());
    let answer = send(rig.app(), &[&request]).await;
    assert!(!answer.whole, "{}", answer.text());
    let events = rig.events().await;
    assert_eq!(
        ["outcome", "usage_source", "usage_quality", "billable"]
            .map(|name| events[0][name].as_str()),
        [
            Some("upstream_error"),
            Some("none"),
            Some("missing"),
            Some("unclear")
        ],
        "{}",
        events[0]
    );
    assert!(events[0]["images"].is_null(), "{}", events[0]);
}

#[tokio::test]
async fn an_app_that_leaves_while_its_form_passes_used_nothing() {
    use tokio::io::AsyncWriteExt as _;
    let rig = start().await;
    let body = form(&[("model", ALIAS)], 2_000_000, "--b--\r\n");
    let headers = format!("api-key: {SECRET}\r\ncontent-type: multipart/form-data; boundary=b\r\n");
    let request = post("/v1/images/edits", &headers, body.as_bytes());
    let mut stream = tokio::net::TcpStream::connect(rig.app())
        .await
        .expect("it listens");
    stream
        .write_all(&request[..1_000_000])
        .await
        .expect("it reads");
    eventually("it is admitted", async || {
        let journal = read_journal(&rig.data_dir());
        (!journal.admissions.is_empty()).then_some(())
    })
    .await;
    drop(stream);
    let event = eventually("its record is there", async || rig.events().await.pop()).await;
    assert_eq!(
        ["outcome", "billable", "usage_source"].map(|name| event[name].as_str()),
        [Some("client_aborted"), Some("no"), Some("none")],
        "{event}"
    );
}

#[tokio::test]
async fn a_route_bounds_what_a_request_may_ask() {
    let rig = start().await;
    let chat = |model: &str, more: &str, text: &str| {
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#)
    };
    for (more, text, status, code) in [
        (r#","max_tokens":6"#, "hello", 400, "parameter_above_limit"),
        (r#","n":3"#, "hello", 400, "parameter_above_limit"),
        (
            "",
            &"word ".repeat(60) as &str,
            400,
            "context_length_exceeded",
        ),
        ("", &"word ".repeat(900), 413, "request_too_large"),
        (r#","max_tokens":5,"n":2"#, "hello", 200, ""),
    ] {
        let body = chat("bounded", more, text);
        let answer = call(&rig, SECRET, "/v1/chat/completions", JSON, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{}",
            answer.text()
        );
    }
    let body = chat("clamped", r#","max_tokens":50,"n":7"#, "hello");
    let answer = call(&rig, SECRET, "/v1/chat/completions", JSON, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    assert_eq!(said["choices"].as_array().map(Vec::len), Some(2));
    let event = &events_by_id(&rig).await[&id(&answer)];
    let record = read_journal(&rig.data_dir())
        .events
        .pop()
        .expect("a record");
    let policies = record.policies.as_str();
    assert_eq!(policies, "clamped max_tokens 50 to 5, n 7 to 2");
    assert_eq!(
        event["output_text"], 10,
        "two answers of five tokens: {event}"
    );
}
