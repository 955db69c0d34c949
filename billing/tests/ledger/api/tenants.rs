//! A reader of one tenant sees nothing of another: whatever it asks, its answers are the same bytes whether the other
//! tenant is there or not.

use std::collections::BTreeMap;

use billing::api::{Access, ENDPOINTS, Endpoint};
use schemas::{Outcome, UsageEvent};

use super::door::{Answer, Door};
use crate::common::{Ledger, event, of, text};

const USED: &str = r#"{"input_text":1000,"output_text":37}"#;
/// In every text of the other tenant's events.
const OTHER: &str = "globex";

/// Values beyond a parameter's example: those that might widen what is seen.
fn more_values(name: &str) -> &'static [&'static str] {
    match name {
        "tenant" => &[
            "acme",
            "",
            "globex",
            "ACME",
            "acme' OR '1'='1",
            "acme,globex",
            "%25",
            "*",
            "all",
        ],
        "period" => &["2026", "2026-11-24", "2026-11-24T00:00Z/2026-11-25T00:00Z"],
        "by" => &[
            "",
            "day,outcome",
            "tenant,key,label:owner",
            "provider,deployment,route,api",
        ],
        "tz" => &["UTC", "Pacific/Apia"],
        "synthetic" => &["exclude", "only", "include"],
        "project" => &["pr", "globex", "' OR tenant='globex"],
        "key" => &["k", "globex"],
        "label" => &["owner=globex", "owner=acme"],
        "since" => &["2026-11-01", "1000d"],
        "until" => &["2026-12-01"],
        "outcome" => &["refused_auth", "unknown"],
        "request_id" => &["globex", "request-1"],
        "limit" => &["1", "1000"],
        "cursor" => &["0:019aa1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"],
        "format" => &["json", "csv", "parquet"],
        "kind" => &["summary", "trail"],
        _ => &[],
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// What stands in every question of an endpoint, so that the parameter under test finds something.
fn frame(endpoint: &Endpoint) -> Vec<(&'static str, &'static str)> {
    let wanted = [
        ("period", "2026-11"),
        ("kind", "trail"),
        ("synthetic", "include"),
    ];
    let has = |name: &str| endpoint.params.iter().any(|param| param.name == name);
    wanted.into_iter().filter(|(name, _)| has(name)).collect()
}

/// Every endpoint that has anything to tell, with every parameter at every value.
fn questions() -> Vec<String> {
    let mut questions = Vec::new();
    for endpoint in ENDPOINTS.iter().filter(|e| e.access != Access::Anybody) {
        let frame = frame(endpoint);
        let url = |more: Option<(&str, &str)>| {
            let kept = frame
                .iter()
                .filter(|(name, _)| more.is_none_or(|(of, _)| of != *name));
            let pairs = kept.copied().chain(more);
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={}", encoded(value)))
                .collect();
            format!("{}?{}", endpoint.path, pairs.join("&"))
        };
        questions.push(url(None));
        for param in endpoint.params {
            questions.push(url(Some((param.name, param.example))));
            let values = more_values(param.name).iter();
            questions.extend(values.map(|value| url(Some((param.name, value)))));
        }
    }
    questions
}

fn acme() -> Vec<UsageEvent> {
    let mut events: Vec<_> = (1..5).map(|number| event(number, &[("m", USED)])).collect();
    events[1].outcome = Outcome::Unknown;
    events[2].synthetic = true;
    events[3].labels = serde_json::from_str(r#"{"owner":"acme"}"#).expect("labels");
    events
}

/// The same kinds of events, of the other tenant, whose name stands wherever a text can.
fn globex() -> Vec<UsageEvent> {
    let mut events = acme();
    for (number, event) in (100..).zip(&mut events) {
        let fresh = crate::common::event(number, &[("m", USED)]);
        event.event_id = fresh.event_id;
        event.producer_seq = fresh.producer_seq;
        event.request_id = text(OTHER);
        event.project = text(OTHER);
        event.key_id = text(OTHER);
        event.model_requested = text(OTHER);
        event.lines = crate::common::event(1, &[(OTHER, USED), ("m", USED)]).lines;
        event.labels = serde_json::from_str(r#"{"owner":"globex"}"#).expect("labels");
        for field in [
            &mut event.conversation,
            &mut event.principal,
            &mut event.route,
            &mut event.deployment,
            &mut event.model_served,
            &mut event.finish_reason,
        ] {
            *field = Some(text(OTHER));
        }
    }
    events.into_iter().map(|event| of(event, OTHER)).collect()
}

/// All that an answer tells.
fn told(answer: Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("a text").to_owned()));
    (answer.status, headers.collect(), answer.bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_traffic_changes_no_byte_of_any_answer() {
    let ledger = Ledger::start().await;
    ledger.write(0, &acme()).await;
    let door = Door::open(ledger.reader(), "");
    let mut before = BTreeMap::new();
    for url in questions() {
        let answer = told(door.get("acme", &url).await);
        before.insert(url, answer);
    }
    let good = before
        .values()
        .filter(|(status, ..)| *status == 200)
        .count();
    assert!(
        before.len() > 100 && good * 2 > before.len(),
        "{good} of {}",
        before.len()
    );

    ledger.write(10, &globex()).await;
    for (url, before) in &before {
        let answer = told(door.get("acme", url).await);
        assert!(
            answer == *before,
            "{url} tells of the other tenant: {answer:?}"
        );
        let (_, headers, bytes) = answer;
        let body = String::from_utf8_lossy(&bytes);
        // A client's own words come back to it in an error.
        if !url.contains(OTHER) {
            assert!(
                !body.contains(OTHER) && !format!("{headers:?}").contains(OTHER),
                "{url}"
            );
        }
    }
    // Whoever may see it does, so the test can fail.
    for token in ["all", "both"] {
        let report = door
            .get(token, "/v1/chargeback?period=2026-11&tenant=globex")
            .await
            .good();
        assert!(report.text().contains(OTHER), "{token}");
    }
    let page = door.get("both", "/v1/audit?tenant=globex").await.good();
    assert_eq!(page.json()["events"].as_array().map(Vec::len), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_tenant_is_refused_alike_whether_it_is_there_or_not() {
    let ledger = Ledger::start().await;
    ledger.write(0, &globex()).await;
    let door = Door::open(ledger.reader(), "");
    let with_tenant = ENDPOINTS
        .iter()
        .filter(|e| e.params.iter().any(|p| p.name == "tenant"));
    for endpoint in with_tenant {
        let kind = if endpoint.id == "exports" {
            "&kind=trail"
        } else {
            ""
        };
        let ask = async |token, tenant: &str| {
            door.get(token, &format!("{}?tenant={tenant}{kind}", endpoint.path))
                .await
        };
        let (there, not_there) = (ask("acme", OTHER).await, ask("acme", "nobody").await);
        assert_eq!(
            there.error(),
            (403, "other_tenant".to_owned(), "tenant".to_owned())
        );
        assert_eq!(told(there), told(not_there), "{}", endpoint.path);
        ask("both", OTHER).await.good();
        let unsaid = door
            .get(
                "both",
                &format!("{}?{}", endpoint.path, kind.trim_start_matches('&')),
            )
            .await;
        assert_eq!(
            unsaid.error(),
            (400, "missing_parameter".to_owned(), "tenant".to_owned())
        );
    }
}
