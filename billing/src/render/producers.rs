//! The starts of producers as a table and as CSV.

use super::table::{Column, draw};
use super::text::cell;
use super::{Format, RenderError, csv_text, json};
use crate::producers::Start;

/// Names of the fields, as they stay.
const FIELDS: [&str; 11] = [
    "producer",
    "boot",
    "state",
    "last_heartbeat",
    "last_seq",
    "stored",
    "missing",
    "admitted",
    "settled",
    "open",
    "oldest_open",
];

/// Prints the starts of producers; `width` is that of the terminal, if it is one.
pub fn producers(
    starts: &[Start],
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    match format {
        Format::Json => json(&starts),
        Format::Csv => csv_text(&FIELDS.map(str::to_owned), starts.iter().map(record)),
        Format::Table => {
            let is_number = |name: &&str| {
                !["producer", "boot", "state", "last_heartbeat", "oldest_open"].contains(name)
            };
            let columns = FIELDS.iter().map(|name| {
                if is_number(name) {
                    Column::number(name.replace('_', " "))
                } else {
                    Column::text(name.replace('_', " "))
                }
            });
            let columns: Vec<Column> = columns.collect();
            Ok(draw(&columns, starts.iter().map(record).collect(), width))
        }
    }
}

fn record(start: &Start) -> Vec<String> {
    let shown = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
    vec![
        cell(&start.producer),
        start.boot.clone(),
        start.state.clone(),
        instant(start.last_heartbeat_us),
        shown(start.last_seq),
        start.stored.to_string(),
        start.missing.to_string(),
        shown(start.admitted),
        shown(start.settled),
        shown(start.open),
        instant(start.oldest_open_us),
    ]
}

fn instant(at_us: Option<i64>) -> String {
    at_us
        .and_then(chrono::DateTime::from_timestamp_micros)
        .map_or_else(String::new, |at| {
            at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        })
}
