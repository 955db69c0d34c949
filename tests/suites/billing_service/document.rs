//! `docs/api.md`: every endpoint has a call there, and every call there works. `/openapi.json`: it is what it says.

use std::collections::BTreeSet;

use billing::api::{ENDPOINTS, document};
use serde_json::Value;

use crate::stand::{FINANCE, Stand};

/// Where the document's service is.
const DOCUMENTED: &str = "http://127.0.0.1:8085";

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_has_a_call_in_the_document_and_each_works() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
    let document = std::fs::read_to_string(document).expect("a document");
    let calls: Vec<&str> = document
        .lines()
        .filter(|line| line.trim_start().starts_with("curl "))
        .filter_map(|line| line.split(DOCUMENTED).nth(1))
        .map(|rest| rest.split(['\'', ' ']).next().unwrap_or(rest))
        .collect();
    let stand = Stand::start().await;
    let mut seen = BTreeSet::new();
    for path in &calls {
        let answer = stand.api.get(FINANCE, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        seen.insert(path.split('?').next().unwrap_or(path).to_owned());
    }
    let wanted: BTreeSet<String> = ENDPOINTS.iter().map(|e| e.path.to_owned()).collect();
    assert_eq!(seen, wanted, "the document's calls");
    let metrics = stand.stack.metric("billing_running").await;
    assert_eq!(metrics, Some(0), "the gateway's operators see it too");
}

#[test]
fn the_description_satisfies_the_schema_of_openapi() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/schema.yaml");
    let schema = std::fs::read_to_string(schema).expect("a schema");
    let schema: Value = serde_saphyr::from_str(&schema).expect("YAML");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let described = document();
    let errors = validator.iter_errors(&described);
    let errors: Vec<String> = errors
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert_eq!(errors, [""; 0]);
    let mut wrong = described;
    wrong["paths"]["/v1/audit"]["get"]["parameters"][0]["in"] = "nowhere".into();
    assert!(!validator.is_valid(&wrong), "the schema tells a wrong one");
}
