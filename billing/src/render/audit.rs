//! The audit trail as a table and as CSV.

use schemas::Unit;
use schemas::units::Side;

use super::table::{Column, draw};
use super::text::{cell, grouped, shown};
use super::{RenderError, csv_text};
use crate::audit::{AuditEvent, Page};

/// A column of the CSV and how it is written.
type Field = (&'static str, fn(&AuditEvent) -> String);

/// The names stay as they are.
const FIELDS: [Field; 40] = [
    ("received", |e| e.received.clone()),
    ("event_id", |e| e.event_id.clone()),
    ("request_id", |e| cell(&e.request_id)),
    ("tenant", |e| cell(&e.tenant)),
    ("project", |e| cell(&e.project)),
    ("key_id", |e| cell(&e.key_id)),
    ("principal", |e| optional(e.principal.as_ref())),
    ("auth_method", |e| e.auth_method.to_string()),
    ("conversation", |e| optional(e.conversation.as_ref())),
    ("api", |e| e.api.to_string()),
    ("stream", |e| e.stream.to_string()),
    ("model_requested", |e| cell(&e.model_requested)),
    ("model_served", |e| optional(e.model_served.as_ref())),
    ("route", |e| optional(e.route.as_ref())),
    ("deployment", |e| optional(e.deployment.as_ref())),
    ("provider", |e| optional(e.provider.as_ref())),
    ("region", |e| optional(e.region.as_ref())),
    ("outcome", |e| e.outcome.to_string()),
    ("outcome_detail", |e| optional(e.outcome_detail.as_ref())),
    ("status", |e| {
        e.status
            .map_or_else(String::new, |status| status.to_string())
    }),
    ("finish_reason", |e| optional(e.finish_reason.as_ref())),
    ("limit_hit", |e| optional(e.limit_hit.as_ref())),
    ("policies", |e| cell(&e.policies)),
    ("attempts", |e| e.attempts.to_string()),
    ("usage_source", |e| e.usage_source.to_string()),
    ("usage_quality", |e| e.usage_quality.to_string()),
    ("provider_cost", |e| optional(e.provider_cost.as_ref())),
    ("provider_cost_currency", |e| {
        optional(e.provider_cost_currency.as_ref())
    }),
    ("billable", |e| e.billable.to_string()),
    ("synthetic", |e| e.synthetic.to_string()),
    ("first_byte_after_us", |e| {
        e.first_byte_after_us
            .map_or_else(String::new, |us| us.to_string())
    }),
    ("completed_after_us", |e| e.completed_after_us.to_string()),
    ("durability", |e| e.durability.to_string()),
    ("count", |e| e.count.to_string()),
    ("producer", |e| cell(&e.producer)),
    ("producer_seq", |e| e.producer_seq.to_string()),
    ("topic", |e| cell(&e.topic)),
    ("partition", |e| e.partition.to_string()),
    ("offset", |e| e.offset.to_string()),
    ("copies", |e| e.copies.to_string()),
];

fn optional(text: Option<&String>) -> String {
    text.map_or_else(String::new, |text| cell(text))
}

/// Every field, the labels and lines as JSON, then the units of all lines; an empty cell was not reported.
pub(super) fn csv(page: &Page) -> Result<String, RenderError> {
    let mut header: Vec<_> = FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    header.extend(["labels", "lines"].map(str::to_owned));
    header.extend(Unit::ALL.iter().map(|unit| unit.as_str().to_owned()));
    let mut records = Vec::with_capacity(page.events.len());
    for event in &page.events {
        let mut record: Vec<_> = FIELDS.iter().map(|(_, field)| field(event)).collect();
        record.push(serde_json::to_string(&event.labels)?);
        record.push(serde_json::to_string(&event.lines)?);
        let count = |unit: &Unit| {
            event
                .total(*unit)
                .map_or_else(String::new, |count| count.to_string())
        };
        record.extend(Unit::ALL.iter().map(count));
        records.push(record);
    }
    csv_text(&header, records)
}

/// The columns that people look for first; JSON and CSV have all.
pub(super) fn table(page: &Page, width: Option<u16>) -> String {
    let texts = [
        "received",
        "request_id",
        "tenant",
        "project",
        "key",
        "model",
        "deployment",
        "outcome",
    ];
    let mut columns: Vec<_> = texts.into_iter().map(Column::text).collect();
    columns.extend(["status", "input", "output"].map(Column::number));
    columns.extend(["usage", "log"].map(Column::text));
    columns.push(Column::number("copies"));
    let rows = page.events.iter().map(cells).collect();
    let mut text = draw(&columns, rows, width);
    let note = match (&page.next, page.events.len()) {
        (Some(next), _) => format!("More follow: --after {next}\n"),
        (None, 0) => "No events match.\n".to_owned(),
        (None, count) => format!("{count} events, the last ones.\n"),
    };
    text.push_str(&note);
    text
}

fn cells(event: &AuditEvent) -> Vec<String> {
    let or_dash = |text: Option<&String>| shown(text.map_or("", String::as_str));
    let outcome = match &event.outcome_detail {
        Some(detail) => format!("{} ({})", event.outcome, shown(detail)),
        None => event.outcome.to_string(),
    };
    let side = |side| event.side(side).map_or_else(|| "-".to_owned(), grouped);
    vec![
        event.received.clone(),
        shown(&event.request_id),
        shown(&event.tenant),
        shown(&event.project),
        shown(&event.key_id),
        shown(
            event
                .model_served
                .as_ref()
                .unwrap_or(&event.model_requested),
        ),
        or_dash(event.deployment.as_ref()),
        outcome,
        event
            .status
            .map_or_else(|| "-".to_owned(), |status| status.to_string()),
        side(Side::Input),
        side(Side::Output),
        event.usage_source.to_string(),
        format!(
            "{}/{}/{}",
            shown(&event.topic),
            event.partition,
            event.offset
        ),
        event.copies.to_string(),
    ]
}
