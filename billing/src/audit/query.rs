//! Reading a page of the trail.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{EventId, Micros, Unit};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::Client;

use crate::BillingError;
use crate::audit::{AuditEvent, Cursor, EventLine, Filter, Page};
use crate::sql::{instant, lines};

/// How long the store may take over a page.
const QUERY_TIMEOUT: Duration = Duration::from_mins(2);
/// Ids of one query for copies: far below what the store parses.
const IDS_AT_ONCE: usize = 1_000;

#[derive(Deserialize)]
struct Found {
    #[serde(flatten)]
    event: AuditEvent,
    first_model: Option<String>,
    first_units: Vec<Option<i64>>,
}

#[derive(Deserialize)]
struct Copies {
    id: String,
    copies: u64,
}

/// A page of events, each with its place in the log and the number of its copies.
pub async fn query(client: &Client, filter: &Filter) -> Result<Page, BillingError> {
    filter.check().map_err(BillingError::Filter)?;
    let (condition, bound) = filter.condition();
    let found: Vec<Found> = rows(client, &events_sql(&condition, filter.limit + 1), &bound).await?;
    let more = found.len() > filter.limit;
    let mut events: Vec<_> = found
        .into_iter()
        .take(filter.limit)
        .map(Found::event)
        .collect();
    for part in events.chunks_mut(IDS_AT_ONCE) {
        count_copies(client, part).await?;
    }
    let next = match events.last() {
        Some(last) if more => Some(cursor(last)?.to_string()),
        _ => None,
    };
    Ok(Page { events, next })
}

impl Found {
    /// Puts the first line, which is kept in columns, before the others.
    fn event(self) -> AuditEvent {
        let mut event = self.event;
        if let Some(model) = self.first_model {
            let counts = Unit::ALL.iter().zip(self.first_units);
            let units = counts
                .filter_map(|(unit, count)| Some((*unit, count?)))
                .collect();
            event.lines.insert(0, EventLine { model, units });
        }
        event
    }
}

fn cursor(event: &AuditEvent) -> Result<Cursor, BillingError> {
    Ok(Cursor {
        received: Micros(event.received_us),
        event_id: id(&event.event_id)?,
    })
}

fn id(text: &str) -> Result<EventId, BillingError> {
    text.parse()
        .map_err(|error| BillingError::Answer(format!("{error}")))
}

fn events_sql(condition: &str, limit: usize) -> String {
    let units: Vec<_> = Unit::ALL.iter().map(|unit| unit.as_str()).collect();
    format!(
        "SELECT formatDateTime(received, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC') AS received_text, \
         toUnixTimestamp64Micro(received) AS received_us, toString(event_id) AS event_text, request_id, tenant, project, key_id, \
         principal, auth_method, conversation, labels, api, stream, model_requested, model_served, route, deployment, \
         provider, region, outcome, outcome_detail, status, finish_reason, limit_hit, policies, \
         length(attempt_deployments) AS attempts, usage_source, usage_quality, usage_raw, \
         provider_cost, provider_cost_currency, billable, synthetic, \
         toUnixTimestamp64Micro(first_byte) - received_us AS first_byte_after_us, \
         toUnixTimestamp64Micro(completed) - received_us AS completed_after_us, \
         durability, count, producer, boot, producer_seq, topic, partition, offset, toUInt64(0) AS copies, \
         model AS first_model, [{}] AS first_units, \
         arrayMap((m, u) -> CAST(tuple(m, u), 'Tuple(model String, units Map(String, Int64))'), extra_models, extra_units) AS lines \
         FROM usage_events FINAL WHERE {condition} ORDER BY received, event_text LIMIT {limit}",
        units.join(", ")
    )
}

async fn count_copies(client: &Client, events: &mut [AuditEvent]) -> Result<(), BillingError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(());
    };
    let (from, to) = (
        instant(Micros(first.received_us)),
        instant(Micros(last.received_us)),
    );
    let mut ids = Vec::with_capacity(events.len());
    for event in &*events {
        ids.push(format!("toUUID('{}')", id(&event.event_id)?));
    }
    let sql = format!(
        "SELECT toString(event_id) AS id, count() AS copies FROM audit_log \
         WHERE received >= {from} AND received <= {to} AND fate = 'event' AND event_id IN ({}) GROUP BY event_id",
        ids.join(", ")
    );
    let copies: Vec<Copies> = rows(client, &sql, &[]).await?;
    let copies: BTreeMap<_, _> = copies.into_iter().map(|row| (row.id, row.copies)).collect();
    for event in events {
        event.copies = copies.get(&event.event_id).copied().unwrap_or(0);
    }
    Ok(())
}

async fn rows<T: DeserializeOwned>(
    client: &Client,
    sql: &str,
    bound: &[String],
) -> Result<Vec<T>, BillingError> {
    let mut query = client.query(sql);
    for value in bound {
        query = query.bind(value.as_str());
    }
    let answer = query
        .timeout(QUERY_TIMEOUT)
        .setting("output_format_json_named_tuples_as_objects", "1")
        .setting("output_format_json_quote_64bit_integers", "0")
        .bytes("JSONEachRow")
        .await?;
    lines(&answer)
}
