//! `/openapi.json` says what the service does: every path and parameter of it, and every answer is of the form it names.

use billing::api::{Access, ENDPOINTS, document};
use serde_json::{Value, json};

use super::door::Door;
use crate::common::{Ledger, event};

/// The schema of an answer, with what it refers to.
fn validator(operation: &Value, status: &str, media: &str) -> jsonschema::Validator {
    let document = document();
    let mut response = operation["responses"][status].clone();
    if let Some(name) = response["$ref"].as_str() {
        let at = name.trim_start_matches('#');
        response = document
            .pointer(at)
            .expect("a reference leads somewhere")
            .clone();
    }
    let mut schema = response["content"][media]["schema"].clone();
    schema["components"] = document["components"].clone();
    jsonschema::validator_for(&schema).expect("a schema")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_the_service() {
    let ledger = Ledger::start().await;
    ledger
        .write(0, &[event(1, &[("m", r#"{"input_text":1}"#)])])
        .await;
    let door = Door::open(ledger.reader(), "");
    let served = door.get("", "/openapi.json").await.good().json();
    assert_eq!(served, document());
    let paths = served["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), ENDPOINTS.len());
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in paths {
        let operation = &item["get"];
        assert!(ids.insert(operation["operationId"].as_str().expect("an id").to_owned()));
        let parameters = operation["parameters"].as_array().expect("parameters");
        let required = parameters
            .iter()
            .filter(|parameter| parameter["required"] == true);
        let required: Vec<_> = required.map(pair).collect();
        // Each example works, and each parameter that is left out has what is said to hold.
        for parameter in parameters {
            let mut pairs = required.clone();
            pairs.push(pair(parameter));
            pairs.dedup();
            let url = format!("{path}?{}", pairs.join("&"));
            door.get("all", &url).await.good();
        }
        let wrong = door.get("all", &format!("{path}?nonsense=1")).await;
        assert_eq!(wrong.error().0, 400, "{path}");
        let error = validator(operation, "400", "application/json");
        assert!(error.is_valid(&wrong.json()), "{path}");
        assert!(
            !error.is_valid(&json!({"error": "text"})),
            "the schema tells a wrong one"
        );
        let has_json = operation["responses"]["200"]["content"]["application/json"].is_object();
        if has_json {
            let answer = door.get("all", path).await.good().json();
            let good = validator(operation, "200", "application/json");
            let errors: Vec<_> = good
                .iter_errors(&answer)
                .map(|error| error.to_string())
                .collect();
            assert_eq!(errors, [""; 0], "{path}");
        }
        let headers = operation["responses"]["200"]["headers"]
            .as_object()
            .expect("headers");
        let url = format!("{path}?{}", required.join("&"));
        let answer = door.get("all", &url).await.good();
        for name in headers.keys().filter(|name| *name != "link") {
            assert!(!answer.header(name).is_empty(), "{path} has no {name}");
        }
        let media = operation["responses"]["200"]["content"]
            .as_object()
            .expect("media types");
        assert!(media.contains_key(answer.header("content-type")), "{path}");
        let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(door.get("", &url).await.status == 200, is_open, "{path}");
    }
    let open = ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.access == Access::Anybody);
    assert_eq!(open.count(), 2);
}

/// `name=example` for a URL.
fn pair(parameter: &Value) -> String {
    let example = match &parameter["example"] {
        Value::Array(list) => &list[0],
        other => other,
    };
    let text = example
        .as_str()
        .map_or_else(|| example.to_string(), str::to_owned);
    let text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
    format!("{}={text}", parameter["name"].as_str().expect("a name"))
}
