//! Puts a value into its column. A value that is not of the column's type is refused: the engine would not see it.

use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeMap, SerializeSeq, SerializeTuple, Serializer};

use super::NativeError;
use super::column::{Column, Family};

/// Where a value goes.
#[derive(Debug)]
pub(super) enum Target<'a> {
    Column(&'a mut Column),
    /// A key and what it has.
    Pair(&'a mut (Column, Column)),
}

fn refused(what: &str) -> NativeError {
    NativeError::custom(format!("{what} does not go there"))
}

impl Target<'_> {
    fn fixed(self, given: Family, value: &[u8]) -> Result<(), NativeError> {
        match self {
            Self::Column(Column::Fixed {
                family,
                width,
                bytes,
            }) if *family == given && *width == value.len() => {
                bytes.extend_from_slice(value);
                Ok(())
            }
            Self::Column(Column::Names { listed, numbers }) => match (given, value) {
                (Family::Signed, [number]) if listed.contains(&number.cast_signed()) => {
                    numbers.push(*number);
                    Ok(())
                }
                (Family::Signed, [number]) => {
                    let number = number.cast_signed();
                    Err(refused(&format!(
                        "the number {number}, which is not listed,"
                    )))
                }
                _ => Err(refused("what is no number of a name")),
            },
            _ => {
                let bits = value.len() * 8;
                Err(refused(&format!("a value of {given:?} and {bits} bits")))
            }
        }
    }

    fn text(self, text: &[u8]) -> Result<(), NativeError> {
        match self {
            Self::Column(Column::Text(texts)) => texts.push(text),
            Self::Column(Column::FewTexts(texts)) => texts.push(text),
            _ => return Err(refused("a text")),
        }
        Ok(())
    }
}

/// Methods of a serializer that take what no column holds.
macro_rules! refuse {
    ($($method:ident($($kind:ty),*) -> $ok:ty: $what:literal;)+) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$ok, NativeError> {
            Err(refused($what))
        })+
    };
}

/// Methods that take a number.
macro_rules! numbers {
    ($($method:ident($kind:ty) is $family:ident;)+) => {
        $(fn $method(self, value: $kind) -> Result<(), NativeError> {
            self.fixed(Family::$family, &value.to_le_bytes())
        })+
    };
}

impl<'a> Serializer for Target<'a> {
    type Ok = ();
    type Error = NativeError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Tuple<'a>;
    type SerializeTupleStruct = Impossible<(), NativeError>;
    type SerializeTupleVariant = Impossible<(), NativeError>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Impossible<(), NativeError>;
    type SerializeStructVariant = Impossible<(), NativeError>;

    numbers! {
        serialize_i8(i8) is Signed;
        serialize_i16(i16) is Signed;
        serialize_i32(i32) is Signed;
        serialize_i64(i64) is Signed;
        serialize_i128(i128) is Signed;
        serialize_u8(u8) is Unsigned;
        serialize_u16(u16) is Unsigned;
        serialize_u32(u32) is Unsigned;
        serialize_u64(u64) is Unsigned;
        serialize_f64(f64) is Float;
    }

    refuse! {
        serialize_u128(u128) -> (): "a number of 128 bits";
        serialize_f32(f32) -> (): "a number of single precision";
        serialize_char(char) -> (): "a character";
        serialize_unit() -> (): "nothing";
        serialize_unit_struct(&'static str) -> (): "nothing";
        serialize_unit_variant(&'static str, u32, &'static str) -> (): "a variant";
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct: "a struct";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant: "a variant";
        serialize_struct(&'static str, usize) -> Self::SerializeStruct: "a struct";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant: "a variant";
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), NativeError> {
        self.fixed(Family::Bool, &[u8::from(value)])
    }

    fn serialize_str(self, text: &str) -> Result<(), NativeError> {
        self.text(text.as_bytes())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), NativeError> {
        self.text(bytes)
    }

    fn serialize_none(self) -> Result<(), NativeError> {
        match self {
            Self::Column(column @ Column::Nullable { .. }) => column.push_placeholder(),
            Self::Column(Column::FewTexts(texts)) if texts.is_nullable() => texts.push_null(),
            _ => return Err(refused("a null")),
        }
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NativeError> {
        match self {
            Self::Column(Column::Nullable { nulls, values }) => {
                nulls.push(0);
                value.serialize(Target::Column(values))
            }
            Self::Column(column) if matches!(&*column, Column::FewTexts(texts) if texts.is_nullable()) => {
                value.serialize(Target::Column(column))
            }
            _ => Err(refused("what may be null")),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NativeError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NativeError> {
        Err(refused("a variant"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, NativeError> {
        let (ends, of) = match self {
            Self::Column(Column::List { ends, items }) => (ends, Target::Column(items)),
            Self::Column(Column::Map { ends, pair }) => (ends, Target::Pair(pair)),
            _ => return Err(refused("a list")),
        };
        Ok(Items { ends, of, count: 0 })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Items<'a>, NativeError> {
        match self {
            Self::Column(Column::Map { .. }) => self.serialize_seq(length),
            _ => Err(refused("a map")),
        }
    }

    fn serialize_tuple(self, length: usize) -> Result<Tuple<'a>, NativeError> {
        let wanted = match &self {
            Self::Pair(_) => Some(2),
            Self::Column(Column::Fixed { family, width, .. }) => match family {
                Family::Bytes => Some(*width),
                Family::Halves => Some(2),
                _ => None,
            },
            Self::Column(_) => None,
        };
        if wanted != Some(length) {
            return Err(refused(&format!("a tuple of {length}")));
        }
        Ok(Tuple { of: self, at: 0 })
    }
}

/// The items of a list or a map, on their way.
#[derive(Debug)]
pub(super) struct Items<'a> {
    ends: &'a mut Vec<u64>,
    of: Target<'a>,
    count: u64,
}

impl Items<'_> {
    fn end(self) {
        let before = self.ends.last().copied().unwrap_or(0);
        self.ends.push(before + self.count);
    }
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = NativeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), NativeError> {
        self.count += 1;
        match &mut self.of {
            Target::Column(items) => item.serialize(Target::Column(items)),
            Target::Pair(pair) => item.serialize(Target::Pair(pair)),
        }
    }

    fn end(self) -> Result<(), NativeError> {
        self.end();
        Ok(())
    }
}

impl SerializeMap for Items<'_> {
    type Ok = ();
    type Error = NativeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NativeError> {
        self.count += 1;
        match &mut self.of {
            Target::Pair(pair) => key.serialize(Target::Column(&mut pair.0)),
            Target::Column(_) => Err(refused("a key")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NativeError> {
        match &mut self.of {
            Target::Pair(pair) => value.serialize(Target::Column(&mut pair.1)),
            Target::Column(_) => Err(refused("the value of a key")),
        }
    }

    fn end(self) -> Result<(), NativeError> {
        self.end();
        Ok(())
    }
}

/// A pair, the bytes of a fixed text, or the halves of a UUID, on their way; how many there are was checked.
#[derive(Debug)]
pub(super) struct Tuple<'a> {
    of: Target<'a>,
    at: usize,
}

impl SerializeTuple for Tuple<'_> {
    type Ok = ();
    type Error = NativeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), NativeError> {
        let at = self.at;
        self.at += 1;
        match &mut self.of {
            Target::Pair(pair) => {
                let of = if at == 0 { &mut pair.0 } else { &mut pair.1 };
                item.serialize(Target::Column(of))
            }
            Target::Column(Column::Fixed { family, bytes, .. }) => {
                let (of, width) = match family {
                    Family::Halves => (Family::Unsigned, 8),
                    _ => (Family::Unsigned, 1),
                };
                let mut part = Column::Fixed {
                    family: of,
                    width,
                    bytes: std::mem::take(bytes),
                };
                let put = item.serialize(Target::Column(&mut part));
                if let Column::Fixed { bytes: with, .. } = part {
                    *bytes = with;
                }
                put
            }
            Target::Column(_) => Err(refused("a tuple")),
        }
    }

    fn end(self) -> Result<(), NativeError> {
        Ok(())
    }
}
