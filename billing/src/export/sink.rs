//! Where records go in one format or another: the one interface, and which formats there are.

use std::io::Write;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::export::column::{Column, Value};
use crate::export::{ExportError, csv, json, parquet};

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// RFC 4180 with a header; amounts are decimal texts, maps are JSON.
    Csv,
    /// A JSON object a line (NDJSON); amounts are texts.
    Json,
    /// Parquet; amounts are `DECIMAL(38,18)`.
    Parquet,
}

/// Not a format of an export.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a format of an export: write csv, json or parquet")]
pub struct BadExportFormat(String);

impl FromStr for ExportFormat {
    type Err = BadExportFormat;

    fn from_str(text: &str) -> Result<Self, BadExportFormat> {
        match text {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            _ => Err(BadExportFormat(text.chars().take(64).collect())),
        }
    }
}

/// Takes records in their order, and never more than a bounded part of them into memory.
pub(super) trait Sink {
    /// Takes a record, with a value for each column.
    fn write(&mut self, values: &[Value<'_>]) -> Result<(), ExportError>;

    /// Writes what is still in memory, and what the format has at its end.
    fn finish(&mut self) -> Result<(), ExportError>;
}

/// A sink that writes to `output`.
pub(super) fn open<'a>(
    format: ExportFormat,
    columns: &[Column],
    output: impl Write + Send + 'a,
) -> Result<Box<dyn Sink + 'a>, ExportError> {
    Ok(match format {
        ExportFormat::Csv => Box::new(csv::CsvSink::open(columns, output)?),
        ExportFormat::Json => Box::new(json::JsonSink::open(columns, output)),
        ExportFormat::Parquet => Box::new(parquet::ParquetSink::open(columns, output)?),
    })
}
