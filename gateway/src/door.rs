//! The request door: reads of a body what routing and metering need, and refuses what two parsers could
//! read differently.
//!
//! The body is never re-serialised: what must change is spliced in, every other byte stays.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a chat request asks, as far as the gateway must know.
#[derive(Debug)]
pub struct ChatRequest {
    /// The bytes as they came.
    pub body: Bytes,
    /// The model asked for.
    pub model: String,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Whether the client asked for usage in its stream.
    pub asks_usage: bool,
    /// The most tokens of one answer, if named.
    pub max_output_tokens: Option<i64>,
    /// How many answers.
    pub n: i64,
    places: Places,
}

/// Where things stand in the body.
#[derive(Debug, Default)]
struct Places {
    model: Range<usize>,
    stream_options: Option<Range<usize>>,
    include_usage: Option<Range<usize>>,
    /// Just before the closing brace of the body.
    end: usize,
}

/// Why a body is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DoorError {
    /// Not UTF-8.
    #[error("the body is not UTF-8 text (byte {0})")]
    NotUtf8(usize),
    /// Not JSON, or more than one document.
    #[error("the body is not one JSON object: {0}")]
    NotJson(String),
    /// Nested too deeply.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(usize),
    /// A member stands twice.
    #[error("`{0}` stands twice in the body")]
    Duplicate(String),
    /// A member's name is written with escapes.
    #[error("a name in the body is written with escapes; write `model`, not `\\u006dodel`")]
    EscapedName,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has the wrong type.
    #[error("`{name}` must be {wanted}")]
    WrongType {
        /// Which.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

impl DoorError {
    /// The machine code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8(_) | Self::NotJson(_) => "invalid_json",
            Self::TooDeep(_) => "json_too_deep",
            Self::Duplicate(_) => "duplicate_parameter",
            Self::EscapedName => "escaped_parameter",
            Self::Missing(_) => "missing_required_parameter",
            Self::WrongType { .. } => "invalid_type",
        }
    }

    /// The parameter at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Missing(name) | Self::WrongType { name, .. } => Some(name),
            Self::Duplicate(name) => Some(name),
            _ => None,
        }
    }
}

/// Reads a chat request.
pub fn read_chat(body: &Bytes, max_depth: usize) -> Result<ChatRequest, DoorError> {
    let text =
        std::str::from_utf8(body).map_err(|error| DoorError::NotUtf8(error.valid_up_to()))?;
    check_depth(text.as_bytes(), max_depth)?;
    let members = Members::parse(text)?;
    let asked = members.read(text)?;
    Ok(ChatRequest {
        body: body.clone(),
        ..asked
    })
}

/// Refuses nesting deeper than `max_depth`, without recursion.
fn check_depth(text: &[u8], max_depth: usize) -> Result<(), DoorError> {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = after_string(text, at + 1),
            _ => {}
        }
        if depth > max_depth {
            return Err(DoorError::TooDeep(max_depth));
        }
        at += 1;
    }
    Ok(())
}

/// The place of the closing quote of the string whose text begins at `at`.
fn after_string(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// An object's members as they stand: a name once, no name with escapes.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> Members<'a> {
    fn parse(text: &'a str) -> Result<Self, DoorError> {
        let members: Found<'a> =
            serde_json::from_str(text).map_err(|error| DoorError::NotJson(shape_of(&error)))?;
        match members {
            Found::Fine(members) => Ok(Self(members)),
            Found::Escaped => Err(DoorError::EscapedName),
            Found::Twice(name) => Err(DoorError::Duplicate(name.chars().take(64).collect())),
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(member, _)| *member == name);
        found
            .map(|(_, value)| value.get())
            .filter(|value| *value != "null")
    }

    fn count(&self, name: &'static str) -> Result<Option<i64>, DoorError> {
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

    fn flag(&self, name: &'static str) -> Result<bool, DoorError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(DoorError::WrongType {
                name,
                wanted: "true or false",
            }),
        }
    }

    fn read(&self, text: &str) -> Result<ChatRequest, DoorError> {
        let model_raw = self.get("model").ok_or(DoorError::Missing("model"))?;
        let wrong = DoorError::WrongType {
            name: "model",
            wanted: "a text",
        };
        let model: Cow<'_, str> = serde_json::from_str(model_raw).map_err(|_| wrong)?;
        if self
            .get("messages")
            .is_none_or(|messages| !messages.starts_with('['))
        {
            return Err(match self.get("messages") {
                None => DoorError::Missing("messages"),
                Some(_) => DoorError::WrongType {
                    name: "messages",
                    wanted: "a list",
                },
            });
        }
        let mut places = Places {
            model: place_in(text, model_raw),
            ..Places::default()
        };
        places.end = text.rfind('}').unwrap_or(0);
        let asks_usage = self.stream_options(text, &mut places)?;
        let completion = self.count("max_completion_tokens")?;
        Ok(ChatRequest {
            body: Bytes::new(),
            model: model.into_owned(),
            stream: self.flag("stream")?,
            asks_usage,
            max_output_tokens: completion.or(self.count("max_tokens")?),
            n: self.count("n")?.unwrap_or(1).max(1),
            places,
        })
    }

    fn stream_options(&self, text: &str, places: &mut Places) -> Result<bool, DoorError> {
        let raw = self.0.iter().find(|(name, _)| *name == "stream_options");
        let Some((_, raw)) = raw else {
            return Ok(false);
        };
        places.stream_options = Some(place_in(text, raw.get()));
        if raw.get() == "null" {
            return Ok(false);
        }
        if !raw.get().starts_with('{') {
            return Err(DoorError::WrongType {
                name: "stream_options",
                wanted: "an object",
            });
        }
        let options = Members::parse(raw.get())?;
        let asked = options.0.iter().find(|(name, _)| *name == "include_usage");
        places.include_usage = asked.map(|(_, value)| place_in(text, value.get()));
        options.flag("include_usage")
    }
}

/// Where `part`, a piece of `whole`, stands in it.
fn place_in(whole: &str, part: &str) -> Range<usize> {
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

enum Found<'a> {
    Fine(Vec<(&'a str, &'a RawValue)>),
    Escaped,
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
            if members.iter().any(|(member, _)| *member == name) {
                fault = fault.or(Some(Found::Twice(name)));
            }
            members.push((name, value));
        }
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

impl ChatRequest {
    /// The body for the provider: the model's name there, and usage asked for in a stream if `ask_usage`.
    /// Without a change the bytes are those that came.
    #[must_use]
    pub fn upstream_body(&self, upstream_model: &str, ask_usage: bool) -> Bytes {
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        if self.model != upstream_model {
            let name = serde_json::Value::from(upstream_model).to_string();
            edits.push((self.places.model.clone(), name));
        }
        if ask_usage && self.stream && !self.asks_usage {
            edits.push(self.usage_edit());
        }
        if edits.is_empty() {
            return self.body.clone();
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut body = Vec::with_capacity(self.body.len() + 64);
        let mut from = 0;
        for (range, text) in edits {
            body.extend_from_slice(&self.body[from..range.start]);
            body.extend_from_slice(text.as_bytes());
            from = range.end;
        }
        body.extend_from_slice(&self.body[from..]);
        body.into()
    }

    fn usage_edit(&self) -> (Range<usize>, String) {
        if let Some(place) = &self.places.include_usage {
            return (place.clone(), "true".into());
        }
        let Some(place) = &self.places.stream_options else {
            let at = self.places.end;
            return (at..at, r#","stream_options":{"include_usage":true}"#.into());
        };
        if self.body[place.start] != b'{' {
            return (place.clone(), r#"{"include_usage":true}"#.into());
        }
        let inner = self.body[place.start + 1..place.end - 1].trim_ascii();
        let comma = if inner.is_empty() { "" } else { "," };
        let at = place.start + 1;
        (at..at, format!(r#""include_usage":true{comma}"#))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<ChatRequest, DoorError> {
        read_chat(&Bytes::copy_from_slice(text.as_bytes()), 128)
    }

    #[test]
    fn reads_what_is_needed() {
        let request = read(r#"{"messages":[],"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"n":2}"#).unwrap();
        assert_eq!(
            (request.model.as_str(), request.stream, request.asks_usage),
            ("gpt-4o", true, true)
        );
        assert_eq!((request.max_output_tokens, request.n), (Some(5), 2));
        assert_eq!(request.upstream_body("gpt-4o", true), request.body);
    }

    #[test]
    fn only_what_must_change_changes() {
        for (given, sent) in [
            (
                r#"{"model":"a","messages":[],"stream":true}"#,
                r#"{"model":"b","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{ "messages" : [] , "stream":true, "model":"a", "stream_options": { "x":1 } }"#,
                r#"{ "messages" : [] , "stream":true, "model":"b", "stream_options": {"include_usage":true, "x":1 } }"#,
            ),
            (
                r#"{"stream":true,"stream_options":{"include_usage":false},"messages":[],"model":"a"}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"b"}"#,
            ),
            (
                r#"{"stream":true,"stream_options":null,"messages":[],"model":"a"}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"b"}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{},"messages":[],"model":"a"}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"b"}"#,
            ),
            (
                r#"{"stream":false,"messages":[],"model":"a"}"#,
                r#"{"stream":false,"messages":[],"model":"b"}"#,
            ),
        ] {
            assert_eq!(
                read(given).unwrap().upstream_body("b", true),
                sent.as_bytes(),
                "{given}"
            );
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for (body, code) in [
            (
                r#"{"model":"a","model":"b","messages":[]}"#,
                "duplicate_parameter",
            ),
            (
                r#"{"model":"a","messages":[],"n":1,"n":2}"#,
                "duplicate_parameter",
            ),
            (
                r#"{"model":"a","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}"#,
                "duplicate_parameter",
            ),
            (r#"{"\u006dodel":"a","messages":[]}"#, "escaped_parameter"),
            (r#"{"model":"a","messages":[]}{}"#, "invalid_json"),
            (r#"{"model":"a","messages":[]"#, "invalid_json"),
            (r#"[{"model":"a"}]"#, "invalid_json"),
            ("", "invalid_json"),
            (r#"{"messages":[]}"#, "missing_required_parameter"),
            (r#"{"model":"a"}"#, "missing_required_parameter"),
            (r#"{"model":7,"messages":[]}"#, "invalid_type"),
            (r#"{"model":"a","messages":{}}"#, "invalid_type"),
            (
                r#"{"model":"a","messages":[],"stream":"true"}"#,
                "invalid_type",
            ),
            (
                r#"{"model":"a","messages":[],"max_tokens":1.5}"#,
                "invalid_type",
            ),
            (
                r#"{"model":"a","messages":[],"max_tokens":-1}"#,
                "invalid_type",
            ),
            (
                r#"{"model":"a","messages":[],"stream_options":[]}"#,
                "invalid_type",
            ),
        ] {
            assert_eq!(read(body).unwrap_err().code(), code, "{body}");
        }
        let deep = format!(
            r#"{{"model":"a","messages":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        assert_eq!(read(&deep).unwrap_err().code(), "json_too_deep");
        let not_utf8 = Bytes::from_static(b"{\"model\":\"\xff\"}");
        assert_eq!(
            read_chat(&not_utf8, 128).unwrap_err().code(),
            "invalid_json"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics_on_noise(noise in "[{}\\[\\]\",:\\\\ntrue0-9model]{0,80}") {
            let _answer = read(&noise);
        }
    }
}
