//! A slow reader of JSON objects for the references: every member in its order, doubled ones too, values verbatim.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A member as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// Decoded.
    pub(crate) name: String,
    /// The name is written without escapes.
    pub(crate) is_plain: bool,
    /// The value verbatim.
    pub(crate) raw: &'a str,
}

impl Member<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.is_plain && self.name == name
    }

    /// The text that the value is.
    pub(crate) fn text(&self) -> Option<String> {
        serde_json::from_str(self.raw).ok()
    }
}

/// The members of an object, or `None` where the text is not exactly one.
pub(crate) fn members(text: &[u8]) -> Option<Vec<Member<'_>>> {
    let text = std::str::from_utf8(text).ok()?;
    serde_json::from_str::<Members<'_>>(text)
        .ok()
        .map(|members| members.0)
}

/// The elements of a list, verbatim.
pub(crate) fn elements(text: &str) -> Option<Vec<&str>> {
    let list: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(list.into_iter().map(RawValue::get).collect())
}

struct Members<'a>(Vec<Member<'a>>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

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
        let mut members = Vec::new();
        while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push(Member {
                is_plain: matches!(name, Cow::Borrowed(_)),
                name: name.into_owned(),
                raw: raw.get(),
            });
        }
        Ok(Members(members))
    }
}
