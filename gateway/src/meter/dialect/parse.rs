//! Figures that were kept verbatim, as values: a member that stands twice in one object is told, not swallowed. Of two
//! numbers the larger counts, of anything else the first.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// The value, if it is one, and whether no member of it stands twice.
pub(super) fn parse(raw: &[u8]) -> Option<(Value, bool)> {
    let is_clear = Cell::new(true);
    let mut text = serde_json::Deserializer::from_slice(raw);
    let value = Part(&is_clear).deserialize(&mut text).ok()?;
    text.end().ok()?;
    Some((value, is_clear.get()))
}

#[derive(Clone, Copy)]
struct Part<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(self)?;
            match map.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(mut place) => {
                    self.0.set(false);
                    if value.as_f64() > place.get().as_f64() {
                        place.insert(value);
                    }
                }
            }
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_that_stand_twice_are_told_and_the_larger_counts() {
        let text = br#"{"a":[1,-2,1.5,null,true,"t"],"d":{"x":1}}"#;
        let plain = serde_json::from_slice::<Value>(text).unwrap();
        assert_eq!(parse(text), Some((plain, true)));
        for (text, value) in [
            (&br#"{"a":100,"a":7}"#[..], json!({"a": 100})),
            (br#"{"a":7,"a":100}"#, json!({"a": 100})),
            (br#"{"d":{"x":{"y":1},"x":2}}"#, json!({"d": {"x": 2}})),
            (br#"{"a":null,"a":3}"#, json!({"a": 3})),
            (br#"[{"a":"b","a":"c"}]"#, json!([{"a": "b"}])),
        ] {
            assert_eq!(parse(text), Some((value, false)));
        }
        assert_eq!(parse(b"{} {}"), None);
        assert_eq!(parse(b"{"), None);
    }
}
