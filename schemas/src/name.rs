//! Bounded texts: what a record may hold of names that come from outside.

use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use smol_str::{SmolStr, SmolStrBuilder};

/// The longest text of a record, in bytes, unless a field says otherwise.
pub const MAX_TEXT_BYTES: usize = 256;

// Short ones lie where they are, long ones are shared by copies.
/// A text of at most [`MAX_TEXT_BYTES`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Text(#[schemars(with = "String", length(max = 256))] SmolStr);

/// A text was longer than a record may hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("text of {0} bytes is longer than {MAX_TEXT_BYTES} bytes")]
pub struct TooLong(pub usize);

impl Text {
    /// Takes `text` whole, or says that it is too long.
    pub fn new(text: &str) -> Result<Self, TooLong> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// Takes as many whole characters of `text` as fit.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(MAX_TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].into())
    }

    /// What is written, as much of it as fits.
    pub(crate) fn of(written: fmt::Arguments<'_>) -> Self {
        let mut builder = SmolStrBuilder::new();
        // Writing to a text cannot fail.
        let _written = builder.write_fmt(written);
        let text = builder.finish();
        if text.len() > MAX_TEXT_BYTES {
            return Self::cut(&text);
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(InText)
    }
}

struct InText;

impl Visitor<'_> for InText {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
        Text::new(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character_boundary() {
        let long = "é".repeat(200);
        let text = Text::cut(&long);
        assert_eq!(text.as_str().len(), 256);
        assert!(Text::new(&long).is_err());
        assert!(serde_json::from_str::<Text>(&format!("\"{long}\"")).is_err());
    }
}
