//! What a scrape of a running gateway says.

use serde_json::json;
use simulator::Settings;
use tests::{Plan, Rig};

const DELAY_MS: u32 = 300;

pub async fn scrape(rig: &Rig) -> String {
    let answer = rig.http().get(rig.ops_url("/metrics")).send().await;
    let answer = answer.expect("the operators' door answers");
    answer.text().await.expect("a whole scrape")
}

/// The value of the metric that is written so, 0 where it is not shown.
pub async fn counter(rig: &Rig, name: &str) -> f64 {
    let text = scrape(rig).await;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

async fn call(rig: &Rig, order: &str) -> u16 {
    let body = json!({
        "model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}],
        "metadata": {"sim": order, "nonce": order},
    });
    let request = rig.http().post(rig.url("/v1/chat/completions"));
    let answer = request.bearer_auth("k").json(&body).send().await;
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    answer.bytes().await.expect("a whole answer");
    status
}

fn plan(simulator: Settings) -> Plan {
    Plan {
        simulator,
        ..Plan::default()
    }
    .simulated(&["gpt-4o"])
    .tenant("acme", "", &[("acme-1", "k", "")])
}

/// The three times are of one record, so they add up to the microsecond whatever the machine does.
#[tokio::test]
async fn an_injected_delay_of_the_provider_is_in_the_providers_time_alone() {
    let rig = Rig::start(plan(Settings {
        latency_ms: u64::from(DELAY_MS),
        ..Settings::default()
    }))
    .await;
    assert_eq!(call(&rig, "latency=300").await, 200);
    let events = rig.events().await;
    let whole = counter(&rig, r#"tollgate_request_seconds_sum{api="chat"}"#).await;
    let gateway = counter(&rig, r#"tollgate_gateway_seconds_sum{api="chat"}"#).await;
    let labels = r#"{deployment="simulator",provider="openai"}"#;
    let upstream = counter(&rig, &format!("tollgate_upstream_seconds_sum{labels}")).await;
    let head = counter(
        &rig,
        &format!("tollgate_upstream_first_byte_seconds_sum{labels}"),
    )
    .await;
    assert!(upstream >= f64::from(DELAY_MS) / 1e3, "{upstream}");
    assert!(head >= f64::from(DELAY_MS) / 1e3, "{head}");
    assert!(
        (whole - gateway - upstream).abs() < 1e-9,
        "{whole} {gateway} {upstream}"
    );
    let recorded = events[0]["gateway_us"].as_f64();
    let recorded = recorded.or_else(|| events[0]["gateway_us"].as_str()?.parse().ok());
    assert!((gateway * 1e6 - recorded.expect("a time")).abs() < 0.5);
}

#[tokio::test]
async fn a_providers_429_is_told_apart_in_metric_log_and_record() {
    let mut plan = plan(Settings::default());
    plan.top = "[log]\nrequests = true\n".to_owned();
    let rig = Rig::start(plan).await;
    assert_eq!(call(&rig, "status=429").await, 429);
    assert_eq!(call(&rig, "status=500").await, 500);
    let events = rig.events().await;
    assert_eq!(events[0]["outcome_detail"], "provider_quota");
    assert_eq!(events[1]["outcome_detail"], "upstream_status_500");
    assert!(rig.log().contains("provider_quota"));
    for name in [
        r#"tollgate_throttled_total{cause="provider_quota"}"#,
        r#"tollgate_deployment_throttled_total{deployment="simulator",provider="openai",cause="provider_quota"}"#,
        r#"tollgate_tenant_throttled_total{tenant="acme",cause="provider_quota"}"#,
        r#"tollgate_upstream_calls_total{deployment="simulator",provider="openai",status="429"}"#,
        r#"tollgate_upstream_calls_total{deployment="simulator",provider="openai",status="5xx"}"#,
    ] {
        assert!(
            (counter(&rig, name).await - 1.0).abs() < f64::EPSILON,
            "{name}"
        );
    }
}
