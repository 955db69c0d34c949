//! Lines of a price book, differences of two, and what an import refused.

use schemas::price::{Entry, Item, RawPrice};
use serde::Serialize;

use super::table::{Column, draw};
use super::text::{cell, shown};
use super::{Format, RenderError, csv_text, json};
use crate::prices::{Diff, Refused};

/// A line as JSON: its number, the columns of the file, and what one unit costs.
#[derive(Serialize)]
struct Shown<'a> {
    line: usize,
    #[serde(flatten)]
    columns: std::collections::BTreeMap<&'static str, &'a str>,
    value: String,
}

impl<'a> Shown<'a> {
    fn of(entry: &'a Entry) -> Self {
        let mut texts = entry.raw.texts();
        // The kind is told where the file leaves it out.
        texts[0] = entry.kind().as_str();
        Self {
            line: entry.raw.line,
            columns: RawPrice::COLUMNS.into_iter().zip(texts).collect(),
            value: entry.value(),
        }
    }
}

/// Prints lines of a price book. The CSV is a price file.
pub fn prices(
    entries: &[&Entry],
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    match format {
        Format::Table => Ok(table(entries, width)),
        Format::Csv => crate::prices::write_csv(entries.iter().map(|entry| &entry.raw)),
        Format::Json => {
            let lines: Vec<_> = entries.iter().map(|entry| Shown::of(entry)).collect();
            json(&lines)
        }
    }
}

fn table(entries: &[&Entry], width: Option<u16>) -> String {
    let columns = [
        Column::number("line"),
        Column::text("provider"),
        Column::text("what"),
        Column::text("where and when"),
        Column::number("rate"),
        Column::text("from"),
        Column::text("to"),
        Column::text("read on"),
    ];
    let rows = entries.iter().map(|entry| {
        let raw = &entry.raw;
        vec![
            raw.line.to_string(),
            shown(&raw.provider),
            shown(&what(entry)),
            shown(&conditions(raw)),
            rate(entry),
            shown(&raw.valid_from),
            shown(&raw.valid_to),
            entry.read_on().to_string(),
        ]
    });
    draw(&columns, rows.collect(), width)
}

fn what(entry: &Entry) -> String {
    match &entry.item {
        Item::Price(price) => format!("{} {}", price.full_name(), price.unit),
        Item::Uplift(uplift) => format!("{} {}", uplift.model, entry.raw.unit),
        Item::Alias(alias) => alias.name.clone(),
        Item::Hours(band) => format!("hours {}", band.name),
        Item::Holiday(holiday) => format!("not {}", holiday.name),
    }
}

/// Whatever is not the common case.
fn conditions(raw: &RawPrice) -> String {
    let tier = Some(raw.service_tier.as_str()).filter(|tier| *tier != "default");
    let over = Some(raw.context_over.as_str()).filter(|over| !over.is_empty());
    let over = over.map(|over| format!("over {over}"));
    let texts = [
        &raw.speed,
        &raw.capacity,
        &raw.region_class,
        &raw.region,
        &raw.geography,
    ];
    let mut parts: Vec<_> = tier.map(str::to_owned).into_iter().chain(over).collect();
    parts.extend(texts.into_iter().cloned());
    parts.extend([raw.hours.clone(), raw.days.clone(), raw.hours_utc.clone()]);
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

fn rate(entry: &Entry) -> String {
    let raw = &entry.raw;
    match &entry.item {
        Item::Price(_) => format!("{} {} / {}", raw.rate, raw.currency, raw.per),
        Item::Uplift(_) => format!("x {}", raw.rate),
        Item::Alias(alias) => format!("as {}", alias.target),
        Item::Hours(_) | Item::Holiday(_) => "-".to_owned(),
    }
}

/// Prints what changed between two books.
pub fn price_diff(diff: &Diff, format: Format, width: Option<u16>) -> Result<String, RenderError> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = diff.all().map(|(what, change)| {
        [
            what.to_owned(),
            change.key.clone(),
            text(&change.old),
            text(&change.new),
        ]
    });
    match format {
        Format::Json => json(diff),
        Format::Csv => {
            let header = ["change", "what", "old", "new"].map(str::to_owned);
            csv_text(
                &header,
                rows.map(|row| row.map(|text| cell(&text)).to_vec()),
            )
        }
        Format::Table if diff.is_empty() => Ok("Everything is priced alike.\n".to_owned()),
        Format::Table => {
            let columns = ["change", "what", "old", "new"].map(Column::text);
            let rows = rows.map(|row| row.map(|text| shown(&text)).to_vec());
            Ok(draw(&columns, rows.collect(), width))
        }
    }
}

/// Prints what an import refused.
pub fn refusals(
    refused: &[Refused],
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    let rows = refused
        .iter()
        .map(|one| [one.entry.clone(), one.field.clone(), one.reason.clone()]);
    match format {
        Format::Json => json(&refused),
        Format::Csv => {
            let header = ["entry", "field", "reason"].map(str::to_owned);
            csv_text(
                &header,
                rows.map(|row| row.map(|text| cell(&text)).to_vec()),
            )
        }
        Format::Table => {
            let columns = ["entry", "field", "reason"].map(Column::text);
            let rows = rows.map(|row| row.map(|text| shown(&text)).to_vec());
            Ok(draw(&columns, rows.collect(), width))
        }
    }
}
