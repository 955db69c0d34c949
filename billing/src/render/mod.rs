//! Printing: a table for people, CSV and JSON for programs. What a figure means must not be decided here.

mod audit;
mod chargeback;
mod completeness;
mod imported;
mod notes;
mod plain;
mod prices;
mod producers;
mod table;
mod text;

use std::str::FromStr;

use crate::audit::Page;
use crate::chargeback::Report;

pub use completeness::{completeness, period_notes};
pub use imported::{import_refusals, imported};
pub use notes::notes;
pub use plain::plain;
pub use prices::{price_diff, prices, refusals};
pub use producers::producers;
pub(crate) use text::cell;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: aligned, with notes.
    #[default]
    Table,
    /// Rows alone, RFC 4180.
    Csv,
    /// Everything; the names of the fields stay as they are.
    Json,
}

/// Not a format.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a format: write table, csv or json")]
pub struct BadFormat(String);

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(text: &str) -> Result<Self, BadFormat> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err(BadFormat(text.chars().take(64).collect())),
        }
    }
}

/// Something could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// As CSV.
    #[error("cannot write CSV: {0}")]
    Csv(String),
    /// As JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Prints a report; `width` is that of the terminal, if it is one.
pub fn report(report: &Report, format: Format, width: Option<u16>) -> Result<String, RenderError> {
    match format {
        Format::Table => Ok(chargeback::table(report, width)),
        Format::Csv => chargeback::csv(report),
        Format::Json => json(report),
    }
}

/// Prints a page of the trail; `width` is that of the terminal, if it is one.
pub fn page(page: &Page, format: Format, width: Option<u16>) -> Result<String, RenderError> {
    match format {
        Format::Table => Ok(audit::table(page, width)),
        Format::Csv => audit::csv(page),
        Format::Json => json(page),
    }
}

/// Prints rows of texts under `columns`, each a name and whether it is a number; `width` is that of the terminal, if it is one.
pub fn grid(
    columns: &[(&str, bool)],
    rows: Vec<Vec<String>>,
    format: Format,
    width: Option<u16>,
) -> Result<String, RenderError> {
    match format {
        Format::Table => {
            let drawn = columns.iter().map(|(name, is_number)| table::Column {
                name: (*name).to_owned(),
                is_number: *is_number,
            });
            Ok(table::draw(&drawn.collect::<Vec<_>>(), rows, width))
        }
        Format::Csv => {
            let header: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
            csv_text(&header, rows)
        }
        Format::Json => {
            let named = rows.into_iter().map(|row| {
                let pairs = columns.iter().zip(row);
                let pairs = pairs.map(|((name, is_number), text)| {
                    let number = text.parse::<i64>().ok().filter(|_| *is_number);
                    let value = number.map_or_else(|| text.into(), serde_json::Value::from);
                    ((*name).to_owned(), value)
                });
                pairs.collect::<serde_json::Map<_, _>>()
            });
            json(&named.collect::<Vec<_>>())
        }
    }
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, RenderError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}

/// Writes records, each with as many fields as the header.
pub(crate) fn csv_text(
    header: &[String],
    records: impl IntoIterator<Item = Vec<String>>,
) -> Result<String, RenderError> {
    let failed = |error: &dyn std::fmt::Display| RenderError::Csv(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(header)
        .map_err(|error| failed(&error))?;
    for record in records {
        writer
            .write_record(&record)
            .map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
