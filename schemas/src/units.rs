//! What is counted: disjoint kinds of use, each with a name and a number that never change.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

macro_rules! units {
    ($($side:ident { $($value:ident = $number:literal $text:literal),+ $(,)? })+) => {
        /// A kind of use. All are disjoint: no token is in two of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the names are the field's own")]
        pub enum Unit { $($(#[serde(rename = $text)] $value = $number),+),+ }

        impl Unit {
            /// Every unit, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$($(Self::$value),+),+];

            /// The name on the wire and in the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$value => $text),+),+ }
            }

            /// Whether it is part of the input total, the output total, or stands apart.
            #[must_use]
            pub fn side(self) -> Side {
                match self { $($(Self::$value)|+ => Side::$side),+ }
            }
        }

        impl FromStr for Unit {
            type Err = UnknownUnit;

            fn from_str(text: &str) -> Result<Self, UnknownUnit> {
                match text {
                    $($($text => Ok(Self::$value),)+)+
                    _ => Err(UnknownUnit(text.chars().take(64).collect())),
                }
            }
        }
    };
}

/// Which total a unit belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The provider's input total.
    Input,
    /// The provider's output total.
    Output,
    /// Neither: counted in pieces, milliseconds or calls.
    Apart,
}

/// Not on the list of units.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a unit")]
pub struct UnknownUnit(String);

units! {
    Input {
        InputText = 1 "input_text",
        InputCached = 2 "input_cached",
        InputCachedAudio = 3 "input_cached_audio",
        InputCachedImage = 4 "input_cached_image",
        CacheWrite5m = 5 "cache_write_5m",
        CacheWrite30m = 6 "cache_write_30m",
        CacheWrite1h = 7 "cache_write_1h",
        CacheWrite = 8 "cache_write",
        InputAudio = 9 "input_audio",
        InputImage = 10 "input_image",
        InputVideo = 11 "input_video",
        InputToolUse = 12 "input_tool_use",
    }
    Output {
        OutputText = 13 "output_text",
        OutputReasoning = 14 "output_reasoning",
        OutputAudio = 15 "output_audio",
        OutputImage = 16 "output_image",
    }
    Apart {
        Requests = 17 "requests",
        Images = 18 "images",
        AudioMs = 19 "audio_ms",
        Characters = 20 "characters",
        Pages = 21 "pages",
        SearchUnits = 22 "search_units",
        WebSearchCalls = 23 "web_search_calls",
        WebFetchCalls = 24 "web_fetch_calls",
        FileSearchCalls = 25 "file_search_calls",
        CodeInterpreterSessions = 26 "code_interpreter_sessions",
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Counts by unit. Absent means not reported; it never means 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units(SmallVec<[(Unit, i64); 6]>);

/// A count that no provider can mean.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadCount {
    /// Below zero.
    #[error("{0}: count is negative")]
    Negative(Unit),
    /// A sum left the range of 64 bits.
    #[error("{0}: count is too large")]
    Overflow(Unit),
}

impl Units {
    /// Sets a count, replacing an earlier one.
    pub fn set(&mut self, unit: Unit, count: i64) -> Result<(), BadCount> {
        if count < 0 {
            return Err(BadCount::Negative(unit));
        }
        match self.0.binary_search_by_key(&unit, |(u, _)| *u) {
            Ok(at) => self.0[at].1 = count,
            Err(at) => self.0.insert(at, (unit, count)),
        }
        Ok(())
    }

    /// Adds to a count; an absent one starts at `count`.
    pub fn add(&mut self, unit: Unit, count: i64) -> Result<(), BadCount> {
        let sum = self
            .get(unit)
            .unwrap_or(0)
            .checked_add(count)
            .ok_or(BadCount::Overflow(unit))?;
        self.set(unit, sum)
    }

    /// The count, or `None` where it was not reported.
    #[must_use]
    pub fn get(&self, unit: Unit) -> Option<i64> {
        self.0
            .binary_search_by_key(&unit, |(u, _)| *u)
            .ok()
            .map(|at| self.0[at].1)
    }

    /// The counts in the order of the unit numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Unit, i64)> + '_ {
        self.0.iter().copied()
    }

    /// Whether nothing was reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum of one side, in 128 bits; `None` where nothing on it was reported.
    #[must_use]
    pub fn total(&self, side: Side) -> Option<i128> {
        let mut counts = self
            .iter()
            .filter(|(unit, _)| unit.side() == side)
            .peekable();
        counts.peek()?;
        Some(counts.map(|(_, count)| i128::from(count)).sum())
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (unit, count) in &self.0 {
            map.serialize_entry(unit.as_str(), count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = Units;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of units to whole counts of at least 0")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Units, A::Error> {
                let mut units = Units::default();
                while let Some((unit, count)) = map.next_entry::<Unit, i64>()? {
                    if units.get(unit).is_some() {
                        return Err(serde::de::Error::custom(format!(
                            "unit {unit} stands twice"
                        )));
                    }
                    units.set(unit, count).map_err(serde::de::Error::custom)?;
                }
                Ok(units)
            }
        }
        deserializer.deserialize_map(Counts)
    }
}

impl JsonSchema for Units {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Units".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut properties = serde_json::Map::new();
        for unit in Unit::ALL {
            let count = serde_json::json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
            properties.insert(unit.as_str().to_owned(), count);
        }
        schemars::json_schema!({
            "type": "object",
            "description": "Disjoint counts; absent means not reported, never 0.",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_zero_stays_and_an_absent_count_stays_absent() {
        let mut units = Units::default();
        units.set(Unit::OutputText, 0).unwrap();
        assert_eq!(
            serde_json::to_string(&units).unwrap(),
            r#"{"output_text":0}"#
        );
        assert_eq!(units.get(Unit::InputText), None);
        assert_eq!(units.total(Side::Output), Some(0));
        assert_eq!(units.total(Side::Input), None);
    }

    #[test]
    fn negative_fractional_double_and_unknown_counts_are_refused() {
        for bad in [
            r#"{"input_text":-1}"#,
            r#"{"input_text":1.0}"#,
            r#"{"input_text":"1"}"#,
            r#"{"input_text":1,"input_text":1}"#,
            r#"{"input":1}"#,
            r#"{"input_text":9223372036854775808}"#,
        ] {
            assert!(serde_json::from_str::<Units>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sums_are_checked() {
        let mut units = Units::default();
        units.set(Unit::InputText, i64::MAX).unwrap();
        assert_eq!(
            units.add(Unit::InputText, 1),
            Err(BadCount::Overflow(Unit::InputText))
        );
        assert_eq!(units.get(Unit::InputText), Some(i64::MAX));
    }

    #[test]
    fn numbers_are_dense_and_in_order() {
        for (at, unit) in Unit::ALL.iter().enumerate() {
            assert_eq!(usize::from(*unit as u8), at + 1);
            assert_eq!(unit.as_str().parse(), Ok(*unit));
        }
    }
}
