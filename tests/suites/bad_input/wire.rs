//! What apps and providers send wrongly: the app's status and code, and one true record a call.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::faulty::{Carried, Case, OddProviders, good_body, plan, refused, spoilt};
use tests::raw::{RawAnswer, post, send};
use tests::{Rig, eventually};

async fn start(carried: &Carried) -> (Rig, OddProviders) {
    let odd = OddProviders::start("odd-text").await;
    let rig = Rig::start(plan(carried, &odd, "auth = \"none\"")).await;
    (rig, odd)
}

async fn send_all(rig: &Rig, cases: &[Case]) -> Vec<RawAnswer> {
    let mut answers = Vec::new();
    for case in cases {
        let pieces: Vec<&[u8]> = case.pieces.iter().map(Vec::as_slice).collect();
        answers.push(send(rig.app(), &pieces).await);
    }
    answers
}

fn by_request_id(events: Vec<Value>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for event in events {
        let id = event["request_id"].as_str().expect("a text").to_owned();
        assert!(
            found.insert(id.clone(), event).is_none(),
            "two records of {id}"
        );
    }
    found
}

/// What was seen against what the case says, as one comparable line each.
fn compare(cases: &[Case], answers: &[RawAnswer], events: &BTreeMap<String, Value>) {
    let mut faults = Vec::new();
    for (case, answer) in cases.iter().zip(answers) {
        let event = answer
            .header("x-request-id")
            .and_then(|id| events.get(id))
            .cloned()
            .unwrap_or_default();
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let seen = (
            answer.status,
            answer.code(),
            text("outcome"),
            text("outcome_detail"),
            event["status"].as_u64(),
        );
        let code = if case.code.is_empty() {
            answer.code()
        } else {
            case.code.to_owned()
        };
        let wanted = (
            case.status,
            code,
            case.outcome.to_owned(),
            case.detail.to_owned(),
            Some(u64::from(case.status)),
        );
        if seen != wanted {
            faults.push(format!("{}: {seen:?}, wanted {wanted:?}", case.name));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} cases:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[tokio::test]
async fn what_an_app_sends_wrongly_is_refused_with_its_code_and_its_record() {
    let carried = Carried::default();
    let (rig, _odd) = start(&carried).await;
    let cases = refused(&carried);
    let answers = send_all(&rig, &cases).await;
    let events = by_request_id(rig.events().await);
    compare(&cases, &answers, &events);
    assert_eq!(events.len(), cases.len(), "one record a call");
    for event in events.values() {
        assert_eq!(
            (event["count"].as_i64(), event["billable"].as_str()),
            (Some(1), Some("no")),
            "{event}"
        );
        assert!(
            event["deployment"].is_null(),
            "no provider was called: {event}"
        );
    }
    assert!(
        rig.simulator.truth().since(0).is_empty(),
        "no provider was called"
    );
    for (case, answer) in cases.iter().zip(&answers) {
        let error: Value = serde_json::from_slice(&answer.body).expect("errors are JSON");
        let kinds =
            ["message", "type", "param", "code"].map(|name| error["error"].get(name).is_some());
        assert_eq!(
            kinds, [true; 4],
            "{}: the shape of the provider's errors",
            case.name
        );
        assert!(
            !answer.text().contains(&carried.prompt),
            "{}: {}",
            case.name,
            answer.text()
        );
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_a_record_without_an_admission() {
    let carried = Carried::default();
    let (rig, _odd) = start(&carried).await;
    let request = post(
        "/v1/chat/completions",
        &format!("authorization: Bearer {}\r\n", carried.secret),
        good_body("gpt-4o-mini", "", false, "Say something.").as_bytes(),
    );
    for cut in [request.len() - 1, request.len() - 60] {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = tokio::net::TcpStream::connect(rig.app())
            .await
            .expect("somebody listens");
        stream
            .write_all(&request[..cut])
            .await
            .expect("half a request can be sent");
        stream.shutdown().await.expect("a connection can be closed");
    }
    let events = eventually("both records are there", async || {
        let events = rig.events().await;
        (events.len() == 2).then_some(events)
    })
    .await;
    for event in &events {
        assert_eq!(event["outcome"], "client_aborted", "{event}");
        assert_eq!(event["outcome_detail"], "request_upload_aborted", "{event}");
        assert_eq!(event["key_id"], "acme-1", "{event}");
        assert!(event["status"].is_null(), "{event}");
    }
    assert!(
        tests::read_journal(&rig.data_dir()).admissions.is_empty(),
        "nothing was admitted"
    );
    assert!(
        rig.simulator.truth().since(0).is_empty(),
        "no provider was called"
    );
}

#[tokio::test]
async fn what_a_provider_sends_wrongly_reaches_the_app_and_its_record_says_what_it_was() {
    let carried = Carried::default();
    let (rig, odd) = start(&carried).await;
    let cases = spoilt(&carried);
    let answers = send_all(&rig, &cases).await;
    let events = by_request_id(rig.events().await);
    compare(&cases, &answers, &events);
    assert_eq!(events.len(), cases.len(), "one record a call");
    assert_eq!(odd.trap.calls(), 0, "a redirect is not followed");
    for (case, answer) in cases.iter().zip(&answers) {
        let breaks_off = case.detail == "upstream_reset" && case.status == 200;
        assert_eq!(
            answer.whole, !breaks_off,
            "{}: a broken answer ends broken",
            case.name
        );
        for name in ["location", "set-cookie", "server"] {
            assert_eq!(answer.header(name), None, "{}", case.name);
        }
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of heads")]
async fn a_head_has_bounds_and_a_request_that_never_was_has_no_record() {
    let carried = Carried::default();
    let (rig, _odd) = start(&carried).await;
    let line = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n";
    let many = "x-one-more: 1\r\n".repeat(81);
    let mut faults = Vec::new();
    for (name, head, statuses) in [
        (
            "a huge head",
            format!("{line}x-filling: {}\r\n\r\n", "x".repeat(200_000)),
            [431, 431],
        ),
        (
            "far too many headers",
            format!("{line}{}\r\n", many.repeat(4)),
            [431, 431],
        ),
        (
            "a long path",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000)),
            [414, 431],
        ),
        (
            "no HTTP",
            "hello, is this the gateway?\r\n\r\n".to_owned(),
            [400, 400],
        ),
        (
            "two lengths",
            format!("{line}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"),
            [400, 400],
        ),
        (
            "a length that is none",
            format!("{line}content-length: -1\r\n\r\n{{}}"),
            [400, 400],
        ),
        (
            "a name with a blank",
            format!("{line}content length: 2\r\n\r\n{{}}"),
            [400, 400],
        ),
        (
            "a head that does not end",
            format!("{line}x-slow: "),
            [0, 408],
        ),
    ] {
        let answer = send(rig.app(), &[head.as_bytes()]).await;
        if !statuses.contains(&answer.status) {
            faults.push(format!("{name}: {} {}", answer.status, answer.text()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        rig.events().await.is_empty(),
        "what is no request has no record"
    );
    // A head that is a little above a bound is a request, and refused as one; a little below, it is served.
    let body = good_body("gpt-4o-mini", "", false, "Say something.");
    let key = format!("authorization: Bearer {}\r\n", carried.secret);
    for (headers, status) in [
        (format!("{key}{many}"), 431),
        (format!("x-filling: {}\r\n{key}", "x".repeat(40_000)), 431),
        (format!("x-filling: {}\r\n{key}", "x".repeat(32_000)), 200),
    ] {
        let request = post("/v1/chat/completions", &headers, body.as_bytes());
        let answer = send(rig.app(), &[&request]).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let code = if status == 200 {
            ""
        } else {
            "request_header_fields_too_large"
        };
        assert_eq!(answer.code(), code);
    }
    let events = rig.events().await;
    let refused = events
        .iter()
        .filter(|event| event["outcome_detail"] == "request_header_fields_too_large");
    assert_eq!(
        (events.len(), refused.count()),
        (3, 2),
        "each has its record"
    );
    let good = post(
        "/v1/chat/completions",
        &format!("authorization: Bearer {}\r\n", carried.secret),
        body.as_bytes(),
    );
    assert_eq!(
        send(rig.app(), &[&good]).await.status,
        200,
        "the gateway serves on"
    );
}

/// All bodies together have a bound: what does not fit is refused, and the room comes back with the requests.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_share_a_bounded_memory() {
    let plan = tests::Plan {
        gateway: "max_bodies_mib = 1".to_owned(),
        ..tests::Plan::default()
    };
    let plan = plan
        .simulated(&["gpt-4o-mini"])
        .tenant("acme", "", &[("k", "room-app-key", "")]);
    let rig = Rig::start(plan).await;
    let call = async |bytes: usize| {
        let body = serde_json::json!({
            "model": "gpt-4o-mini", "max_tokens": 1,
            "messages": [{"role": "user", "content": "x ".repeat(bytes / 2)}],
        });
        let url = rig.url("/v1/chat/completions");
        let request = rig.http().post(url).bearer_auth("room-app-key");
        let sent = request
            .header("connection", "close")
            .json(&body)
            .send()
            .await;
        let answer = sent.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    };
    for _ in 0..3 {
        let (status, text) = call(700_000).await.expect("the gateway answers");
        assert_eq!(status, 200, "{text}\n{}", rig.log());
        // An app that is still sending may find its connection closed before it has read why: the record says it.
        if let Some((status, text)) = call(1_200_000).await {
            assert_eq!(status, 503, "{text}");
            let body: Value =
                serde_json::from_str(&text).expect("an error in the provider's shape");
            assert_eq!(body["error"]["code"], "server_busy");
        }
    }
    let events = rig.events().await;
    let refused = events
        .iter()
        .filter(|event| event["outcome_detail"] == "server_busy");
    assert_eq!((events.len(), refused.count()), (6, 3));
}
