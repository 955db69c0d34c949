//! Golden bytes and JSON Schemas of every record: what has been written must be readable for ever, and what the schema
//! says must be what the code does.
//!
//! `UPDATE_GOLDEN=1 cargo test -p schemas` writes the files anew; a change of a golden file is a change of the wire.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a failure is a failed test"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemas::decode::{Decoded, decode};
use schemas::enums::{CacheKind, CacheStatus, LimitKind, LimitLevel};
use schemas::event::{CacheUse, Capture, LimitHit, Throttle, seal};
use schemas::name::Text;
use schemas::{
    Admission, Api, Attempt, AuthMethod, Billable, Boot, Capacity, ClockQuality, Durability,
    EventId, Exposure, Heartbeat, Line, Micros, Outcome, ProducerKind, ProducerRecord, ProducerRow,
    ProducerState, RecordKind, RouteReason, Unit, Units, UsageEvent, UsageQuality, UsageSource,
    WIRE_VERSION,
};
use serde_json::Value;

fn text(value: &str) -> Text {
    Text::new(value).unwrap()
}

fn units(counts: &[(Unit, i64)]) -> Units {
    let mut units = Units::default();
    for (unit, count) in counts {
        units.set(*unit, *count).unwrap();
    }
    units
}

fn boot() -> Boot {
    Boot {
        counter: 7,
        nonce: [0xa5; 8],
    }
}

fn admission() -> Admission {
    let received_us = Micros(1_795_615_674_722_132);
    let event_id = EventId::mint(received_us, [7; 10]);
    Admission {
        wire: text(WIRE_VERSION),
        event_id,
        request_id: text("req_01a21308d162789db5e41eb93bf0616d"),
        tenant: text("acme"),
        project: text("search"),
        key_id: text("acme-search-1"),
        principal: Some(text("p-0123")),
        auth_method: AuthMethod::Key,
        conversation: Some(text("c-4567")),
        labels: BTreeMap::from([(text("client_request_id"), text("n-1"))]),
        api: Api::Chat,
        stream: true,
        model_requested: text("chat-default"),
        route: text("gpt-4o-mini"),
        deployment: text("east"),
        provider: text("openai"),
        region: Some(text("eastus")),
        data_zone: Some(text("us")),
        capacity: Capacity::Paygo,
        priced_as: Some(text("gpt-4o-mini")),
        route_reason: RouteReason::Primary,
        received_us,
        admitted_us: Micros(1_795_615_674_722_300),
        request_bytes: 152,
        estimated_units: units(&[(Unit::InputText, 76), (Unit::OutputText, 64)]),
        calls: 1,
        scopes: vec![text("tenant/acme/tpm")],
        leases: text("l-1"),
        policies: text("p-1"),
        price_version: Some(text("fdfd1692056a")),
        config_digest: text("c72bebb2997e"),
        durability: Durability::Synced,
        synthetic: false,
    }
}

/// Every optional field filled.
fn full_event() -> UsageEvent {
    let open = admission().open_event(&text("gw-7017d135"), boot());
    let used = units(&[
        (Unit::InputText, 90),
        (Unit::InputCached, 910),
        (Unit::OutputText, 0),
    ]);
    let line = |model: &str, units: Units| Line {
        model: text(model),
        service_tier: Some(text("default")),
        speed: Some(text("standard")),
        geography: Some(text("us")),
        units,
    };
    UsageEvent {
        model_served: Some(text("gpt-4o-mini-2024-07-18")),
        priced_as: Some(text("gpt-4o-mini-2024-07-18")),
        service_tier: Some(text("default")),
        first_byte_us: Some(Micros(1_795_615_674_800_000)),
        completed_us: Micros(1_795_615_674_900_000),
        upstream_us: Some(177_000),
        gateway_us: Some(868),
        clock_quality: ClockQuality::Skewed,
        lines: vec![
            line("gpt-4o-mini-2024-07-18", used),
            line("search", units(&[(Unit::WebSearchCalls, 2)])),
        ],
        usage_source: UsageSource::Provider,
        usage_quality: UsageQuality::Unmapped,
        usage_raw: Some(r#"{"prompt_tokens":1000}"#.into()),
        provider_cost: Some(text("0.0001")),
        provider_cost_currency: Some(text("USD")),
        billable: Billable::Yes,
        outcome: Outcome::Completed,
        outcome_detail: Some(text("stream_answered_with_json")),
        status: Some(200),
        finish_reason: Some(text("stop")),
        limit_hit: Some(LimitHit {
            level: LimitLevel::Tenant,
            kind: LimitKind::Tokens,
            id: text("tpm"),
        }),
        attempts: vec![full_attempt()],
        cache: Some(CacheUse {
            status: CacheStatus::Hit,
            kind: CacheKind::Exact,
            saved_units: Units::default(),
        }),
        response_bytes: 2_048,
        capture: Some(Capture {
            prompt_ref: Some(text("r-1")),
            answer_ref: None,
        }),
        producer_seq: 41,
        ..open
    }
}

fn full_attempt() -> Attempt {
    Attempt {
        deployment: text("east"),
        provider: Some(text("openai")),
        capacity: Some(Capacity::Paygo),
        priced_as: Some(text("gpt-4o-mini-2024-07-18")),
        started_us: Micros(1_795_615_674_722_400),
        first_byte_us: Some(Micros(1_795_615_674_799_000)),
        ended_us: Micros(1_795_615_674_899_000),
        status: Some(200),
        outcome: Outcome::Completed,
        billable: Some(Billable::Yes),
        units: Some(units(&[(Unit::InputText, 1)])),
        provider_request_id: Some(text("req_up")),
        throttle: Some(Throttle {
            remaining: Some(9),
            reset_us: Some(1_000),
        }),
    }
}

/// Nothing known but what admission knew.
fn bare_event() -> UsageEvent {
    let bare = Admission {
        principal: None,
        conversation: None,
        region: None,
        data_zone: None,
        priced_as: None,
        leases: Text::default(),
        policies: Text::default(),
        ..admission()
    };
    bare.open_event(&text("gw-7017d135"), boot())
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        wire: text(WIRE_VERSION),
        producer: text("gw-7017d135"),
        boot: boot(),
        last_producer_seq: None,
        admitted: 3,
        settled: 2,
        open: 1,
        oldest_open_us: Some(Micros(1_795_615_674_722_132)),
        reserved_bytes: 16_384,
        reserved_units: units(&[(Unit::InputText, 76), (Unit::OutputText, 64)]),
        synced_position: 12,
        control_position: None,
        clock_us: Micros(1_795_615_675_000_000),
    }
}

fn producer() -> ProducerRecord {
    ProducerRecord {
        wire: text(WIRE_VERSION),
        producer: text("gw-7017d135"),
        boot: boot(),
        state: ProducerState::Closed,
        last_producer_seq: Some(41),
        admitted: Some(40),
        settled: Some(38),
        open: Some(2),
        synced_position: Some(12),
        clock_us: Micros(1_795_615_675_000_000),
        by: None,
        why: None,
        exposure: None,
    }
}

fn declared_lost() -> ProducerRecord {
    ProducerRecord {
        state: ProducerState::DeclaredLost,
        admitted: None,
        settled: None,
        open: None,
        by: Some(text("ada")),
        why: Some(text("the machine burnt down")),
        exposure: Some(Exposure {
            missing: 2,
            open: 1,
            reserved_units: units(&[(Unit::InputText, 76), (Unit::OutputText, 64)]),
            known_until_us: Some(Micros(1_795_615_674_000_000)),
        }),
        ..producer()
    }
}

fn sealed(event: &UsageEvent) -> Vec<u8> {
    let mut bytes = event.encode_unsealed();
    seal(&mut bytes, event.producer_seq);
    bytes
}

fn records() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("usage-full", "usage", sealed(&full_event())),
        ("usage-bare", "usage", sealed(&bare_event())),
        ("admission", "admission", admission().encode()),
        ("heartbeat", "heartbeat", heartbeat().encode()),
        ("producer", "producer", producer().encode()),
        ("producer-lost", "producer", declared_lost().encode()),
        ("cut", "cut", schemas::wire::CUT_RECORD.to_vec()),
    ]
}

fn path(dir: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(dir)
        .join(name)
}

/// Compares with the file, or writes it when asked to.
fn same_as_file(path: &PathBuf, bytes: &[u8]) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let kept = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(
        String::from_utf8_lossy(&kept),
        String::from_utf8_lossy(bytes),
        "{} differs from what the code writes",
        path.display()
    );
}

#[test]
fn every_record_is_written_byte_for_byte_as_before() {
    for (name, _, bytes) in records() {
        same_as_file(
            &path("golden", &format!("{name}.{WIRE_VERSION}.json")),
            &bytes,
        );
    }
}

#[test]
fn golden_usage_events_are_read_as_what_was_written() {
    for (name, event) in [("usage-full", full_event()), ("usage-bare", bare_event())] {
        let bytes = std::fs::read(path("golden", &format!("{name}.{WIRE_VERSION}.json"))).unwrap();
        assert_eq!(
            decode(RecordKind::Usage, &bytes),
            Decoded::Event(Box::new(event)),
            "{name}"
        );
    }
}

/// The files of the first draft are those that it wrote.
#[test]
fn records_of_the_first_draft_are_read_with_what_they_lack_left_open() {
    let old = |name: &str| {
        std::fs::read(path("golden", &format!("{name}.{WIRE_VERSION}-0.json"))).unwrap()
    };
    let mut full = full_event();
    full.priced_as = None;
    for attempt in &mut full.attempts {
        (attempt.provider, attempt.capacity) = (None, None);
        (attempt.priced_as, attempt.billable) = (None, None);
    }
    for (name, event) in [("usage-full", full), ("usage-bare", bare_event())] {
        let read = decode(RecordKind::Usage, &old(name));
        assert_eq!(read, Decoded::Event(Box::new(event)), "{name}");
    }
    let admitted = Admission {
        priced_as: None,
        scopes: Vec::new(),
        leases: Text::default(),
        policies: Text::default(),
        ..admission()
    };
    assert_eq!(Admission::decode(&old("admission")).unwrap(), admitted);
}

/// A label may have any name.
#[test]
fn labels_of_the_first_draft_are_no_fields() {
    let named = r#"{"deployment":"blue","priced_as":"x"}"#;
    let labels = BTreeMap::from([
        (text("deployment"), text("blue")),
        (text("priced_as"), text("x")),
    ]);
    let old = |name: &str| {
        let file = path("golden", &format!("{name}.{WIRE_VERSION}-0.json"));
        let old = std::fs::read_to_string(file).unwrap();
        let labelled = old.replace(r#"{"client_request_id":"n-1"}"#, named);
        assert_ne!(old, labelled);
        labelled.into_bytes()
    };
    let Decoded::Event(event) = decode(RecordKind::Usage, &old("usage-full")) else {
        panic!("an event");
    };
    assert_eq!((event.labels, event.priced_as), (labels.clone(), None));
    assert_eq!(Admission::decode(&old("admission")).unwrap().labels, labels);
}

#[test]
fn an_admission_is_read_as_it_was_written() {
    let read = Admission::decode(&admission().encode()).unwrap();
    assert_eq!(read, admission());
}

#[test]
fn golden_lives_are_read_as_what_was_written() {
    let read =
        |name: &str| std::fs::read(path("golden", &format!("{name}.{WIRE_VERSION}.json"))).unwrap();
    assert_eq!(
        serde_json::from_slice::<Heartbeat>(&read("heartbeat")).unwrap(),
        heartbeat()
    );
    for (name, record) in [("producer", producer()), ("producer-lost", declared_lost())] {
        assert_eq!(ProducerRecord::decode(&read(name)).unwrap(), record);
    }
}

#[test]
fn golden_lives_have_the_rows_that_they_say() {
    let row = |kind, name: &str| {
        let bytes = std::fs::read(path("golden", &format!("{name}.{WIRE_VERSION}.json"))).unwrap();
        let row = ProducerRow::of(kind, &bytes).unwrap();
        assert_eq!(row.bytes.0, bytes);
        row
    };
    let beat = row(RecordKind::Heartbeat, "heartbeat");
    assert_eq!(beat.kind(), Some(ProducerKind::Heartbeat));
    assert_eq!(
        (beat.producer.as_str(), beat.boot.as_str()),
        ("gw-7017d135", "7-a5a5a5a5a5a5a5a5")
    );
    assert_eq!(beat.last_producer_seq, None);
    assert_eq!(
        (beat.admitted, beat.settled, beat.open),
        (Some(3), Some(2), Some(1))
    );
    assert_eq!(beat.synced_position, Some(12));
    let lost = row(RecordKind::Producer, "producer-lost");
    assert_eq!(lost.kind(), Some(ProducerKind::DeclaredLost));
    assert_eq!((lost.admitted, lost.last_producer_seq), (None, Some(41)));
    assert_eq!(
        (lost.by_whom.as_str(), lost.why.as_str()),
        ("ada", "the machine burnt down")
    );
    assert_eq!(
        (lost.exposure_missing, lost.exposure_open),
        (Some(2), Some(1))
    );
    assert_eq!(lost.reserved_units, beat.reserved_units);
    let closed = row(RecordKind::Producer, "producer");
    assert_eq!(closed.kind(), Some(ProducerKind::Closed));
    assert_eq!((closed.by_whom.as_str(), closed.exposure_open), ("", None));
}

#[test]
fn a_sealed_record_is_the_record_as_serde_writes_it() {
    let event = full_event();
    assert_eq!(sealed(&event), serde_json::to_vec(&event).unwrap());
}

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
            &path("json", &format!("{name}.{WIRE_VERSION}.schema.json")),
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
        for field in record.as_object().unwrap().keys() {
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
