//! A row as the store writes it in `RowBinary`: what the engine's `formatRow` gives for the same row, byte by byte.
//!
//! Only what the rows of `schemas` are made of is known here; anything else is refused, never guessed. The format:
//! integers little-endian, a text or list after its length in LEB128, one byte before what may be null.

use schemas::rows::Columns;
use serde::ser::{self, Impossible, Serialize};

/// A value that no row of ours has.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no place in a row")]
pub(super) struct NoColumn(String);

impl ser::Error for NoColumn {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The bytes of a row.
///
/// # Panics
/// Never for the rows of `schemas`, which hold nothing but what is known here.
pub(super) fn row_bytes<R: Columns>(row: &R) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    row.serialize(Writer(&mut bytes))
        .expect("a row holds nothing but columns");
    bytes
}

/// Takes a length or count off the front.
pub(super) fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(length);
        }
        shift += 7;
    }
}

fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

macro_rules! little_endian {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), NoColumn> {
            self.0.extend_from_slice(&value.to_le_bytes());
            Ok(())
        })*
    };
}

macro_rules! refused {
    ($($method:ident($($type:ty),*) -> $answer:ty;)*) => {
        $(fn $method(self, $(_: $type),*) -> Result<$answer, NoColumn> {
            Err(NoColumn(stringify!($method).to_owned()))
        })*
    };
}

impl ser::Serializer for Writer<'_> {
    type Ok = ();
    type Error = NoColumn;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), NoColumn>;
    type SerializeTupleVariant = Impossible<(), NoColumn>;
    type SerializeMap = Impossible<(), NoColumn>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), NoColumn>;

    little_endian! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    refused! {
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_bool(self, value: bool) -> Result<(), NoColumn> {
        self.0.push(u8::from(value));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), NoColumn> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), NoColumn> {
        put_length(self.0, value.len());
        self.0.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), NoColumn> {
        self.0.push(1);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NoColumn> {
        self.0.push(0);
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NoColumn> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: &T,
    ) -> Result<(), NoColumn> {
        Err(NoColumn(variant.to_owned()))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, NoColumn> {
        let length = length.ok_or_else(|| NoColumn("a list of unknown length".to_owned()))?;
        put_length(self.0, length);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, NoColumn> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NoColumn> {
        Ok(self)
    }
}

impl ser::SerializeSeq for Writer<'_> {
    type Ok = ();
    type Error = NoColumn;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoColumn> {
        value.serialize(Writer(self.0))
    }

    fn end(self) -> Result<(), NoColumn> {
        Ok(())
    }
}

impl ser::SerializeTuple for Writer<'_> {
    type Ok = ();
    type Error = NoColumn;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoColumn> {
        value.serialize(Writer(self.0))
    }

    fn end(self) -> Result<(), NoColumn> {
        Ok(())
    }
}

impl ser::SerializeStruct for Writer<'_> {
    type Ok = ();
    type Error = NoColumn;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NoColumn> {
        value.serialize(Writer(self.0))
    }

    fn end(self) -> Result<(), NoColumn> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_taken_as_they_are_put() {
        for length in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
            let mut bytes = Vec::new();
            put_length(&mut bytes, length);
            bytes.push(9);
            let mut rest = bytes.as_slice();
            assert_eq!(take_length(&mut rest), Some(length));
            assert_eq!(rest, [9]);
        }
        assert_eq!(take_length(&mut &[0x80_u8][..]), None);
        assert_eq!(take_length(&mut &[0xff_u8; 12][..]), None);
    }

    #[test]
    fn what_no_row_has_is_refused() {
        assert!(1.5_f64.serialize(Writer(&mut Vec::new())).is_err());
        assert!(().serialize(Writer(&mut Vec::new())).is_err());
    }
}
