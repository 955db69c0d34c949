//! By which names and paths an endpoint is found.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::Rig;

use super::plan::{
    ALIAS, ENDPOINTS, JSON, LIMITED, PUBLIC, SECRET, body, call, events_by_id, id, start,
};

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
