//! Rows into columns, columns into bytes.

use bytes::Bytes;
use clickhouse::native::DataTypeNode;
use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeStruct, Serializer};

use super::NativeError;
use super::column::Column;
use super::out::Out;
use super::value::Target;

/// A column with its name and its type in the table, both as the table has them.
#[derive(Debug)]
struct Named {
    name: String,
    kind: String,
    column: Column,
}

/// Rows of one insert.
#[derive(Debug)]
pub(crate) struct Block {
    columns: Vec<Named>,
    rows: usize,
}

impl Block {
    /// An empty block of these columns, in the order in which rows give them: names and types.
    pub(crate) fn new<'a>(
        columns: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, NativeError> {
        let named = |(name, kind): (&str, &str)| {
            let wrong = |reason: String| NativeError::Column {
                column: name.to_owned(),
                kind: kind.to_owned(),
                reason,
            };
            let node = DataTypeNode::new(kind).map_err(|error| wrong(error.to_string()))?;
            let column =
                Column::of(&node).ok_or_else(|| wrong("nothing is written to this type".into()))?;
            Ok(Named {
                name: name.to_owned(),
                kind: kind.to_owned(),
                column,
            })
        };
        Ok(Self {
            columns: columns.map(named).collect::<Result<_, _>>()?,
            rows: 0,
        })
    }

    /// Adds a row. After an error the block is of no use.
    pub(crate) fn push(&mut self, row: &impl Serialize) -> Result<(), NativeError> {
        row.serialize(Row {
            columns: &mut self.columns,
            at: 0,
        })?;
        self.rows += 1;
        Ok(())
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Its bytes, in pieces.
    pub(crate) fn encode(self) -> Vec<Bytes> {
        let mut out = Out::default();
        out.length(self.columns.len());
        out.length(self.rows);
        for Named { name, kind, column } in self.columns {
            out.text(&name);
            out.text(&kind);
            column.prefix(&mut out);
            column.encode(&mut out);
        }
        out.end()
    }
}

/// The columns of a row, one after the other.
#[derive(Debug)]
struct Row<'a> {
    columns: &'a mut [Named],
    at: usize,
}

impl SerializeStruct for Row<'_> {
    type Ok = ();
    type Error = NativeError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), NativeError> {
        let column = self.columns.get_mut(self.at);
        let Some(named) = column.filter(|column| column.name == name) else {
            let text = format!("column {} is not `{name}`", self.at);
            return Err(NativeError::Row(text));
        };
        self.at += 1;
        let put = value.serialize(Target::Column(&mut named.column));
        put.map_err(|error| match error {
            NativeError::Row(reason) => NativeError::Column {
                column: named.name.clone(),
                kind: named.kind.clone(),
                reason,
            },
            error @ NativeError::Column { .. } => error,
        })
    }

    fn end(self) -> Result<(), NativeError> {
        if self.at == self.columns.len() {
            return Ok(());
        }
        let (given, wanted) = (self.at, self.columns.len());
        Err(NativeError::Row(format!("{given} of {wanted} columns")))
    }
}

/// Methods of a serializer that take what is no row.
macro_rules! no_row {
    ($($method:ident($($kind:ty),*) -> $ok:ty;)+) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$ok, NativeError> {
            Err(NativeError::custom("it is no struct"))
        })+
    };
}

type Never = Impossible<(), NativeError>;

impl Serializer for Row<'_> {
    type Ok = ();
    type Error = NativeError;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Self;
    type SerializeStructVariant = Never;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NativeError> {
        Ok(self)
    }

    no_row! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, row: &T) -> Result<(), NativeError> {
        row.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        row: &T,
    ) -> Result<(), NativeError> {
        row.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NativeError> {
        Err(NativeError::custom("it is no struct"))
    }
}
