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
    call_model(rig, "gpt-4o", order).await
}

async fn call_model(rig: &Rig, model: &str, order: &str) -> u16 {
    let body = json!({
        "model": model, "messages": [{"role": "user", "content": "hello"}],
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

/// The way to another region is slow, the one to the own region is not: each shows where it belongs.
#[tokio::test]
async fn time_at_providers_is_split_by_region_and_connecting_stands_apart() {
    let region = |name: &str| format!("auth = \"none\"\nregion = \"{name}\"");
    let plan = Plan {
        gateway: "region = \"eastus\"\n".to_owned(),
        ..Plan::default()
    };
    let plan = plan
        .backend("near", "{provider}", &region("EastUS"), &["gpt-4o-mini"])
        .backend("far", "{provider}", &region("westeurope"), &["gpt-4o"])
        .backend("nowhere", "{provider}", "auth = \"none\"", &["gpt-4.1"])
        .tenant("acme", "", &[("acme-1", "k", "")]);
    let rig = Rig::start(plan).await;
    for (model, order) in [
        ("gpt-4o", "latency=300"),
        ("gpt-4o-mini", "latency=0"),
        ("gpt-4.1", "latency=0"),
    ] {
        assert_eq!(call_model(&rig, model, order).await, 200);
    }
    rig.events().await;
    for (place, deployment, least) in [
        ("other_region", "far", f64::from(DELAY_MS) / 1e3),
        ("own_region", "near", 0.0),
        ("unknown", "nowhere", 0.0),
    ] {
        for kind in ["", "first_byte_"] {
            let of_place =
                format!(r#"tollgate_upstream_place_{kind}seconds_sum{{place="{place}"}}"#);
            let of_deployment = format!(
                r#"tollgate_upstream_{kind}seconds_sum{{deployment="{deployment}",provider="openai"}}"#
            );
            let seconds = counter(&rig, &of_place).await;
            assert!(seconds > 0.0 && seconds >= least, "{of_place} {seconds}");
            let same = counter(&rig, &of_deployment).await;
            assert!((seconds - same).abs() < 1e-9, "{place}: {seconds} {same}");
        }
    }
    let connects = r#"tollgate_upstream_connect_seconds_count{result="connected"}"#;
    assert!(counter(&rig, connects).await >= 1.0);
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
