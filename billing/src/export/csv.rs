//! Records as CSV: RFC 4180, a header, an empty cell for null. A text that a spreadsheet would take for a formula gets
//! an apostrophe before it, as in every CSV of the product.

use std::fmt::Write as _;
use std::io::Write;

use ::csv::{QuoteStyle, Writer, WriterBuilder};
use schemas::Micros;

use crate::export::ExportError;
use crate::export::column::{Column, Value};
use crate::export::json::map;
use crate::export::sink::Sink;
use crate::render::cell;

const BUFFER_BYTES: usize = 256 << 10;

pub(super) struct CsvSink<W: Write> {
    writer: Writer<W>,
    /// One cell's text, its room used again.
    text: String,
}

impl<W: Write> CsvSink<W> {
    pub(super) fn open(columns: &[Column], output: W) -> Result<Self, ExportError> {
        let mut writer = WriterBuilder::new()
            .buffer_capacity(BUFFER_BYTES)
            .quote_style(QuoteStyle::Necessary)
            .from_writer(output);
        let names = columns.iter().map(|column| cell(&column.name));
        writer.write_record(names).map_err(failed)?;
        Ok(Self {
            writer,
            text: String::new(),
        })
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn write(&mut self, values: &[Value<'_>]) -> Result<(), ExportError> {
        for value in values {
            self.text.clear();
            write_cell(&mut self.text, value)?;
            self.writer.write_field(&self.text).map_err(failed)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(failed)
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.writer
            .flush()
            .map_err(|error| ExportError::Write(format!("CSV: {error}")))
    }
}

fn write_cell(text: &mut String, value: &Value<'_>) -> Result<(), ExportError> {
    let written = match value {
        Value::Null => Ok(()),
        Value::Text(plain) => {
            text.push_str(&cell(plain));
            Ok(())
        }
        Value::Flag(flag) => write!(text, "{flag}"),
        Value::Instant(at) => write!(text, "{}", Micros(*at)),
        Value::Count(count) => write!(text, "{count}"),
        Value::Money(money) => write!(text, "{money}"),
        Value::Texts(_) | Value::Counts(_) | Value::Monies(_) => {
            text.push_str(&map(value)?);
            Ok(())
        }
    };
    written.map_err(|error| ExportError::Write(format!("CSV: {error}")))
}

fn failed(error: ::csv::Error) -> ExportError {
    ExportError::Write(format!("CSV: {error}"))
}
