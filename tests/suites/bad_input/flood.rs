//! A flood of strangers: every refusal is counted, few are written, and whoever has a key is served.

use std::net::{IpAddr, Ipv4Addr};

use tests::{Plan, Rig};

const A_SECOND: u32 = 5;
const CALLS: usize = 1_500;

fn plan() -> Plan {
    let plan = Plan {
        gateway: format!("stranger_records_per_second = {A_SECOND}"),
        ..Plan::default()
    };
    plan.simulated(&["gpt-4o"])
        .tenant("acme", "", &[("acme-1", "tg-known", "")])
}

/// Strangers from an address of their own; each third has no key at all.
async fn strangers(url: &str, from: Ipv4Addr) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .local_address(IpAddr::V4(from))
        .build()
        .expect("a client");
    for number in 0..CALLS {
        let request = client.post(url).body("{}");
        let request = if number % 3 == 0 {
            request
        } else {
            request.bearer_auth(format!("tg-guess-{number}"))
        };
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 401);
    }
}

async fn known(url: &str) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let body = serde_json::json!({"model": "gpt-4o", "max_tokens": 3, "messages": [{"role": "user", "content": "hello"}]});
    for _ in 0..50 {
        let answer = client
            .post(url)
            .bearer_auth("tg-known")
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_is_folded_and_its_counts_are_the_calls() {
    let rig = Rig::start(plan()).await;
    let url = rig.url("/v1/chat/completions");
    tokio::join!(
        strangers(&url, Ipv4Addr::new(127, 0, 0, 2)),
        strangers(&url, Ipv4Addr::new(127, 0, 0, 3)),
        known(&url)
    );
    let total = i64::try_from(2 * CALLS).expect("a small number");
    let events = tests::eventually("every refusal is counted", async || {
        let events = rig.events().await;
        let counted: i64 = events
            .iter()
            .filter(|event| event["outcome"] == "refused_auth")
            .filter_map(|event| event["count"].as_i64())
            .sum();
        assert!(counted <= total, "{counted} are counted of {total}");
        (counted == total).then_some(events)
    })
    .await;
    let refusals: Vec<_> = events
        .iter()
        .filter(|event| event["outcome"] == "refused_auth")
        .collect();
    assert!(
        refusals.len() < 2 * CALLS / 2,
        "{} records for {total} calls are not folded",
        refusals.len()
    );
    for (code, share) in [
        ("missing_api_key", total / 3),
        ("invalid_api_key", total - total / 3),
    ] {
        let of_code = refusals
            .iter()
            .filter(|event| event["outcome_detail"] == code);
        assert_eq!(
            of_code
                .filter_map(|event| event["count"].as_i64())
                .sum::<i64>(),
            share,
            "{code}"
        );
    }
    let served = events
        .iter()
        .filter(|event| event["outcome"] == "completed" && event["tenant"] == "acme");
    assert_eq!(
        served.count(),
        50,
        "whoever has a key is served and counted one by one"
    );
    let report = rig.tollgate(&["report", "chargeback", "--by", "tenant", "--format", "json"]);
    let report: serde_json::Value =
        serde_json::from_slice(&report.stdout).expect("a report is JSON");
    assert_eq!(report["totals"]["refused_requests"], total, "{report}");
    assert_eq!(report["totals"]["charged_requests"], 50, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_stranger_does_wrongly_is_folded() {
    let rig = Rig::start(plan()).await;
    let total = i64::try_from(CALLS).expect("a small number");
    // Refused before anybody looks for a key.
    let url = rig.url("/v1/chat/completions?api-version=1&api-version=2");
    for _call in 0..CALLS {
        let answer = rig.http().post(&url).body("{}").send().await;
        assert_eq!(answer.expect("an answer").status(), 400);
    }
    let events = tests::eventually("every refusal is counted", async || {
        let events = rig.events().await;
        let counts = events.iter().filter_map(|event| event["count"].as_i64());
        (counts.sum::<i64>() == total).then_some(events)
    })
    .await;
    let reasons = |event: &serde_json::Value| event["outcome_detail"] == "invalid_api_version";
    assert!(events.iter().all(reasons));
    assert!(
        events.len() < CALLS / 2,
        "{} records for {total} calls are not folded",
        events.len()
    );
}
