//! Records as CSV: RFC 4180, a header, an empty cell for null. A text that a spreadsheet would take for a formula gets
//! an apostrophe before it, as in every CSV of the product.

use std::io::Write;

use crate::export::ExportError;
use crate::export::column::{Column, Value, instant_text};
use crate::export::json::map;
use crate::export::sink::Sink;
use crate::render::cell;
use ::csv::{QuoteStyle, Writer, WriterBuilder};

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
        writer.write_record(names)?;
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
            self.writer.write_field(&self.text)?;
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.writer.flush().map_err(ExportError::Output)
    }
}

fn write_cell(text: &mut String, value: &Value<'_>) -> Result<(), ExportError> {
    match value {
        Value::Null => {}
        Value::Text(plain) => text.push_str(&cell(plain)),
        Value::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Instant(at) => text.push_str(&instant_text(*at)),
        Value::Count(count) => text.push_str(&count.to_string()),
        Value::Money(money) => text.push_str(&money.to_string()),
        Value::Texts(_) | Value::Counts(_) | Value::Monies(_) => text.push_str(&map(value)?),
    }
    Ok(())
}
