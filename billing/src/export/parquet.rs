//! Records as Parquet, by the column writers of the `parquet` crate: records are gathered in columns until a row group
//! is full. Amounts are `DECIMAL(38,18)`, sums of counts `DECIMAL(38,0)`; what does not fit is refused, never rounded.

use std::io::Write;
use std::mem::take;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::{Type, TypePtr};

use crate::export::ExportError;
use crate::export::column::{Column, Kind, Value};
use crate::export::sink::Sink;

/// A row group has no more records than this,
const GROUP_RECORDS: usize = 65_536;
/// nor, before it is encoded, many more bytes than this.
const GROUP_BYTES: usize = 32 << 20;
/// What a cell takes beside the bytes of its text.
const CELL_BYTES: usize = 16;
/// The most digits of a decimal, and of those the ones of an amount that stand behind the point.
const DIGITS: i32 = 38;
const MONEY_SCALE: i32 = 18;
const DECIMAL_END: u128 = 10_u128.pow(38);
const DECIMAL_BYTES: i32 = 16;

pub(super) struct ParquetSink<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Column>,
    leaves: Vec<Leaf>,
    records: usize,
    bytes: usize,
}

impl<W: Write + Send> ParquetSink<W> {
    pub(super) fn open(columns: &[Column], output: W) -> Result<Self, ExportError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(concat!("tollgate ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = schema(columns)?;
        let writer = SerializedFileWriter::new(output, schema, Arc::new(properties));
        Ok(Self {
            writer: writer?,
            leaves: columns
                .iter()
                .flat_map(|column| leaves(column.kind))
                .collect(),
            columns: columns.to_vec(),
            records: 0,
            bytes: 0,
        })
    }

    fn close_group(&mut self) -> Result<(), ExportError> {
        if self.records == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for leaf in &mut self.leaves {
            let column = group.next_column()?;
            let mut column =
                column.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
            leaf.write(&mut column)?;
            column.close()?;
        }
        group.close()?;
        (self.records, self.bytes) = (0, 0);
        Ok(())
    }
}

impl<W: Write + Send> Sink for ParquetSink<W> {
    fn write(&mut self, values: &[Value<'_>]) -> Result<(), ExportError> {
        let mut at = 0;
        for (column, value) in self.columns.iter().zip(values) {
            let wide = leaves_of(column.kind);
            self.bytes += push(column, value, &mut self.leaves[at..at + wide])?;
            at += wide;
        }
        self.records += 1;
        if self.records >= GROUP_RECORDS || self.bytes >= GROUP_BYTES {
            self.close_group()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.close_group()?;
        self.writer.finish()?;
        Ok(())
    }
}

/// A column as Parquet stores it: a map has two, one of its keys and one of its values.
struct Leaf {
    values: Values,
    definition: Vec<i16>,
    /// Of a map's columns: 0 where a record begins.
    repetition: Option<Vec<i16>>,
}

enum Values {
    Bytes(Vec<ByteArray>),
    Longs(Vec<i64>),
    Flags(Vec<bool>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Leaf {
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let definition = take(&mut self.definition);
        let repetition = self.repetition.as_mut().map(take);
        let (levels, starts) = (Some(definition.as_slice()), repetition.as_deref());
        match &mut self.values {
            Values::Bytes(values) => {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&take(values), levels, starts)?
            }
            Values::Longs(values) => {
                column
                    .typed::<Int64Type>()
                    .write_batch(&take(values), levels, starts)?
            }
            Values::Flags(values) => {
                column
                    .typed::<BoolType>()
                    .write_batch(&take(values), levels, starts)?
            }
            Values::Fixed(values) => column.typed::<FixedLenByteArrayType>().write_batch(
                &take(values),
                levels,
                starts,
            )?,
        };
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Values::Bytes(values) = &mut self.values {
            values.push(ByteArray::from(text));
        }
    }

    fn fixed(&mut self, number: i128) {
        if let Values::Fixed(values) = &mut self.values {
            values.push(ByteArray::from(number.to_be_bytes().as_slice()).into());
        }
    }

    fn long(&mut self, number: i64) {
        if let Values::Longs(values) = &mut self.values {
            values.push(number);
        }
    }
}

fn leaves_of(kind: Kind) -> usize {
    match kind {
        Kind::Texts | Kind::Counts | Kind::Monies => 2,
        _ => 1,
    }
}

fn leaves(kind: Kind) -> Vec<Leaf> {
    let leaf = |values: Values, is_map: Option<Vec<i16>>| Leaf {
        values,
        definition: Vec::new(),
        repetition: is_map,
    };
    let map = || Some(Vec::new());
    let keys = || leaf(Values::Bytes(Vec::new()), map());
    match kind {
        Kind::Text => vec![leaf(Values::Bytes(Vec::new()), None)],
        Kind::Flag => vec![leaf(Values::Flags(Vec::new()), None)],
        Kind::Instant | Kind::Number => vec![leaf(Values::Longs(Vec::new()), None)],
        Kind::Wide | Kind::Money => vec![leaf(Values::Fixed(Vec::new()), None)],
        Kind::Texts => vec![keys(), leaf(Values::Bytes(Vec::new()), map())],
        Kind::Counts | Kind::Monies => vec![keys(), leaf(Values::Fixed(Vec::new()), map())],
    }
}

/// Puts a cell behind the others of its column; how much room it takes.
fn push(column: &Column, value: &Value<'_>, leaves: &mut [Leaf]) -> Result<usize, ExportError> {
    match value {
        Value::Texts(entries) => {
            map(leaves, entries.len());
            let mut bytes = 0;
            for (key, text) in entries {
                leaves[0].text(key);
                leaves[1].text(text);
                bytes += key.len() + text.len() + 2 * CELL_BYTES;
            }
            return Ok(bytes);
        }
        Value::Counts(entries) => {
            map(leaves, entries.len());
            for (key, count) in entries {
                leaves[0].text(key);
                leaves[1].fixed(decimal(column, *count, 0)?);
            }
            return Ok(4 * CELL_BYTES * entries.len());
        }
        Value::Monies(entries) => {
            map(leaves, entries.len());
            for (key, money) in entries {
                leaves[0].text(key);
                leaves[1].fixed(decimal(column, money.atto(), MONEY_SCALE)?);
            }
            return Ok(4 * CELL_BYTES * entries.len());
        }
        _ => {}
    }
    let leaf = &mut leaves[0];
    leaf.definition.push(i16::from(*value != Value::Null));
    match value {
        Value::Text(text) => leaf.text(text),
        Value::Instant(at) => leaf.long(*at),
        Value::Money(money) => leaf.fixed(decimal(column, money.atto(), MONEY_SCALE)?),
        Value::Count(count) if column.kind == Kind::Wide => leaf.fixed(decimal(column, *count, 0)?),
        Value::Count(count) => leaf.long(long(column, *count)?),
        Value::Flag(flag) => {
            if let Values::Flags(values) = &mut leaf.values {
                values.push(*flag);
            }
        }
        _ => {}
    }
    Ok(match value {
        Value::Text(text) => text.len() + 2 * CELL_BYTES,
        _ => CELL_BYTES,
    })
}

/// The levels of a map with so many entries.
fn map(leaves: &mut [Leaf], entries: usize) {
    for leaf in leaves {
        let Some(repetition) = &mut leaf.repetition else {
            continue;
        };
        for at in 0..entries.max(1) {
            repetition.push(i16::from(at > 0));
            leaf.definition.push(i16::from(entries > 0));
        }
    }
}

fn decimal(column: &Column, number: i128, scale: i32) -> Result<i128, ExportError> {
    if number.unsigned_abs() < DECIMAL_END {
        return Ok(number);
    }
    let value = if scale == 0 {
        number.to_string()
    } else {
        schemas::Money::from_atto(number).to_string()
    };
    Err(ExportError::TooWide {
        column: column.name.clone(),
        value,
        integer_digits: usize::try_from(DIGITS - scale).unwrap_or_default(),
    })
}

fn long(column: &Column, number: i128) -> Result<i64, ExportError> {
    i64::try_from(number).map_err(|_| ExportError::TooWide {
        column: column.name.clone(),
        value: number.to_string(),
        integer_digits: 18,
    })
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    let record = Type::group_type_builder("record").with_fields(fields);
    Ok(Arc::new(record.build()?))
}

fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    let name = column.name.as_str();
    match column.kind {
        Kind::Texts => map_of(name, primitive("value", Kind::Text, Repetition::REQUIRED)?),
        Kind::Counts => map_of(name, primitive("value", Kind::Wide, Repetition::REQUIRED)?),
        Kind::Monies => map_of(name, primitive("value", Kind::Money, Repetition::REQUIRED)?),
        kind => primitive(name, kind, Repetition::OPTIONAL),
    }
}

fn map_of(name: &str, value: TypePtr) -> Result<TypePtr, ParquetError> {
    let key = primitive("key", Kind::Text, Repetition::REQUIRED)?;
    let entry = Type::group_type_builder("key_value")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![key, value]);
    let map = Type::group_type_builder(name)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::Map))
        .with_fields(vec![Arc::new(entry.build()?)]);
    Ok(Arc::new(map.build()?))
}

fn primitive(name: &str, kind: Kind, repetition: Repetition) -> Result<TypePtr, ParquetError> {
    let of = |physical| Type::primitive_type_builder(name, physical).with_repetition(repetition);
    let decimal = |scale| {
        of(Physical::FIXED_LEN_BYTE_ARRAY)
            .with_length(DECIMAL_BYTES)
            .with_precision(DIGITS)
            .with_scale(scale)
            .with_logical_type(Some(LogicalType::decimal(scale, DIGITS)))
    };
    let built = match kind {
        Kind::Flag => of(Physical::BOOLEAN),
        Kind::Number => of(Physical::INT64),
        Kind::Instant => of(Physical::INT64)
            .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Money => decimal(MONEY_SCALE),
        Kind::Wide => decimal(0),
        _ => of(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)),
    };
    Ok(Arc::new(built.build()?))
}
