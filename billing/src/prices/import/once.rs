//! Objects of a map, read so that nothing in them replaces another: JSON lets a name stand twice, and a reader that keeps
//! the last would take one of two prices. What stands twice is in neither.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Above, Found, shortened};

pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// An object whose names stand once, and the names that stand more often.
#[derive(Debug, Default)]
pub(super) struct Once {
    pub(super) fields: Fields,
    doubles: BTreeMap<String, Vec<String>>,
}

impl Once {
    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        let Pairs(pairs) = serde_json::from_str(text)?;
        Ok(Self::of(pairs))
    }

    pub(super) fn of(pairs: Vec<(String, Box<RawValue>)>) -> Self {
        let mut all = BTreeMap::<String, Vec<Box<RawValue>>>::new();
        for (name, value) in pairs {
            all.entry(name).or_default().push(value);
        }
        let mut read = Self::default();
        for (name, mut values) in all {
            if values.len() == 1 {
                read.fields
                    .extend(values.pop().map(|value| (name.clone(), value)));
                continue;
            }
            let texts = values.iter().map(|value| one_line(value)).collect();
            read.doubles.insert(name, texts);
        }
        read
    }

    /// Whether the object has the name, once or more often.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.doubles.contains_key(name)
    }

    /// All names, also those that stand more often than once.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.fields.keys().chain(self.doubles.keys());
        all.map(String::as_str)
    }

    pub(super) fn has_doubles(&self) -> bool {
        !self.doubles.is_empty()
    }

    /// A text of the object; empty where it has none under this name.
    pub(super) fn string(&self, name: &str) -> String {
        let text = self.fields.get(name).map(|value| value.get());
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// Refuses each name that stands twice, as a field of an entry.
    pub(super) fn refuse_fields(&self, entry: &str, found: &mut Found<'_>) {
        self.refuse_bands(entry, found, |_| None);
    }

    /// The same, where a field can be a price above a bound.
    pub(super) fn refuse_bands(
        &self,
        entry: &str,
        found: &mut Found<'_>,
        above: impl Fn(&str) -> Option<Above>,
    ) {
        for (field, values) in &self.doubles {
            found.refuse_above(entry, field, twice(values), above(field));
        }
    }

    /// Refuses each name that stands twice, as an entry.
    pub(super) fn refuse_entries(&self, found: &mut Found<'_>) {
        for (entry, values) in &self.doubles {
            found.refuse(entry, "", twice(values));
        }
    }
}

fn twice(values: &[String]) -> String {
    format!(
        "it stands {} times in the map: {}",
        values.len(),
        values.join(" and ")
    )
}

fn one_line(value: &RawValue) -> String {
    let words: Vec<_> = value.get().split_whitespace().collect();
    shortened(&words.join(" "))
}

/// All pairs of an object, in the order they are written.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AllPairs)
    }
}

struct AllPairs;

impl<'de> Visitor<'de> for AllPairs {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
