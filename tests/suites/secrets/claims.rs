//! What an app says of itself is kept only where its tenant allows it: as it stands, or as a pseudonym whose key lies
//! outside every log.

use serde_json::Value;
use simulator::Settings;
use tests::{Plan, Rig};

const CLAIM: &str = "ticket-4711-of-jane";

async fn call(rig: &Rig, secret: &str, claim: &str) -> String {
    let request = rig
        .http()
        .post(rig.url("/v1/chat/completions"))
        .bearer_auth(secret);
    let request = request
        .header("x-client-request-id", claim)
        .header("x-team", "blue");
    let body = serde_json::json!({"model": "gpt-4o", "max_tokens": 2, "messages": [{"role": "user", "content": "hello"}]});
    let answer = request.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.headers()["x-request-id"]
        .to_str()
        .expect("a text")
        .to_owned()
}

fn labels<'a>(events: &'a [Value], id: &str) -> &'a Value {
    let event = events.iter().find(|event| event["request_id"] == id);
    &event.expect("a record of the call")["labels"]
}

#[tokio::test]
async fn a_claim_is_kept_plain_or_as_a_pseudonym_or_not_at_all() {
    let label = |plain: bool| {
        format!(
            "{{ name = \"client_request_id\", header = \"x-client-request-id\", plain = {plain} }}"
        )
    };
    let plan = Plan {
        simulator: Settings {
            seen_requests: 100,
            ..Settings::default()
        },
        ..Plan::default()
    };
    let plan = plan
        .simulated(&["gpt-4o"])
        .tenant("plain", &label(true), &[("k1", "tg-plain", "")])
        .tenant("hidden", &label(false), &[("k2", "tg-hidden", "")])
        .tenant("other", &label(false), &[("k3", "tg-other", "")])
        .tenant("silent", "", &[("k4", "tg-silent", "")]);
    let rig = Rig::start(plan).await;
    let kept = call(&rig, "tg-plain", CLAIM).await;
    let hidden = [
        call(&rig, "tg-hidden", CLAIM).await,
        call(&rig, "tg-hidden", CLAIM).await,
        call(&rig, "tg-hidden", "another").await,
    ];
    let other = call(&rig, "tg-other", CLAIM).await;
    let silent = call(&rig, "tg-silent", CLAIM).await;
    let events = rig.events().await;
    assert_eq!(
        labels(&events, &kept),
        &serde_json::json!({"client_request_id": CLAIM})
    );
    assert_eq!(labels(&events, &silent), &serde_json::json!({}));
    let pseudonym = |id: &str| {
        labels(&events, id)["client_request_id"]
            .as_str()
            .expect("a label")
            .to_owned()
    };
    let [first, again, another] = hidden.each_ref().map(|id| pseudonym(id));
    assert_eq!(first, again, "one claim is one pseudonym");
    assert_ne!(first, another);
    assert_ne!(first, pseudonym(&other), "tenants share no pseudonyms");
    assert!(
        first.len() == 32 && first.chars().all(|c| c.is_ascii_hexdigit()),
        "{first}"
    );
    let journal = String::from_utf8_lossy(&rig.journal_bytes()).into_owned();
    assert_eq!(
        journal.matches(CLAIM).count(),
        2,
        "admission and record of the tenant that allows it, and nobody else's"
    );
    let seen = rig.simulator.seen();
    let told = seen
        .iter()
        .flat_map(|request| &request.headers)
        .filter(|(name, value)| name == "x-client-request-id" && value == CLAIM);
    assert_eq!(
        told.count(),
        5,
        "the provider is told the app's own id as it stands"
    );
    assert!(
        seen.iter()
            .flat_map(|request| &request.headers)
            .all(|(name, _)| name != "x-team")
    );
}

#[tokio::test]
async fn the_key_of_a_pseudonym_is_a_private_file_and_without_it_nothing_leads_back() {
    use std::os::unix::fs::PermissionsExt as _;
    let label = "{ name = \"who\", header = \"x-client-request-id\" }";
    let plan =
        Plan::default()
            .simulated(&["gpt-4o"])
            .tenant("hidden", label, &[("k", "tg-hidden", "")]);
    let rig = Rig::start(plan).await;
    let id = call(&rig, "tg-hidden", CLAIM).await;
    let events = rig.events().await;
    let pseudonym = labels(&events, &id)["who"]
        .as_str()
        .expect("a label")
        .to_owned();
    let mut keys = Vec::new();
    let mut folders = vec![rig.data_dir().join("secrets")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("a folder of secrets")
            .flatten()
        {
            let path = entry.path();
            let mode = std::fs::metadata(&path)
                .expect("a file has a mode")
                .permissions()
                .mode()
                & 0o777;
            assert_eq!(
                mode,
                if path.is_dir() { 0o700 } else { 0o600 },
                "{}",
                path.display()
            );
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "key") {
                keys.push(std::fs::read(path).expect("a key can be read"));
            }
        }
    }
    let [key] = &keys[..] else {
        panic!("one tenant and month have one key, not {}", keys.len())
    };
    assert_eq!(key.len(), 32);
    let journal = rig.journal_bytes();
    let stands = |needle: &[u8]| journal.windows(needle.len()).any(|window| window == needle);
    assert!(
        stands(pseudonym.as_bytes()),
        "the pseudonym is what is written down"
    );
    assert!(
        !stands(key) && !stands(hex::encode(key).as_bytes()),
        "the key lies outside every log"
    );
    let bare = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(CLAIM));
    assert!(
        !bare.starts_with(&pseudonym) && !stands(bare.as_bytes()),
        "no bare hash of what can be guessed"
    );
}

#[tokio::test]
async fn thirty_two_labels_reach_table_report_and_trail_and_no_thirty_third_is_allowed() {
    let label = |number: usize| {
        format!("{{ name = \"l{number}\", header = \"x-label-{number}\", plain = true }}")
    };
    let labels = |count: usize| (0..count).map(label).collect::<Vec<_>>().join(", ");
    let plan = Plan::default().simulated(&["gpt-4o"]).tenant(
        "acme",
        &labels(32),
        &[("k", "tg-labels", "")],
    );
    let rig = Rig::start(plan).await;
    let request = rig
        .http()
        .post(rig.url("/v1/chat/completions"))
        .bearer_auth("tg-labels");
    let request = (0..32).fold(request, |request, number| {
        request.header(format!("x-label-{number}"), format!("value {number}"))
    });
    let body = serde_json::json!({"model": "gpt-4o", "max_tokens": 2, "messages": [{"role": "user", "content": "hello"}]});
    let answer = request.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let events = rig.events().await;
    let [event] = &events[..] else {
        panic!("one call is one record")
    };
    let kept = event["labels"].as_object().expect("a map of labels");
    let wanted =
        (0..32).map(|number| (format!("l{number}"), Value::from(format!("value {number}"))));
    assert_eq!(*kept, wanted.collect::<serde_json::Map<_, _>>());
    let report = rig.tollgate(&[
        "report",
        "chargeback",
        "--by",
        "label:l0,label:l31",
        "--format",
        "json",
    ]);
    let report: Value = serde_json::from_slice(&report.stdout).expect("a report is JSON");
    assert_eq!(
        report["rows"][0]["columns"],
        serde_json::json!(["value 0", "value 31"])
    );
    let page = rig.tollgate(&[
        "audit",
        "query",
        "--label",
        "l31=value 31",
        "--format",
        "json",
    ]);
    assert!(
        String::from_utf8_lossy(&page.stdout)
            .contains(event["request_id"].as_str().expect("a text"))
    );
    let text = std::fs::read_to_string(rig.config()).expect("a configuration can be read");
    let many = rig.config().with_file_name("many.toml");
    std::fs::write(&many, text.replace(&labels(32), &labels(33))).expect("a file can be written");
    let ended = tests::command::run(&["up"], &many).await;
    assert_eq!(ended.unlike(2, &["many.toml:", "32"]), None);
}
