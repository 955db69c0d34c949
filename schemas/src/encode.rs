//! Records as JSON, byte for byte as `serde_json` writes them: a record is encoded for every request, before its last byte goes out.
//!
//! A record has names that need no escape, short texts, whole numbers, lists and maps; nothing else is taken. Of a text
//! eight bytes are looked at at a time, and it is copied whole where it needs no escape.

use std::fmt::{self, Display, Write as _};

use serde::ser::{self, Impossible, Serialize};

/// A value that no record holds.
#[derive(Debug, thiserror::Error)]
#[error("{0} in a record")]
pub(crate) struct NoRecord(String);

impl ser::Error for NoRecord {
    fn custom<T: Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

/// Appends a record to `out`.
pub(crate) fn append(out: &mut Vec<u8>, record: &impl Serialize) -> Result<(), NoRecord> {
    record.serialize(Encoder { out })
}

struct Encoder<'o> {
    out: &'o mut Vec<u8>,
}

/// Bytes of a text with escapes that are written at a time.
const STEP: usize = 64;

fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

fn is_control(byte: u8) -> bool {
    byte < b' '
}

/// Whether one of eight bytes needs an escape: the high bit of each that is below 32, or a quote, or a backslash.
fn needs_escape(eight: [u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    let bytes = u64::from_le_bytes(eight);
    let below = |bytes: u64, bound: u8| bytes.wrapping_sub(EACH * u64::from(bound)) & !bytes;
    let is = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
    (below(bytes, b' ') | is(b'"') | is(b'\\')) & (EACH << 7) != 0
}

/// Whether no byte needs an escape. Eight at a time, the last eight perhaps twice.
fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return !text
            .iter()
            .any(|byte| is_special(*byte) || is_control(*byte));
    };
    let (eights, _) = text.as_chunks();
    !eights.iter().any(|eight| needs_escape(*eight)) && !needs_escape(*last)
}

fn text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else if bytes.iter().any(|byte| is_control(*byte)) {
        with_controls(out, bytes);
    } else {
        for step in bytes.chunks(STEP) {
            with_backslashes(out, step);
        }
    }
    out.push(b'"');
}

/// Without a branch for each byte.
fn with_backslashes(out: &mut Vec<u8>, step: &[u8]) {
    let mut room = [b'\\'; 2 * STEP];
    let mut end = 0;
    for byte in step {
        end += usize::from(is_special(*byte));
        if let Some(place) = room.get_mut(end) {
            *place = *byte;
        }
        end += 1;
    }
    out.extend_from_slice(room.get(..end).unwrap_or_default());
}

/// What needs no escape is copied in runs.
fn with_controls(out: &mut Vec<u8>, mut rest: &[u8]) {
    let needs_one = |byte: &u8| is_special(*byte) || is_control(*byte);
    while let Some(at) = rest.iter().position(needs_one) {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = from.split_first() else {
            return;
        };
        escaped(out, *byte);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// A byte that needs an escape.
fn escaped(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        0..b' ' => {
            let digits = b"0123456789abcdef";
            let low = digits.get(usize::from(byte & 15)).copied();
            out.extend_from_slice(b"\\u00");
            out.extend([b'0' + (byte >> 4), low.unwrap_or_default()]);
            return;
        }
        _ => byte,
    };
    out.extend([b'\\', short]);
}

fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Shows a value between quotes, and keeps whether it was plain.
struct Shown<'o> {
    out: &'o mut Vec<u8>,
    is_plain: bool,
}

impl fmt::Write for Shown<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.is_plain &= is_plain(part.as_bytes());
        self.out.extend_from_slice(part.as_bytes());
        Ok(())
    }
}

/// Refuses what no record holds.
macro_rules! refuse {
    ($($name:ident($($of:ty),*) $(-> $out:ty)?, $what:literal;)*) => {
        $(fn $name(self, $(_: $of),*) -> Result<refuse!(@ $($out)?), NoRecord> {
            Err(NoRecord($what.to_owned()))
        })*
    };
    (@) => { () };
    (@ $out:ty) => { $out };
}

macro_rules! numbers {
    ($($name:ident: $of:ty),*) => {
        $(fn $name(self, value: $of) -> Result<(), NoRecord> {
            number(self.out, value);
            Ok(())
        })*
    };
}

impl<'o> ser::Serializer for Encoder<'o> {
    type Ok = ();
    type Error = NoRecord;
    type SerializeSeq = Members<'o>;
    type SerializeTuple = Impossible<(), NoRecord>;
    type SerializeTupleStruct = Impossible<(), NoRecord>;
    type SerializeTupleVariant = Impossible<(), NoRecord>;
    type SerializeMap = Members<'o>;
    type SerializeStruct = Members<'o>;
    type SerializeStructVariant = Impossible<(), NoRecord>;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    refuse! {
        serialize_f32(f32), "a fraction";
        serialize_f64(f64), "a fraction";
        serialize_char(char), "a character";
        serialize_bytes(&[u8]), "bytes";
        serialize_unit(), "a unit";
        serialize_unit_struct(&'static str), "a unit";
        serialize_tuple(usize) -> Self::SerializeTuple, "a tuple";
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct, "a tuple";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant, "a variant with members";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant, "a variant with members";
    }

    fn serialize_bool(self, value: bool) -> Result<(), NoRecord> {
        let word: &[u8] = if value { b"true" } else { b"false" };
        self.out.extend_from_slice(word);
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), NoRecord> {
        text(self.out, value);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), NoRecord> {
        let begin = self.out.len();
        self.out.push(b'"');
        let mut shown = Shown {
            out: self.out,
            is_plain: true,
        };
        write!(shown, "{value}")
            .map_err(|_| NoRecord("a value that can not be shown".to_owned()))?;
        if shown.is_plain {
            self.out.push(b'"');
        } else {
            self.out.truncate(begin);
            text(self.out, &value.to_string());
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<(), NoRecord> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NoRecord> {
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), NoRecord> {
        text(self.out, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), NoRecord> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NoRecord> {
        Err(NoRecord("a variant with members".to_owned()))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'o>, NoRecord> {
        Ok(Members::begin(self.out, b'[', b']'))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'o>, NoRecord> {
        Ok(Members::begin(self.out, b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'o>, NoRecord> {
        Ok(Members::begin(self.out, b'{', b'}'))
    }
}

/// Members of a list, a map or a record.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
    end: u8,
}

impl<'o> Members<'o> {
    fn begin(out: &'o mut Vec<u8>, begin: u8, end: u8) -> Self {
        out.push(begin);
        Self {
            out,
            is_first: true,
            end,
        }
    }

    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
    }

    fn close(self) {
        self.out.push(self.end);
    }
}

impl ser::SerializeSeq for Members<'_> {
    type Ok = ();
    type Error = NoRecord;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoRecord> {
        self.next();
        value.serialize(Encoder { out: self.out })
    }

    fn end(self) -> Result<(), NoRecord> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeMap for Members<'_> {
    type Ok = ();
    type Error = NoRecord;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NoRecord> {
        self.next();
        let begin = self.out.len();
        key.serialize(Encoder { out: self.out })?;
        if self.out.get(begin) != Some(&b'"') {
            return Err(NoRecord("a name that is no text".to_owned()));
        }
        self.out.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoRecord> {
        value.serialize(Encoder { out: self.out })
    }

    fn end(self) -> Result<(), NoRecord> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = NoRecord;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), NoRecord> {
        self.next();
        // The names of a record's fields are words of Rust.
        self.out.reserve(name.len() + 3);
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        value.serialize(Encoder { out: self.out })
    }

    fn end(self) -> Result<(), NoRecord> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Clone, Debug, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        AnotherOne,
    }

    #[derive(Clone, Debug, Serialize)]
    struct Inner {
        kind: Kind,
        texts: BTreeMap<String, String>,
        counts: BTreeMap<String, i64>,
    }

    #[derive(Clone, Debug, Serialize)]
    struct Record {
        text: String,
        is_so: bool,
        maybe: Option<String>,
        status: Option<u16>,
        small: i8,
        large: u64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        inner: Vec<Inner>,
        shown: Shows,
        last: i64,
    }

    #[derive(Clone, Debug)]
    struct Shows(String);

    impl Serialize for Shows {
        fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}-{}", self.0, self.0.len()))
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,20}",
            ".{0,40}",
            "[\\x00-\\x20\"\\\\a-cé]{0,200}",
            "[\"\\\\:{}a-z]{50,300}"
        ]
    }

    fn inner() -> impl Strategy<Value = Inner> {
        let kind = prop_oneof![Just(Kind::One), Just(Kind::AnotherOne)];
        let of_texts = proptest::collection::btree_map(texts(), texts(), 0..3);
        let of_counts = proptest::collection::btree_map(texts(), any::<i64>(), 0..3);
        (kind, of_texts, of_counts).prop_map(|(kind, texts, counts)| Inner {
            kind,
            texts,
            counts,
        })
    }

    prop_compose! {
        fn records()(
            text in texts(), is_so: bool, maybe in proptest::option::of(texts()), status: Option<u16>,
            small: i8, large: u64, inner in proptest::collection::vec(inner(), 0..4), shown in texts(), last: i64,
        ) -> Record {
            Record { text, is_so, maybe, status, small, large, inner, shown: Shows(shown), last }
        }
    }

    proptest! {
        #[test]
        fn a_record_has_the_bytes_that_serde_json_writes(record in records()) {
            let mut ours = b"before ".to_vec();
            append(&mut ours, &record).expect("a record");
            let theirs = serde_json::to_vec(&record).expect("a record");
            prop_assert_eq!(
                String::from_utf8(ours.split_off(7)).expect("text"),
                String::from_utf8(theirs).expect("text")
            );
        }
    }

    #[test]
    fn every_byte_is_escaped_as_serde_json_does() {
        for code in 0..=0x7f_u8 {
            let alone = char::from(code).to_string();
            let among = format!("{}{alone}é{alone}{}", "a".repeat(63), "b".repeat(70));
            let at_each =
                (0..20).map(|at| format!("{}{alone}{}", "a".repeat(at), "é".repeat(20 - at)));
            for text in at_each.chain([alone.clone(), among]) {
                let mut ours = Vec::new();
                append(&mut ours, &text).expect("a text");
                assert_eq!(ours, serde_json::to_vec(&text).expect("a text"), "{code}");
            }
        }
    }

    #[test]
    fn what_no_record_holds_is_refused() {
        let mut out = Vec::new();
        assert!(append(&mut out, &1.5_f64).is_err());
        assert!(append(&mut out, &[(1, 2)]).is_err());
        assert!(append(&mut out, &BTreeMap::from([(1, 2)])).is_err());
        assert!(append(&mut out, &Some(())).is_err());
    }
}
