//! What one scrape shows of known records.

use prometheus_client::encoding::text::encode;
use schemas::{Micros, Outcome, Unit, UsageSource};

use super::*;

struct Scrape {
    metrics: Metrics,
    registry: Registry,
}

impl Scrape {
    fn new() -> Self {
        let mut registry = Registry::default();
        Self {
            metrics: Metrics::new(&mut registry),
            registry,
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    #[track_caller]
    fn shows(&self, lines: &[&str]) {
        let text = self.text();
        for line in lines {
            assert!(text.lines().any(|given| given == *line), "{line}\n{text}");
        }
    }
}

/// A call that took 301.2 ms, of which the provider took 300.
fn event() -> UsageEvent {
    let full = include_str!("../../../schemas/golden/usage-full.v1.json");
    let mut event: UsageEvent = serde_json::from_str(full).unwrap();
    let start = event.received_us.0;
    let at = |us| Micros(start + us);
    event.outcome_detail = None;
    event.first_byte_us = Some(at(301_000));
    event.completed_us = at(301_200);
    event.upstream_us = Some(300_000);
    event.gateway_us = Some(1_200);
    event.attempts[0].started_us = at(1_000);
    event.attempts[0].first_byte_us = Some(at(300_900));
    event.attempts[0].ended_us = at(301_000);
    event
}

#[test]
fn a_call_counts_where_its_backend_runs() {
    for (own, place) in [
        (Some("EASTUS"), "own_region"),
        (Some("westeurope"), "other_region"),
        (None, "unknown"),
    ] {
        let scrape = Scrape::new();
        scrape.metrics.runs_in(own);
        let mut moved = event();
        scrape.metrics.observe(&moved);
        // Of another deployment's call the record does not say where it was: what its own records said, if there are any.
        moved.attempts[0].deployment = Text::cut("elsewhere");
        moved.attempts.push(event().attempts[0].clone());
        scrape.metrics.observe(&moved);
        scrape.metrics.observe_connect(Connect::Timeout, 5_000_000);
        let (here, unknown) = if own.is_none() { (3, 3) } else { (2, 1) };
        scrape.shows(&[
            &format!(r#"upstream_place_seconds_count{{place="{place}"}} {here}"#),
            &format!(r#"upstream_place_first_byte_seconds_count{{place="unknown"}} {unknown}"#),
            r#"upstream_connect_seconds_sum{result="timeout"} 5.0"#,
        ]);
    }
}

#[test]
fn one_scrape_shows_rates_times_and_units_of_a_call() {
    let scrape = Scrape::new();
    scrape.metrics.observe(&event());
    scrape.shows(&[
        r#"requests_total{api="chat",outcome="completed",usage_source="provider"} 1"#,
        r#"answers_total{api="chat",status="2xx"} 1"#,
        r#"metering_total{usage_source="provider",usage_quality="unmapped"} 1"#,
        r#"deployment_requests_total{deployment="east",provider="openai",outcome="completed"} 1"#,
        r#"upstream_calls_total{deployment="east",provider="openai",status="2xx"} 1"#,
        r#"units_total{model="gpt-4o-mini",unit="input_cached",usage_source="provider"} 910"#,
        r#"units_total{model="gpt-4o-mini",unit="web_search_calls",usage_source="provider"} 2"#,
        r#"tenant_requests_total{tenant="acme",outcome="completed"} 1"#,
        r#"tenant_units_total{tenant="acme",unit="input_text"} 90"#,
        r#"first_byte_seconds_sum{api="chat"} 0.301"#,
    ]);
}

#[test]
fn a_providers_300_ms_are_in_its_time_and_not_in_ours() {
    let scrape = Scrape::new();
    scrape.metrics.observe(&event());
    scrape.shows(&[
        r#"request_seconds_sum{api="chat"} 0.3012"#,
        r#"gateway_seconds_sum{api="chat"} 0.0012"#,
        r#"upstream_seconds_sum{deployment="east",provider="openai"} 0.3"#,
        r#"upstream_first_byte_seconds_sum{deployment="east",provider="openai"} 0.2999"#,
        r#"gateway_seconds_bucket{le="0.005",api="chat"} 1"#,
        r#"upstream_seconds_bucket{le="0.1",deployment="east",provider="openai"} 0"#,
        r#"upstream_seconds_bucket{le="0.5",deployment="east",provider="openai"} 1"#,
    ]);
}

#[test]
fn a_call_to_another_deployment_is_its_own_and_names_no_wrong_provider() {
    let scrape = Scrape::new();
    let mut event = event();
    let mut first = event.attempts[0].clone();
    first.deployment = Text::cut("west");
    first.status = Some(503);
    event.attempts.insert(0, first);
    scrape.metrics.observe(&event);
    let mut west = event.clone();
    west.attempts.remove(1);
    west.deployment = Some(Text::cut("west"));
    west.provider = Some(Text::cut("azure"));
    scrape.metrics.observe(&west);
    scrape.metrics.observe(&event);
    scrape.shows(&[
        r#"upstream_calls_total{deployment="east",provider="openai",status="2xx"} 2"#,
        r#"upstream_calls_total{deployment="west",provider="azure",status="5xx"} 2"#,
        r#"upstream_calls_total{deployment="other",provider="other",status="5xx"} 1"#,
        r#"upstream_retries_total{deployment="west",provider="azure",status="5xx"} 1"#,
        r#"upstream_retries_total{deployment="other",provider="other",status="5xx"} 1"#,
    ]);
}

#[test]
fn three_causes_of_429_have_three_labels() {
    let scrape = Scrape::new();
    let provider = |detail: &str| {
        let mut event = event();
        event.outcome = Outcome::UpstreamError;
        event.outcome_detail = Some(Text::cut(detail));
        event.status = Some(429);
        event.attempts[0].status = Some(429);
        event
    };
    let mut own = event();
    own.attempts.clear();
    own.deployment = None;
    own.outcome = Outcome::RefusedLimit;
    own.status = Some(429);
    let mut busy = own.clone();
    busy.status = Some(503);
    for event in [
        own,
        busy,
        provider("provider_quota"),
        provider("provider_overload"),
        provider("upstream_status_429"),
    ] {
        scrape.metrics.observe(&event);
    }
    scrape.shows(&[
        r#"throttled_total{cause="own_limit"} 1"#,
        r#"throttled_total{cause="provider_quota"} 1"#,
        r#"throttled_total{cause="provider_overload"} 1"#,
        r#"throttled_total{cause="provider_unsaid"} 1"#,
        r#"deployment_throttled_total{deployment="east",provider="openai",cause="provider_quota"} 1"#,
        r#"tenant_throttled_total{tenant="acme",cause="own_limit"} 1"#,
        r#"answers_total{api="chat",status="429"} 4"#,
        r#"upstream_calls_total{deployment="east",provider="openai",status="429"} 3"#,
        r#"details_total{detail="provider_quota",outcome="upstream_error"} 1"#,
    ]);
    assert!(!scrape.text().contains(
        r#"deployment_throttled_total{deployment="east",provider="openai",cause="own_limit"}"#
    ));
}

#[test]
fn coverage_adds_up_to_the_requests_and_one_in_a_hundred_shows() {
    let scrape = Scrape::new();
    for number in 0..1_000 {
        let mut event = event();
        if number % 100 == 0 {
            event.lines.clear();
            event.usage_source = UsageSource::None;
            event.usage_quality = UsageQuality::Missing;
        }
        scrape.metrics.observe(&event);
    }
    scrape.shows(&[
        r#"metering_total{usage_source="provider",usage_quality="unmapped"} 990"#,
        r#"metering_total{usage_source="none",usage_quality="missing"} 10"#,
        "zero_token_answers_total 10",
    ]);
}

#[test]
fn a_hundred_thousand_tenants_and_twenty_models_stay_under_the_cap() {
    let scrape = Scrape::new();
    let mut event = event();
    event.lines.truncate(1);
    let units: i64 = Unit::ALL
        .iter()
        .filter_map(|u| event.lines[0].units.get(*u))
        .sum();
    for number in 0..100_000 {
        event.tenant = Text::cut(&format!("tenant-{number}"));
        event.route = Some(Text::cut(&format!("model-{}", number % 20)));
        scrape.metrics.observe(&event);
    }
    let text = scrape.text();
    let of = |start: &str| {
        let lines = text.lines().filter(|line| line.starts_with(start));
        let counts = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap());
        counts.collect::<Vec<_>>()
    };
    let tenants = of("tenant_requests_total{");
    assert_eq!(tenants.len(), MAX_TENANTS + 1, "and one for the rest");
    assert_eq!(tenants.iter().sum::<i64>(), 100_000, "nothing is lost");
    assert_eq!(of("units_total{").iter().sum::<i64>(), 100_000 * units);
    assert!(of("units_total{").len() <= 20 * Unit::ALL.len());
    assert!(text.lines().count() < 2_000, "{}", text.lines().count());
}

#[test]
fn a_folded_record_counts_all_that_it_stands_for_and_times_none() {
    let scrape = Scrape::new();
    let mut event = event();
    event.attempts.clear();
    event.lines.clear();
    event.deployment = None;
    event.count = 500;
    event.outcome = Outcome::RefusedAuth;
    event.status = Some(401);
    scrape.metrics.observe(&event);
    scrape.shows(&[r#"answers_total{api="chat",status="4xx"} 500"#]);
    assert!(!scrape.text().contains("request_seconds_count"));
}
