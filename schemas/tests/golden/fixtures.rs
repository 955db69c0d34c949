//! The records whose bytes are in `golden/`. What is expected of them must not live here.

use std::collections::BTreeMap;

use schemas::enums::{CacheKind, CacheStatus, LimitKind, LimitLevel};
use schemas::event::{CacheUse, Capture, LimitHit, Throttle, seal};
use schemas::{
    Admission, Api, Attempt, AuthMethod, Billable, Boot, Capacity, ClockQuality, Durability,
    EventId, Exposure, Heartbeat, Line, Micros, Outcome, ProducerRecord, ProducerState,
    RouteReason, Text, Unit, Units, UsageEvent, UsageQuality, UsageSource, WIRE_VERSION,
};

pub(crate) fn text(value: &str) -> Text {
    Text::new(value).unwrap()
}

pub(crate) fn units(counts: &[(Unit, i64)]) -> Units {
    let mut units = Units::default();
    for (unit, count) in counts {
        units.set(*unit, *count).unwrap();
    }
    units
}

pub(crate) fn boot() -> Boot {
    Boot {
        counter: 7,
        nonce: [0xa5; 8],
    }
}

pub(crate) fn admission() -> Admission {
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

/// One that may make several calls.
pub(crate) fn retried() -> Admission {
    Admission {
        calls: 3,
        ..admission()
    }
}

/// Every optional field filled.
pub(crate) fn full_event() -> UsageEvent {
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

pub(crate) fn full_attempt() -> Attempt {
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
pub(crate) fn bare_event() -> UsageEvent {
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

pub(crate) fn heartbeat() -> Heartbeat {
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

pub(crate) fn producer() -> ProducerRecord {
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

pub(crate) fn declared_lost() -> ProducerRecord {
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

pub(crate) fn sealed(event: &UsageEvent) -> Vec<u8> {
    let mut bytes = event.encode_unsealed();
    seal(&mut bytes, event.producer_seq);
    bytes
}

pub(crate) fn records() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("usage-full", "usage", sealed(&full_event())),
        ("usage-bare", "usage", sealed(&bare_event())),
        ("admission", "admission", admission().encode()),
        ("admission-retried", "admission", retried().encode()),
        ("heartbeat", "heartbeat", heartbeat().encode()),
        ("producer", "producer", producer().encode()),
        ("producer-lost", "producer", declared_lost().encode()),
        ("cut", "cut", schemas::wire::CUT_RECORD.to_vec()),
    ]
}
