//! Records as JSON, an object a line. Amounts are texts, because a JSON number may be read as a float; counts are whole
//! numbers. A field that is not known is `null`; only the columns of units are left out where a record has none.

use std::io::Write;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::export::ExportError;
use crate::export::column::{Column, Role, Value, instant_text};
use crate::export::sink::Sink;

const BUFFER_BYTES: usize = 256 << 10;

pub(super) struct JsonSink<W: Write> {
    columns: Vec<Column>,
    output: W,
    buffer: Vec<u8>,
}

impl<W: Write> JsonSink<W> {
    pub(super) fn open(columns: &[Column], output: W) -> Self {
        Self {
            columns: columns.to_vec(),
            output,
            buffer: Vec::with_capacity(BUFFER_BYTES + 4_096),
        }
    }

    fn drain(&mut self) -> Result<(), ExportError> {
        self.output
            .write_all(&self.buffer)
            .map_err(ExportError::Output)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Sink for JsonSink<W> {
    fn write(&mut self, values: &[Value<'_>]) -> Result<(), ExportError> {
        let record = Record(&self.columns, values);
        serde_json::to_writer(&mut self.buffer, &record)?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES {
            self.drain()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.drain()
    }
}

/// A map's JSON text.
pub(super) fn map(value: &Value<'_>) -> Result<String, ExportError> {
    Ok(serde_json::to_string(&Cell(value))?)
}

struct Record<'a>(&'a [Column], &'a [Value<'a>]);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (column, value) in self.0.iter().zip(self.1) {
            if column.role == Role::SumOfUnit && *value == Value::Null {
                continue;
            }
            object.serialize_entry(&column.name, &Cell(value))?;
        }
        object.end()
    }
}

struct Cell<'a>(&'a Value<'a>);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Instant(at) => serializer.serialize_str(&instant_text(*at)),
            Value::Count(count) => serializer.serialize_i128(*count),
            Value::Money(money) => money.serialize(serializer),
            Value::Texts(map) => serializer.collect_map(map.iter().map(|(k, v)| (k, v))),
            Value::Counts(map) => serializer.collect_map(map.iter().map(|(k, v)| (k, v))),
            Value::Monies(map) => serializer.collect_map(map.iter().map(|(k, v)| (k, v))),
        }
    }
}
