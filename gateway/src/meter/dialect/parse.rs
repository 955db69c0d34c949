//! Figures that were kept verbatim, as values that borrow their text: a few members each, so they are looked for one by one. A
//! member that stands twice in one object is told, not swallowed: of two numbers the larger counts, of anything else the first.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing is said.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A figure.
    Number(Number),
    /// A text.
    String(Cow<'a, str>),
    /// Values in their order.
    Array(Vec<Value<'a>>),
    /// Values by name.
    Object(Object<'a>),
}

/// A JSON object; each name is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Object<'a> {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Names and values, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Value<'a> {
    /// A whole number within 64 bits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// A whole number from 0 on, within 64 bits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// A number, as near as a float comes to it.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.as_f64()
    }

    fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// A text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A list.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::Array(list) => Some(list),
            _ => None,
        }
    }

    /// An object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Value::Null
    }
}

/// The value, if it is one, and whether no member of it stands twice.
pub fn parse(raw: &[u8]) -> Option<(Value<'_>, bool)> {
    let is_clear = Cell::new(true);
    let mut text = serde_json::Deserializer::from_slice(raw);
    let value = Part(&is_clear).deserialize(&mut text).ok()?;
    text.end().ok()?;
    Some((value, is_clear.get()))
}

/// A name that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
pub(in crate::meter) struct Name<'a>(#[serde(borrow)] pub(in crate::meter) Cow<'a, str>);

#[derive(Clone, Copy)]
struct Part<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value<'de>, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        while let Some(Name(name)) = object.next_key()? {
            let value = object.next_value_seed(self)?;
            match members.iter_mut().find(|(known, _)| *known == name) {
                None => members.push((name, value)),
                Some((_, place)) => {
                    self.0.set(false);
                    if value.as_f64() > place.as_f64() {
                        *place = value;
                    }
                }
            }
        }
        Ok(Value::Object(Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value<'_> {
        let (value, is_clear) = parse(text.as_bytes()).expect("a value");
        assert!(is_clear, "{text}");
        value
    }

    #[test]
    fn a_value_is_what_its_text_says() {
        let text = r#"{"a":[1,-2,1.5,null,true,"t"],"d":{"x":18446744073709551615},"q\"":"\n"}"#;
        let read = value(text);
        let all = read.as_object().unwrap();
        let names: Vec<&str> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "d", "q\""]);
        let list = all.get("a").unwrap().as_array().unwrap();
        assert_eq!((list[0].as_i64(), list[0].as_f64()), (Some(1), Some(1.0)));
        assert_eq!((list[1].as_i64(), list[1].as_u64()), (Some(-2), None));
        assert_eq!((list[2].as_i64(), list[2].as_f64()), (None, Some(1.5)));
        assert!(list[3].is_null() && list[4] == Value::Bool(true));
        assert_eq!(list[5].as_str(), Some("t"));
        let inside = all.get("d").unwrap().as_object().unwrap();
        assert_eq!(inside.get("x").unwrap().as_u64(), Some(u64::MAX));
        assert_eq!(all.get("q\"").unwrap().as_str(), Some("\n"));
        assert_eq!(all.get("gone"), None);
    }

    #[test]
    fn members_that_stand_twice_are_told_and_the_larger_counts() {
        for (text, kept) in [
            (r#"{"a":100,"a":7}"#, r#"{"a":100}"#),
            (r#"{"a":7,"a":100}"#, r#"{"a":100}"#),
            (r#"{"d":{"x":{"y":1},"x":2}}"#, r#"{"d":{"x":2}}"#),
            (r#"{"a":null,"a":3}"#, r#"{"a":3}"#),
            (r#"[{"a":"b","\u0061":"c"}]"#, r#"[{"a":"b"}]"#),
        ] {
            assert_eq!(parse(text.as_bytes()), Some((value(kept), false)));
        }
        assert_eq!(parse(b"{} {}"), None);
        assert_eq!(parse(b"{"), None);
    }
}
