//! From a log record to its rows: a pure function of the record's bytes and its place.

use bytes::Bytes;

use super::audit::AuditRow;
use super::digest::leaf_hash;
use super::parts::{Fate, Raw, Source, halves};
use super::usage::{UsageHead, UsageRated, UsageRow};
use crate::decode::Decoded;
use crate::event::{Attempt, Line, UsageEvent};
use crate::name::Text;
use crate::units::Units;

/// The audit row of a record, and its usage row if it is an event.
///
/// `None` for a record of a newer version: there is no row, the reader must stop.
#[must_use]
pub fn rows_of(
    source: &Source,
    offset: i64,
    bytes: &[u8],
    decoded: &Decoded,
) -> Option<(AuditRow, Option<UsageRow>)> {
    rows_of_shared(source, offset, &Bytes::copy_from_slice(bytes), decoded)
}

/// The same, where the audit row shares the record's bytes with its reader.
#[must_use]
pub fn rows_of_shared(
    source: &Source,
    offset: i64,
    bytes: &Bytes,
    decoded: &Decoded,
) -> Option<(AuditRow, Option<UsageRow>)> {
    let leaf = leaf_hash(bytes);
    let audit = |fate: Fate, reason: String| AuditRow {
        topic: source.topic.clone(),
        partition: source.partition,
        offset,
        fate: fate as i8,
        reason,
        event_id: (0, 0),
        tenant: Text::default(),
        producer: Text::default(),
        boot: Text::default(),
        producer_seq: None,
        received: 0,
        leaf,
        bytes: Raw(bytes.clone()),
    };
    match decoded {
        Decoded::Newer(_) => None,
        Decoded::Cut => Some((audit(Fate::Cut, String::new()), None)),
        Decoded::DeadLetter(reason) => Some((audit(Fate::DeadLetter, reason.to_string()), None)),
        Decoded::Event(event) => {
            let row = AuditRow {
                event_id: halves(event.event_id.as_uuid()),
                tenant: event.tenant.clone(),
                producer: event.producer.clone(),
                boot: event.boot.text(),
                producer_seq: Some(event.producer_seq),
                received: event.received_us.0,
                ..audit(Fate::Event, String::new())
            };
            Some((row, Some(usage_row(source, offset, &leaf, event))))
        }
    }
}

/// Rank of the figures first; between equals a digest of the bytes, so that every reader chooses alike.
fn version_of(event: &UsageEvent, leaf: &[u8; 32]) -> u64 {
    let known = event.outcome != crate::enums::Outcome::Unknown;
    let rank = u64::from(known) << 3 | u64::from(event.usage_source.rank());
    let [a, b, c, d, ..] = *leaf;
    rank << 32 | u64::from(u32::from_be_bytes([a, b, c, d]))
}

#[expect(
    clippy::cast_possible_wrap,
    reason = "the closed lists have fewer than 128 values"
)]
fn number(value: u8) -> i8 {
    value as i8
}

#[expect(
    clippy::too_many_lines,
    reason = "one line a column reads better than parts"
)]
fn usage_row(source: &Source, offset: i64, leaf: &[u8; 32], event: &UsageEvent) -> UsageRow {
    let first = event.lines.first();
    let extra = event.lines.get(1..).unwrap_or_default();
    let head = UsageHead {
        topic: source.topic.clone(),
        partition: source.partition,
        offset,
        version: version_of(event, leaf),
        event_id: halves(event.event_id.as_uuid()),
        request_id: event.request_id.clone(),
        producer: event.producer.clone(),
        boot: event.boot.text(),
        producer_seq: event.producer_seq,
        tenant: event.tenant.clone(),
        project: event.project.clone(),
        key_id: event.key_id.clone(),
        principal: event.principal.clone(),
        auth_method: number(event.auth_method.number()),
        conversation: event.conversation.clone(),
        labels: event
            .labels
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        api: number(event.api.number()),
        stream: event.stream,
        model_requested: event.model_requested.clone(),
        model_served: event.model_served.clone(),
        route: event.route.clone(),
        deployment: event.deployment.clone(),
        provider: event.provider.clone(),
        region: event.region.clone(),
        data_zone: event.data_zone.clone(),
        capacity: event.capacity.map(|c| number(c.number())),
        route_reason: event.route_reason.map(|r| number(r.number())),
        received: event.received_us.0,
        admitted: event.admitted_us.0,
        first_byte: event.first_byte_us.map(|t| t.0),
        completed: event.completed_us.0,
        upstream_us: event.upstream_us,
        gateway_us: event.gateway_us,
        clock_quality: number(event.clock_quality.number()),
        usage_source: number(event.usage_source.number()),
        usage_quality: number(event.usage_quality.number()),
        usage_raw: event.usage_raw.clone(),
        billable: number(event.billable.number()),
        synthetic: event.synthetic,
        outcome: number(event.outcome.number()),
        outcome_detail: event.outcome_detail.clone(),
        status: event.status,
        finish_reason: event.finish_reason.clone(),
        limit_hit: event
            .limit_hit
            .as_ref()
            .map(|l| format!("{}/{}/{}", l.level, l.kind, l.id)),
        attempt_deployments: of_attempts(event, |a| a.deployment.clone()),
        attempt_outcomes: of_attempts(event, |a| number(a.outcome.number())),
        attempt_statuses: of_attempts(event, |a| a.status.unwrap_or(0)),
        attempt_provider_request_ids: of_attempts(event, |a| {
            a.provider_request_id.clone().unwrap_or_default()
        }),
        request_bytes: event.request_bytes,
        response_bytes: event.response_bytes,
        estimated_units: pairs(&event.estimated_units),
        price_version: event.price_version.clone(),
        config_digest: event.config_digest.clone(),
        durability: number(event.durability.number()),
        durability_degraded: event.durability_degraded,
        count: event.count,
        model: first.map(|line| line.model.clone()),
        service_tier: first.and_then(|line| line.service_tier.clone()),
        speed: first.and_then(|line| line.speed.clone()),
        geography: first.and_then(|line| line.geography.clone()),
        extra_models: extra.iter().map(|line| line.model.clone()).collect(),
        extra_service_tiers: texts(extra, |line| &line.service_tier),
        extra_units: extra.iter().map(|line| pairs(&line.units)).collect(),
        extra_speeds: texts(extra, |line| &line.speed),
        extra_geographies: texts(extra, |line| &line.geography),
        policies: event.policies.clone(),
        provider_cost: event.provider_cost.clone(),
        provider_cost_currency: event.provider_cost_currency.clone(),
        priced_as: event.priced_as.clone(),
        attempt_providers: of_attempts(event, |a| a.provider.clone().unwrap_or_default()),
        attempt_priced_as: of_attempts(event, |a| a.priced_as.clone().unwrap_or_default()),
        attempt_billables: of_attempts(event, |a| a.billable.map_or(0, |b| number(b.number()))),
    };
    UsageRow {
        head,
        units: first.map(|line| line.units.clone()).unwrap_or_default(),
        rated: UsageRated::of(event),
    }
}

fn of_attempts<T>(event: &UsageEvent, of: fn(&Attempt) -> T) -> Vec<T> {
    event.attempts.iter().map(of).collect()
}

/// One text a line; empty where the provider did not report it.
fn texts(lines: &[Line], of: fn(&Line) -> &Option<Text>) -> Vec<Text> {
    let text = |line| of(line).clone().unwrap_or_default();
    lines.iter().map(text).collect()
}

fn pairs(units: &Units) -> Vec<(Text, i64)> {
    units
        .iter()
        .map(|(unit, count)| (Text::cut(unit.as_str()), count))
        .collect()
}
