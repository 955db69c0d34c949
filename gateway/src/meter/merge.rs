//! What an answer says of its figures after it has said some: field by field the last word wins.
//!
//! An object that says less takes nothing back: what it leaves out, or says is `null`, stays. A total only grows, for
//! every provider's stream counts upwards; a smaller one, or nothing but zeros, contradicts what stood there, and what
//! stood there stays until it is said again. vLLM, `serving_chat.py`: asked for figures in every chunk, it tells with
//! each those of that chunk's choice alone, and their sum at the end; so only the last word is held against it. Values
//! are kept verbatim. What must not live here: what the figures mean (see `dialect`).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::dialect::Name;

/// Objects in objects are merged as deep as this; deeper ones are replaced.
const MAX_DEPTH: usize = 8;

/// Figures that only grow.
const TOTALS: [&str; 7] = [
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "output_tokens",
    "total_tokens",
    "seconds",
    "prompt_audio_seconds",
];
/// All figures were said to be zero.
const ZEROED: u8 = 1 << TOTALS.len();

/// What the last words take back: a bit for each of [`TOTALS`], and [`ZEROED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shrunk(u8);

impl Shrunk {
    pub(super) fn any(self) -> bool {
        self.0 != 0
    }
}

/// What becomes of figures when others follow.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// They stay.
    Same,
    /// The others take their place.
    Replaced,
    /// These are both.
    Both(Vec<u8>),
}

/// Merges what is said later into what was said. The second value says that one contradicts itself.
pub(super) fn merge(old: &[u8], new: &[u8], shrunk: &mut Shrunk) -> (Merged, bool) {
    if old == new {
        *shrunk = Shrunk::default();
        return (Merged::Same, false);
    }
    let Some(later) = members(new) else {
        return (Merged::Same, true);
    };
    let Some(earlier) = members(old) else {
        return (Merged::Replaced, false);
    };
    let mut merge = Merge::default();
    let both = merge.objects(&earlier, &later, 0);
    if merge.zeroed && !counts(new) {
        shrunk.0 |= ZEROED;
        return (Merged::Same, merge.odd);
    }
    shrunk.0 = shrunk.0 & !merge.stated | merge.shrunk;
    if merge.stated & !merge.shrunk != 0 {
        shrunk.0 &= !ZEROED;
    }
    (Merged::Both(both.into_bytes()), merge.odd)
}

#[derive(Debug, Default)]
struct Merge {
    /// Totals that are said again.
    stated: u8,
    /// Those of them that are less.
    shrunk: u8,
    /// A figure becomes zero.
    zeroed: bool,
    /// A member stands twice in one object, or what was a total is none.
    odd: bool,
}

impl Merge {
    fn objects(&mut self, old: &Members<'_>, new: &Members<'_>, depth: usize) -> String {
        self.odd |= old.has_doubles() || new.has_doubles();
        let mut all: SmallVec<[(&str, Cow<'_, str>); 12]> = old
            .0
            .iter()
            .map(|(name, raw)| (name.as_ref(), Cow::Borrowed(raw.get())))
            .collect();
        for (name, later) in &new.0 {
            let later = later.get();
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, value)) => {
                    if let Some(said) = self.value(name, value, later, depth) {
                        *value = said;
                    }
                }
                None => all.push((name, Cow::Borrowed(later))),
            }
        }
        let members: Vec<String> = all
            .iter()
            .map(|(name, value)| format!("{}:{value}", Value::from(*name)))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// What a value becomes, unless it stays.
    fn value<'a>(
        &mut self,
        name: &str,
        old: &str,
        new: &'a str,
        depth: usize,
    ) -> Option<Cow<'a, str>> {
        if new == "null" {
            return None;
        }
        let total = TOTALS.iter().position(|total| depth == 0 && *total == name);
        let (before, after) = (number(old), number(new));
        if total.is_some() && before.is_some() && after.is_none() {
            self.odd = true;
            return None;
        }
        if let (Some(before), Some(after)) = (before, after) {
            self.zeroed |= before != 0.0 && after == 0.0;
            let bit = total.map_or(0, |at| 1 << at);
            self.stated |= bit;
            if bit != 0 && after < before {
                self.shrunk |= bit;
                return None;
            }
        }
        if depth < MAX_DEPTH
            && let (Some(old), Some(new)) = (members(old.as_bytes()), members(new.as_bytes()))
        {
            return Some(self.objects(&old, &new, depth + 1).into());
        }
        Some(new.into())
    }
}

fn number(text: &str) -> Option<f64> {
    serde_json::from_str(text).ok()
}

/// Whether any number in it is not 0.
fn counts(object: &[u8]) -> bool {
    fn is_used(value: &Value) -> bool {
        match value {
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::Object(map) => map.values().any(is_used),
            Value::Array(list) => list.iter().any(is_used),
            _ => false,
        }
    }
    serde_json::from_slice(object).is_ok_and(|value| is_used(&value))
}

/// The members of an object in their order, values verbatim.
struct Members<'a>(SmallVec<[(Cow<'a, str>, &'a RawValue); 8]>);

impl Members<'_> {
    fn has_doubles(&self) -> bool {
        let names = || self.0.iter().map(|(name, _)| name);
        names()
            .enumerate()
            .any(|(at, name)| names().take(at).any(|other| other == name))
    }
}

fn members(text: &[u8]) -> Option<Members<'_>> {
    serde_json::from_slice(text).ok()
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = SmallVec::new();
        while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push((name, raw));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands after these were said one after another, whether the last takes something back, and whether one
    /// contradicts itself.
    fn said(objects: &[&str]) -> (String, bool, bool) {
        let (mut kept, mut shrunk, mut odd) = (objects[0].to_owned(), Shrunk::default(), false);
        for object in &objects[1..] {
            let (merged, is_odd) = merge(kept.as_bytes(), object.as_bytes(), &mut shrunk);
            odd |= is_odd;
            match merged {
                Merged::Same => {}
                Merged::Replaced => kept = (*object).to_owned(),
                Merged::Both(bytes) => kept = String::from_utf8(bytes).unwrap(),
            }
        }
        (kept, shrunk.any(), odd)
    }

    const WHOLE: &str = r#"{"prompt_tokens":100,"completion_tokens":10,"d":{"cached_tokens":60}}"#;

    #[test]
    fn who_says_less_takes_nothing_back() {
        for less in [
            r#"{"prompt_tokens":100,"completion_tokens":10}"#,
            r#"{"prompt_tokens":100,"completion_tokens":10,"d":null}"#,
            r#"{"prompt_tokens":100,"completion_tokens":10,"d":{}}"#,
            r#"{"prompt_tokens":null}"#,
        ] {
            assert_eq!(said(&[WHOLE, less]), (WHOLE.into(), false, false), "{less}");
        }
    }

    #[test]
    fn zeros_and_smaller_totals_are_a_contradiction_until_the_figures_are_said_again() {
        let zeros = r#"{"prompt_tokens":0,"completion_tokens":0,"d":{"cached_tokens":0}}"#;
        assert_eq!(said(&[WHOLE, zeros]), (WHOLE.into(), true, false));
        assert!(!said(&[WHOLE, zeros, WHOLE]).1);
        assert_eq!(said(&[zeros, zeros]), (zeros.into(), false, false));
        assert_eq!(said(&[zeros, WHOLE]), (WHOLE.into(), false, false));
        let (kept, shrinks, _) = said(&[WHOLE, r#"{"prompt_tokens":50}"#]);
        assert_eq!((kept.as_str(), shrinks), (WHOLE, true));
        let (kept, shrinks, _) = said(&[WHOLE, r#"{"prompt_tokens":0,"completion_tokens":12}"#]);
        assert_eq!(
            (kept.contains("\"prompt_tokens\":100"), shrinks),
            (true, true)
        );
        // What another field says later does not take that back.
        assert!(
            said(&[
                WHOLE,
                r#"{"prompt_tokens":50}"#,
                r#"{"completion_tokens":11}"#
            ])
            .1
        );
    }

    #[test]
    fn growing_figures_are_the_last_and_a_choice_may_be_behind_another() {
        let chunk = |count| format!(r#"{{"prompt_tokens":5,"completion_tokens":{count}}}"#);
        let chunks = [chunk(1), chunk(2), chunk(1), chunk(4)];
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        assert_eq!(said(&chunks), (chunk(4), false, false));
        assert!(said(&chunks[..3]).1);
    }

    #[test]
    fn what_is_no_object_or_says_a_thing_twice_contradicts() {
        for odd in ["0", "\"\"", "[]", r#"{"prompt_tokens":1"#] {
            assert_eq!(said(&[WHOLE, odd]), (WHOLE.into(), false, true), "{odd}");
            assert_eq!(said(&[odd, WHOLE]), (WHOLE.into(), false, false), "{odd}");
        }
        assert!(said(&[WHOLE, r#"{"prompt_tokens":100,"prompt_tokens":7}"#]).2);
        let text = r#"{"prompt_tokens":"7"}"#;
        assert_eq!(said(&[WHOLE, text]), (WHOLE.into(), false, true));
        assert!(said(&[r#"{"a":1,"d":{"x":1,"x":2}}"#, r#"{"d":{"y":1}}"#]).2);
    }

    #[test]
    fn numbers_stay_as_they_were_written_and_depth_has_a_bound() {
        let cost = r#"{"cost":0.12345678901234567890123}"#;
        let (kept, ..) = said(&[cost, r#"{"total_tokens":1}"#]);
        assert_eq!(
            kept,
            r#"{"cost":0.12345678901234567890123,"total_tokens":1}"#
        );
        let deep = |end: &str| format!("{}{end}{}", "{\"a\":".repeat(2_000), "}".repeat(2_000));
        let (kept, ..) = said(&[&deep("1"), &deep("2")]);
        assert_eq!(kept, deep("2"));
    }
}
