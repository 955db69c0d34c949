//! An object's members as they stand in its text: a name once, no name with escapes, nothing nested too deeply.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::DoorError;

/// Refuses nesting deeper than `max_depth`, without recursion. Shows each text that it passes, as it stands between its
/// quotes, and whether a part of it is written with escapes.
pub(super) fn check_depth(
    text: &[u8],
    max_depth: usize,
    mut on_text: impl FnMut(&[u8], bool),
) -> Result<(), DoorError> {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let start = at + 1;
                let has_escapes;
                (at, has_escapes) = after_string(text, start);
                on_text(text.get(start..at).unwrap_or_default(), has_escapes);
            }
            _ => {}
        }
        if depth > max_depth {
            return Err(DoorError::TooDeep(max_depth));
        }
        at += 1;
    }
    Ok(())
}

/// The place of the closing quote of the string whose text begins at `at`, and whether there is an escape before it.
fn after_string(text: &[u8], mut at: usize) -> (usize, bool) {
    let mut has_escapes = false;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return (at, has_escapes);
        }
        has_escapes = true;
        at += 2;
    }
    (text.len(), has_escapes)
}

/// An object's members as they stand: a name once, no name with escapes.
pub(super) struct Members<'a>(pub(super) Vec<(&'a str, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, DoorError> {
        let members: Found<'a> =
            serde_json::from_str(text).map_err(|error| DoorError::NotJson(shape_of(&error)))?;
        match members {
            Found::Fine(members) => Ok(Self(members)),
            Found::Escaped => Err(DoorError::EscapedName),
            Found::TooMany => Err(DoorError::TooManyMembers(MAX_MEMBERS)),
            Found::Twice(name) => Err(DoorError::Duplicate(name.chars().take(64).collect())),
        }
    }

    /// Refuses a name that differs only in case from one of `read`.
    pub(super) fn refuse_other_case(&self, read: &[&'static str]) -> Result<(), DoorError> {
        for (given, _) in &self.0 {
            let same = read
                .iter()
                .find(|read| read.eq_ignore_ascii_case(given) && *read != given);
            if let Some(read) = same {
                let given = given.chars().take(64).collect();
                return Err(DoorError::OtherCase { given, read });
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(member, _)| *member == name);
        found
            .map(|(_, value)| value.get())
            .filter(|value| *value != "null")
    }

    pub(super) fn count(&self, name: &'static str) -> Result<Option<i64>, DoorError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.parse::<i64>() {
            Ok(count) if count >= 0 => Ok(Some(count)),
            _ => Err(DoorError::WrongType {
                name,
                wanted: "a whole number of at least 0",
            }),
        }
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, DoorError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(DoorError::WrongType {
                name,
                wanted: "true or false",
            }),
        }
    }
}

/// Where `part`, a piece of `whole`, stands in it.
pub(super) fn place_in(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Where the JSON is broken, without what stands there.
fn shape_of(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "it is not an object",
        _ => "syntax error",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// Many times what any API knows.
const MAX_MEMBERS: usize = 1_024;
/// So few names are compared with each other.
const FEW: usize = 32;

/// A name that stands twice. Objects can be many, and long: of many names each is looked at once.
fn twice<'a>(members: &[(&'a str, &'a RawValue)]) -> Option<&'a str> {
    let mut seen = HashSet::new();
    members.iter().enumerate().find_map(|(at, (name, _))| {
        let was_seen = if members.len() <= FEW {
            members[..at].iter().any(|(member, _)| member == name)
        } else {
            !seen.insert(*name)
        };
        was_seen.then_some(*name)
    })
}

enum Found<'a> {
    Fine(Vec<(&'a str, &'a RawValue)>),
    Escaped,
    TooMany,
    Twice(&'a str),
}

impl<'de> Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FoundVisitor)
    }
}

struct FoundVisitor;

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut members: Vec<(&'de str, &'de RawValue)> = Vec::with_capacity(8);
        let mut fault = None;
        while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            let Name::Plain(name) = name else {
                fault = fault.or(Some(Found::Escaped));
                continue;
            };
            if members.len() == MAX_MEMBERS {
                fault = fault.or(Some(Found::TooMany));
                continue;
            }
            members.push((name, value));
        }
        fault = fault.or_else(|| twice(&members).map(Found::Twice));
        Ok(fault.unwrap_or(Found::Fine(members)))
    }
}

/// A member's name: as it stands, or written with escapes.
enum Name<'a> {
    Plain(&'a str),
    Escaped,
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name::Plain(name))
            }

            fn visit_str<E>(self, _: &str) -> Result<Name<'de>, E> {
                Ok(Name::Escaped)
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}
