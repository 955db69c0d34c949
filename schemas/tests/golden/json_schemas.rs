//! What the JSON Schemas in `json/` say is what the code does.

use std::collections::BTreeMap;

use schemas::decode::{Decoded, decode};
use schemas::{Admission, Heartbeat, ProducerRecord, RecordKind, UsageEvent, WIRE_VERSION};
use serde_json::Value;

use crate::files::same_as_file;
use crate::fixtures::{full_event, records, sealed};

fn schemas() -> Vec<(&'static str, Value)> {
    let schema = |schema: schemars::Schema| serde_json::to_value(schema).unwrap();
    vec![
        ("usage", schema(schemars::schema_for!(UsageEvent))),
        ("admission", schema(schemars::schema_for!(Admission))),
        ("heartbeat", schema(schemars::schema_for!(Heartbeat))),
        ("producer", schema(schemars::schema_for!(ProducerRecord))),
    ]
}

#[test]
fn json_schemas_in_the_tree_are_those_of_the_code() {
    for (name, schema) in schemas() {
        let mut pretty = serde_json::to_string_pretty(&schema).unwrap();
        pretty.push('\n');
        same_as_file(
            &format!("json/{name}.{WIRE_VERSION}.schema.json"),
            pretty.as_bytes(),
        );
    }
}

#[test]
fn golden_records_satisfy_their_schemas_and_changed_ones_do_not() {
    let schemas: BTreeMap<_, _> = schemas().into_iter().collect();
    for (name, kind, bytes) in records() {
        let Some(schema) = schemas.get(kind) else {
            continue;
        };
        let validator = jsonschema::validator_for(schema).unwrap();
        let record: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(
            validator.is_valid(&record),
            "{name}: {:?}",
            validator.iter_errors(&record).next()
        );
        let fields = record.as_object().unwrap().keys();
        // One call is not said.
        for field in fields.filter(|field| *field != "calls") {
            let mut without = record.clone();
            without.as_object_mut().unwrap().remove(field);
            assert!(
                !validator.is_valid(&without),
                "{name}: the schema does not miss `{field}`"
            );
        }
        let mut more = record.clone();
        more["surplus"] = Value::from(1);
        assert!(
            !validator.is_valid(&more),
            "{name}: the schema takes an unknown field"
        );
    }
}

/// No field has a default: a record that lacks one, or has one more, is a dead letter.
#[test]
fn a_usage_event_without_any_one_field_is_a_dead_letter() {
    let record: Value = serde_json::from_slice(&sealed(&full_event())).unwrap();
    for field in record.as_object().unwrap().keys() {
        let mut fields = record.as_object().unwrap().clone();
        fields.remove(field);
        fields.insert("surplus".into(), Value::from(1));
        let mut without_surplus = fields.clone();
        without_surplus.remove("surplus");
        for changed in [fields, without_surplus] {
            // `wire` stands first on the wire.
            let rest = serde_json::to_string(&changed).unwrap();
            let bytes = match changed.get("wire") {
                Some(wire) => {
                    let mut others = changed.clone();
                    others.remove("wire");
                    let others = serde_json::to_string(&others).unwrap();
                    format!("{{\"wire\":{wire},{}", &others[1..])
                }
                None => rest,
            };
            let decoded = decode(RecordKind::Usage, bytes.as_bytes());
            assert!(
                matches!(decoded, Decoded::DeadLetter(_)),
                "without {field}: {decoded:?}"
            );
        }
    }
}
