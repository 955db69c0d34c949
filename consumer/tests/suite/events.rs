//! Usage events with every field filled, each different by its number.

use std::collections::BTreeMap;

use schemas::enums::{CacheKind, CacheStatus, LimitKind, LimitLevel};
use schemas::event::{CacheUse, seal};
use schemas::{
    Api, Attempt, AuthMethod, Billable, Boot, Capacity, ClockQuality, Durability, EventId,
    Heartbeat, LimitHit, Line, Micros, Outcome, ProducerRecord, ProducerState, RouteReason, Text,
    Unit, Units, UsageEvent, UsageQuality, UsageSource, WIRE_VERSION,
};

/// 2026-11-15T12:00:00Z
pub(crate) const MID_NOVEMBER_US: i64 = 1_794_744_000_000_000;
/// 2026-12-01T00:00:00Z
pub(crate) const DECEMBER_US: i64 = 1_796_083_200_000_000;

pub(crate) fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what a field that may be null takes"
)]
pub(crate) fn some(value: &str) -> Option<Text> {
    Some(text(value))
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
        counter: 1,
        nonce: [7; 8],
    }
}

pub(crate) fn id(number: u64) -> EventId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    EventId::mint(Micros(MID_NOVEMBER_US), random)
}

fn line(model: &str, units: Units) -> Line {
    Line {
        model: text(model),
        service_tier: some("default"),
        speed: some("fast"),
        geography: some("eu"),
        units,
    }
}

fn attempt(deployment: &str, outcome: Outcome) -> Attempt {
    Attempt {
        deployment: text(deployment),
        provider: some("azure"),
        capacity: Some(Capacity::Ptu),
        priced_as: some("gpt-5"),
        started_us: Micros(MID_NOVEMBER_US),
        first_byte_us: None,
        ended_us: Micros(MID_NOVEMBER_US + 5),
        status: Some(503),
        outcome,
        billable: Some(if outcome == Outcome::Completed {
            Billable::Yes
        } else {
            Billable::Unclear
        }),
        units: None,
        provider_request_id: some("req-é"),
        throttle: None,
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one line a field reads better than parts"
)]
/// The event of a number: tenant and units depend on it.
pub(crate) fn event(number: u64) -> UsageEvent {
    let signed = i64::try_from(number).unwrap();
    UsageEvent {
        wire: text(WIRE_VERSION),
        event_id: id(number),
        request_id: text(&format!("request-{number}")),
        producer: text("gw-1"),
        boot: boot(),
        tenant: text(["acme", "globex", "initech"][usize::try_from(number % 3).unwrap()]),
        project: text("search"),
        key_id: text("key-1"),
        principal: some("p-0011"),
        auth_method: AuthMethod::Key,
        conversation: some("c-0022"),
        labels: BTreeMap::from([
            (text("team"), text("a\u{1F600}")),
            (text("app"), text("b\n\n")),
        ]),
        api: Api::Chat,
        stream: true,
        model_requested: text("gpt-5"),
        model_served: some("gpt-5-2026-01-01"),
        priced_as: some("gpt-5"),
        route: some("main"),
        deployment: some("eu-1"),
        provider: some("azure"),
        region: some("westeurope"),
        data_zone: some("eu"),
        capacity: Some(Capacity::Ptu),
        service_tier: some("default"),
        route_reason: Some(RouteReason::Spill),
        received_us: Micros(MID_NOVEMBER_US + signed),
        admitted_us: Micros(MID_NOVEMBER_US + signed + 10),
        first_byte_us: Some(Micros(MID_NOVEMBER_US + signed + 20)),
        completed_us: Micros(MID_NOVEMBER_US + signed + 30),
        upstream_us: Some(17),
        gateway_us: Some(3),
        clock_quality: ClockQuality::Good,
        lines: vec![
            line(
                "gpt-5",
                units(&[
                    (Unit::InputText, signed),
                    (Unit::OutputText, 0),
                    (Unit::CodeInterpreterSessions, 9),
                ]),
            ),
            line("image-1", units(&[(Unit::Images, 2)])),
        ],
        usage_source: UsageSource::Provider,
        usage_quality: UsageQuality::Ok,
        usage_raw: Some(r#"{"prompt_tokens":1}"#.into()),
        provider_cost: None,
        provider_cost_currency: None,
        estimated_units: units(&[(Unit::InputText, 100), (Unit::OutputText, 50)]),
        billable: Billable::Yes,
        synthetic: false,
        outcome: Outcome::Completed,
        outcome_detail: some("detail"),
        status: Some(200),
        finish_reason: some("stop"),
        limit_hit: Some(LimitHit {
            level: LimitLevel::ALL[0],
            kind: LimitKind::ALL[0],
            id: text("limit-1"),
        }),
        attempts: vec![
            attempt("eu-2", Outcome::UpstreamError),
            attempt("eu-1", Outcome::Completed),
        ],
        cache: Some(CacheUse {
            status: CacheStatus::ALL[0],
            kind: CacheKind::ALL[0],
            saved_units: units(&[]),
        }),
        request_bytes: 1_000,
        response_bytes: 2_000,
        price_version: some("2026-11"),
        leases: text("l1"),
        policies: text("p1"),
        config_digest: text("abc"),
        durability: Durability::Synced,
        durability_degraded: false,
        capture: None,
        count: 1,
        producer_seq: signed,
    }
}

/// A refusal: nothing filled that need not be.
pub(crate) fn refusal(number: u64) -> UsageEvent {
    UsageEvent {
        principal: None,
        conversation: None,
        labels: BTreeMap::new(),
        stream: false,
        model_served: None,
        priced_as: None,
        route: None,
        deployment: None,
        provider: None,
        region: None,
        data_zone: None,
        capacity: None,
        service_tier: None,
        route_reason: None,
        first_byte_us: None,
        upstream_us: None,
        gateway_us: None,
        lines: Vec::new(),
        usage_source: UsageSource::None,
        usage_quality: UsageQuality::Missing,
        usage_raw: None,
        estimated_units: Units::default(),
        billable: Billable::No,
        outcome: Outcome::RefusedAuth,
        outcome_detail: None,
        status: None,
        finish_reason: None,
        limit_hit: None,
        attempts: Vec::new(),
        cache: None,
        price_version: None,
        ..event(number)
    }
}

/// The record's bytes.
pub(crate) fn encode(event: &UsageEvent) -> Vec<u8> {
    let mut bytes = event.encode_unsealed();
    seal(&mut bytes, event.producer_seq);
    bytes
}

/// A heartbeat of the events' boot that claims the numbers up to `last`.
pub(crate) fn beat(producer: &str, position: i64, last: Option<i64>) -> Heartbeat {
    Heartbeat {
        wire: text(WIRE_VERSION),
        producer: text(producer),
        boot: boot(),
        last_producer_seq: last,
        admitted: 7,
        settled: 4,
        open: 3,
        oldest_open_us: Some(Micros(MID_NOVEMBER_US)),
        reserved_bytes: 49_152,
        reserved_units: units(&[(Unit::OutputText, 90)]),
        synced_position: position,
        control_position: None,
        clock_us: Micros(MID_NOVEMBER_US + position),
    }
}

/// A step of the life of the events' boot.
pub(crate) fn life(producer: &str, position: i64, state: ProducerState) -> ProducerRecord {
    ProducerRecord {
        wire: text(WIRE_VERSION),
        producer: text(producer),
        boot: boot(),
        state,
        last_producer_seq: None,
        admitted: None,
        settled: None,
        open: None,
        synced_position: Some(position),
        clock_us: Micros(MID_NOVEMBER_US + position),
        by: None,
        why: None,
        exposure: None,
    }
}
