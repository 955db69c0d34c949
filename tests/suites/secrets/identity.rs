//! Who pays comes from the verified key alone, and the key goes no further than the gateway.

use std::collections::BTreeSet;

use simulator::Settings;
use tests::{Plan, Rig};

const UPSTREAM: &str = "sk-of-the-gateway";
const CALLS: usize = 1_000;
const APPS: [(&str, &str, &str); 2] = [
    ("acme", "acme-1", "tg-of-acme"),
    ("globex", "globex-1", "tg-of-globex"),
];

fn plan() -> Plan {
    let plan = Plan {
        environment: vec![("TOLLGATE_TEST_UPSTREAM", UPSTREAM.to_owned())],
        simulator: Settings {
            seen_requests: 2 * CALLS,
            default_completion_tokens: 2,
            ..Settings::default()
        },
        ..Plan::default()
    };
    let plan = plan.backend(
        "simulator",
        "{provider}",
        "api_key_env = \"TOLLGATE_TEST_UPSTREAM\"",
        &["gpt-4o"],
    );
    APPS.iter().fold(plan, |plan, (tenant, key, secret)| {
        plan.tenant(tenant, "", &[(key, secret, "")])
    })
}

/// A call that claims to be somebody else's in every way that comes to mind.
fn forged(rig: &Rig, number: usize) -> reqwest::RequestBuilder {
    let (_, _, secret) = APPS[number % 2];
    let (other, other_key, _) = APPS[(number + 1) % 2];
    let request = rig.http().post(rig.url("/v1/chat/completions"));
    let request = if number.is_multiple_of(3) {
        request.header("api-key", secret)
    } else {
        request.bearer_auth(secret)
    };
    let claims = [
        ("x-tollgate-tenant", other),
        ("x-tollgate-project", "reports"),
        ("x-tollgate-key", other_key),
        ("x-tollgate-synthetic", "true"),
        (
            "x-tollgate-event-id",
            "01930000-0000-7000-8000-000000000001",
        ),
        ("x-request-id", "req_forged"),
        ("x-tenant-id", other),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("openai-organization", other),
        ("openai-project", other),
        ("cookie", "tenant=globex"),
        ("x-ms-client-principal-id", other),
        ("accept-encoding", "gzip"),
    ];
    let request = claims.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.json(&serde_json::json!({
        "model": "gpt-4o", "user": other, "stream": number % 2 == 1, "tenant": other,
        "messages": [{"role": "user", "content": "hello"}],
        "metadata": {"tenant": other, "nonce": number.to_string()},
    }))
}

#[tokio::test]
async fn a_thousand_forged_calls_are_their_keys_and_no_key_goes_upstream() {
    let rig = Rig::start(plan()).await;
    let mut ids = BTreeSet::new();
    for number in 0..CALLS {
        let answer = forged(&rig, number).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        ids.insert(
            answer.headers()["x-request-id"]
                .to_str()
                .expect("a text")
                .to_owned(),
        );
        answer.bytes().await.expect("a body");
    }
    assert_eq!(ids.len(), CALLS, "every answer has an id of its own");
    let events = rig.events().await;
    assert_eq!(events.len(), CALLS);
    for (tenant, key, _) in APPS {
        let of_key = events.iter().filter(|event| event["key_id"] == key);
        let of_tenant = of_key.filter(|event| {
            event["tenant"] == tenant && event["project"] == "search" && event["synthetic"] == false
        });
        assert_eq!(of_tenant.count(), CALLS / 2, "{tenant}");
    }
    for event in &events {
        assert!(
            ids.contains(event["request_id"].as_str().expect("a text")),
            "{event}"
        );
        assert_eq!(
            event["labels"],
            serde_json::json!({}),
            "no claim is kept that nobody allowed"
        );
        assert!(event["principal"].is_null(), "{event}");
    }
    upstream_saw_only_ours(&rig, &ids);
}

fn upstream_saw_only_ours(rig: &Rig, ids: &BTreeSet<String>) {
    let allowed = [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-client-request-id",
    ];
    let seen = rig.simulator.seen();
    assert_eq!(seen.len(), CALLS);
    for request in seen {
        for (name, value) in &request.headers {
            assert!(allowed.contains(&name.as_str()), "{name} went upstream");
            assert!(
                !APPS.iter().any(|(_, _, secret)| value.contains(secret)),
                "a key of an app went upstream in {name}"
            );
        }
        let told = request
            .headers
            .iter()
            .find(|(name, _)| name == "x-client-request-id");
        assert!(
            told.is_some_and(|(_, id)| ids.contains(id)),
            "the provider is told our id: {told:?}"
        );
        let credentials: Vec<_> = request
            .headers
            .iter()
            .filter(|(name, _)| name == "authorization")
            .collect();
        assert_eq!(
            credentials,
            [&("authorization".to_owned(), format!("Bearer {UPSTREAM}"))]
        );
        assert!(
            request
                .headers
                .contains(&("accept-encoding".to_owned(), "identity".to_owned()))
        );
    }
}

/// What the app is told is what everybody finds the call by.
#[tokio::test]
async fn one_id_leads_from_the_apps_answer_to_log_table_trail_and_provider() {
    let rig = Rig::start(Plan {
        top: "[log]\nrequests = true\n".to_owned(),
        ..plan()
    })
    .await;
    let call = |secret: &str, body: &str| {
        rig.http()
            .post(rig.url("/v1/chat/completions"))
            .bearer_auth(secret)
            .body(body.to_owned())
            .send()
    };
    let good = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
    let served = call(APPS[0].2, good).await.expect("an answer");
    let refused = call(APPS[0].2, "{}").await.expect("an answer");
    let stranger = call("tg-nobody", good).await.expect("an answer");
    assert_eq!(
        [served.status(), refused.status(), stranger.status()],
        [200, 400, 401]
    );
    let events = rig.events().await;
    for answer in [&served, &refused, &stranger] {
        let id = answer.headers()["x-request-id"].to_str().expect("a text");
        let event = events
            .iter()
            .find(|event| event["request_id"] == id)
            .expect("a record of the call");
        let page = rig.tollgate(&["audit", "query", "--request-id", id, "--format", "json"]);
        let page = String::from_utf8_lossy(&page.stdout).into_owned();
        assert!(
            page.contains(event["event_id"].as_str().expect("an id")),
            "{id}: {page}"
        );
        let lines = rig.log().lines().filter(|line| line.contains(id)).count();
        assert_eq!(lines, 1, "{id}: one line a request");
    }
    let id = served.headers()["x-request-id"]
        .to_str()
        .expect("a text")
        .to_owned();
    let seen = rig.simulator.seen();
    assert!(
        seen[0]
            .headers
            .contains(&("x-client-request-id".to_owned(), id)),
        "{seen:?}"
    );
}
