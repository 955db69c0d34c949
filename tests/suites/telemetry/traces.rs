//! One trace from the app over the gateway to the provider and to the record; nobody waits for it, nothing leaks by it.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use simulator::Settings;
use tests::{Plan, Rig, eventually, free_address};

use crate::collector::{Collector, attributes};
use crate::metrics::counter;

const KEY: &str = "canary-key-of-the-app";
const UPSTREAM: &str = "canary-key-of-the-gateway";
const COLLECTOR: &str = "canary-key-of-the-collector";
const PROMPT: &str = "canary-of-the-prompt";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A gateway that sends its spans at once.
fn plan(endpoint: &str, more: &str) -> Plan {
    let plan = Plan {
        top: format!(
            "[log]\nformat = \"json\"\nrequests = true\n[telemetry]\notlp_endpoint = \"{endpoint}\"\ninterval_ms = 1\n\
             otlp_headers = [{{ name = \"authorization\", env = \"TOLLGATE_TEST_COLLECTOR\" }}]\n\
             resource = {{ \"deployment.environment.name\" = \"test\" }}\n{more}\n"
        ),
        environment: vec![
            ("TOLLGATE_TEST_UPSTREAM", UPSTREAM.to_owned()),
            ("TOLLGATE_TEST_COLLECTOR", COLLECTOR.to_owned()),
        ],
        simulator: Settings {
            seen_requests: 100,
            ..Settings::default()
        },
        ..Plan::default()
    };
    plan.backend(
        "east",
        "{provider}",
        "api_key_env = \"TOLLGATE_TEST_UPSTREAM\"",
        &["gpt-4o"],
    )
    .tenant("acme", "", &[("acme-1", KEY, "")])
}

async fn start(collector: &Collector, more: &str) -> Rig {
    Rig::start(plan(&format!("http://{}", collector.address), more)).await
}

/// A streamed call by this key; gives the request id back once the answer is whole.
async fn call(rig: &Rig, key: &str, traceparent: Option<&str>) -> (u16, String) {
    let request = rig
        .http()
        .post(rig.url("/v1/chat/completions"))
        .bearer_auth(key)
        .header("tracestate", "vendor=1");
    let request = match traceparent {
        Some(traceparent) => request.header("traceparent", traceparent),
        None => request,
    };
    let body = json!({
        "model": "gpt-4o", "stream": true, "user": PROMPT,
        "messages": [{"role": "user", "content": PROMPT}],
    });
    let answer = request.json(&body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let id = answer.headers()["x-request-id"].to_str().expect("a text");
    let id = id.to_owned();
    answer.bytes().await.expect("a whole answer");
    (status, id)
}

/// The headers of this name that the provider got last.
fn sent(rig: &Rig, name: &str) -> Vec<String> {
    let seen = rig.simulator.seen().pop().expect("the provider was called");
    let headers = seen.headers.into_iter();
    headers
        .filter(|(given, _)| given == name)
        .map(|(_, value)| value)
        .collect()
}

fn is_kind(span: &Span, kind: SpanKind) -> bool {
    span.kind == kind as i32
}

#[tokio::test]
async fn one_trace_id_links_app_gateway_attempt_provider_log_and_record() {
    let collector = Collector::start().await;
    let rig = start(&collector, "").await;
    let given = format!("00-{TRACE}-{SPAN}-01");
    let (status, request_id) = call(&rig, KEY, Some(&given)).await;
    assert_eq!(status, 200);

    let spans = collector.trace(TRACE, 2).await;
    let [server, client] = spans.as_slice() else {
        panic!("two spans: {spans:?}");
    };
    assert!(is_kind(server, SpanKind::Server) && is_kind(client, SpanKind::Client));
    assert_eq!(hex::encode(&server.parent_span_id), SPAN);
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(server.name, "POST /v1/chat/completions");
    assert_eq!(client.name, "chat gpt-4o");
    let upstream = format!("00-{TRACE}-{}-01", hex::encode(&client.span_id));
    assert_eq!(sent(&rig, "traceparent"), [upstream]);
    assert_eq!(sent(&rig, "tracestate"), ["vendor=1"]);

    let events = rig.events().await;
    let [event] = events.as_slice() else {
        panic!("one record: {events:?}");
    };
    assert_eq!(event["request_id"], request_id.as_str());
    let (server, client) = (
        attributes(&server.attributes),
        attributes(&client.attributes),
    );
    for span in [&server, &client] {
        assert_eq!(span["tollgate.event_id"], event["event_id"]);
        assert_eq!(span["tollgate.request_id"], request_id);
        assert_eq!(span["tollgate.schema_version"], "1");
    }
    assert_eq!(server["tollgate.tenant"], "acme");
    assert_eq!(
        client["server.port"],
        rig.simulator.addr().port().to_string()
    );
    let figure = |name: &str| event[name].to_string().trim_matches('"').to_owned();
    assert_eq!(client["gen_ai.usage.input_tokens"], figure("input_text"));
    assert_eq!(client["gen_ai.usage.output_tokens"], figure("output_text"));

    let log = rig.log();
    let line = log.lines().find(|line| line.contains(&request_id));
    let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["event_id"], event["event_id"]);
    assert_eq!(line["project"], "search");
    let units = line["units"].as_str().expect("a text");
    assert!(
        units.contains(&format!("input_text={}", figure("input_text"))),
        "{line}"
    );
}

#[tokio::test]
async fn each_call_of_a_retried_request_is_a_span_of_its_trace() {
    let collector = Collector::start().await;
    let mut plan = plan(&format!("http://{}", collector.address), "");
    let again = "deployment = \"east\"\nretry = { attempts = 3, backoff_ms = 1 }";
    plan.rest = plan.rest.replace("deployment = \"east\"", again);
    let rig = Rig::start(plan).await;
    let request = rig
        .http()
        .post(rig.url("/v1/chat/completions"))
        .bearer_auth(KEY)
        .header("traceparent", format!("00-{TRACE}-{SPAN}-01"))
        .header("x-stainless-sim", "first=429+503,retry_after=1");
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}]});
    let answer = request.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);

    let spans = collector.trace(TRACE, 4).await;
    let mut calls: Vec<_> = spans
        .iter()
        .filter(|span| is_kind(span, SpanKind::Client))
        .collect();
    calls.sort_by_key(|span| span.start_time_unix_nano);
    let told = |span: &Span, name: &str| attributes(&span.attributes).get(name).cloned();
    let each = |name: &str| -> Vec<_> {
        let told = calls.iter().map(|span| told(span, name));
        told.map(Option::unwrap_or_default).collect()
    };
    assert_eq!(each("http.response.status_code"), ["429", "503", "200"]);
    assert_eq!(each("http.request.resend_count"), ["", "1", "2"]);
    assert_eq!(each("tollgate.attempt"), ["1", "2", "3"]);
    assert_eq!(
        each("tollgate.outcome")[1..],
        ["upstream_error", "completed"]
    );
    let usage = each("gen_ai.usage.output_tokens");
    assert!(usage[0].is_empty() && usage[1].is_empty() && !usage[2].is_empty());
    let seen = rig.simulator.seen().into_iter();
    let parents: Vec<_> = seen
        .flat_map(|seen| seen.headers)
        .filter(|(name, _)| name == "traceparent")
        .map(|(_, value)| value)
        .collect();
    let ids = calls
        .iter()
        .map(|span| format!("00-{TRACE}-{}-01", hex::encode(&span.span_id)));
    assert_eq!(parents, ids.collect::<Vec<_>>());
}

#[tokio::test]
async fn no_secret_and_no_text_is_in_the_bytes_that_leave_and_the_collectors_key_is_where_it_belongs()
 {
    let collector = Collector::start().await;
    let rig = start(&collector, "").await;
    call(&rig, KEY, None).await;
    call(&rig, "canary-of-a-stranger", None).await;
    eventually("three spans", async || {
        (collector.spans().len() >= 3).then_some(())
    })
    .await;
    for received in collector.received() {
        assert_eq!(received.headers["authorization"], COLLECTOR);
        assert_eq!(received.headers["content-type"], "application/x-protobuf");
        assert!(!received.bytes.windows(6).any(|bytes| bytes == b"canary"));
        let resource = received.request.resource_spans[0].resource.as_ref();
        let resource = attributes(&resource.expect("a resource").attributes);
        assert_eq!(resource["service.name"], "tollgate");
        assert_eq!(resource["deployment.environment.name"], "test");
    }
    assert!(!rig.log().contains("canary"));
}

#[tokio::test]
async fn the_app_decides_for_its_requests_else_the_share_and_a_stranger_nothing() {
    let collector = Collector::start().await;
    let rig = start(&collector, "sample_ratio = 0.0").await;
    let flagged = |flags: &str| format!("00-{TRACE}-{SPAN}-{flags}");
    // Nothing of these three is to be sent, and all were closed before the fourth began.
    call(&rig, KEY, None).await;
    let own = sent(&rig, "traceparent").pop().expect("a traceparent");
    call(&rig, KEY, Some(&flagged("00"))).await;
    let unsampled = sent(&rig, "traceparent").pop().expect("a traceparent");
    let stranger = "00-11111111111111111111111111111111-2222222222222222-01";
    assert_eq!(call(&rig, "tg-nobody", Some(stranger)).await.0, 401);
    call(&rig, KEY, Some(&flagged("01"))).await;

    collector.trace(TRACE, 2).await;
    assert_eq!(collector.spans().len(), 2, "{:?}", collector.spans());
    assert!(unsampled.starts_with(&format!("00-{TRACE}-")) && unsampled.ends_with("-00"));
    let events = rig.events().await;
    assert_eq!(events.len(), 4, "records depend on no sampling");
    let first = events[0]["event_id"].as_str().expect("a text");
    assert!(
        own.contains(&first.replace('-', "")),
        "a trace of its own is the event's id"
    );
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_no_request() {
    const CALLS: usize = 20;
    let away = format!("http://{}", free_address());
    let rig = Rig::start(plan(
        &away,
        "queue_spans = 2\nbatch_spans = 1\nstop_timeout_ms = 1",
    ))
    .await;
    for _ in 0..CALLS {
        assert_eq!(call(&rig, KEY, None).await.0, 200);
    }
    assert_eq!(rig.events().await.len(), CALLS);
    let lost = counter(&rig, r#"tollgate_trace_spans_total{fate="queue_full"}"#).await;
    assert!(lost > 0.0, "a full queue drops and counts");
    let unreachable = async || {
        let name = r#"tollgate_trace_spans_total{fate="unreachable"}"#;
        (counter(&rig, name).await > 0.0).then_some(())
    };
    eventually("a span is given up", unreachable).await;
    let exported = counter(&rig, r#"tollgate_trace_spans_total{fate="exported"}"#).await;
    assert!(exported < 1.0, "{exported}");
}

#[tokio::test]
async fn a_stop_sends_the_spans_that_wait() {
    let collector = Collector::start().await;
    let slow = plan(&format!("http://{}", collector.address), "");
    let rig = Rig::start(Plan {
        top: slow
            .top
            .replace("interval_ms = 1\n", "interval_ms = 600000\n"),
        ..slow
    })
    .await;
    call(&rig, KEY, None).await;
    rig.settled().await;
    assert!(collector.spans().is_empty(), "they wait for others");
    let pid = i32::try_from(rig.pid()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::TERM).expect("it runs");
    eventually("the last spans", async || {
        (collector.spans().len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_collector_the_apps_headers_pass_as_they_are() {
    let mut plan = plan("http://unused", "");
    plan.top = String::new();
    let rig = Rig::start(plan).await;
    let given = format!("00-{TRACE}-{SPAN}-01");
    call(&rig, KEY, Some(&given)).await;
    assert_eq!(sent(&rig, "traceparent"), [given]);
    let text = crate::metrics::scrape(&rig).await;
    assert!(!text.contains("trace_spans"), "nothing of it is there");
}
