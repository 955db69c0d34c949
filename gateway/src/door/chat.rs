//! What a chat call asks, and its body for the provider.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::error::DoorError;
use super::members::{Members, check_depth, place_in};

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

/// Reads a chat request.
pub fn read_chat(body: &Bytes, max_depth: usize) -> Result<ChatRequest, DoorError> {
    let text =
        std::str::from_utf8(body).map_err(|error| DoorError::NotUtf8(error.valid_up_to()))?;
    check_depth(text.as_bytes(), max_depth)?;
    let members = Members::parse(text)?;
    let asked = read_members(&members, text)?;
    Ok(ChatRequest {
        body: body.clone(),
        ..asked
    })
}

/// The members that are read here. A parser that ignores case, as some providers' do, would take `MODEL` for `model`.
const READ: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
];

fn read_members(members: &Members<'_>, text: &str) -> Result<ChatRequest, DoorError> {
    members.refuse_other_case(READ)?;
    let model_raw = members.get("model").ok_or(DoorError::Missing("model"))?;
    let wrong = DoorError::WrongType {
        name: "model",
        wanted: "a text",
    };
    let model: Cow<'_, str> = serde_json::from_str(model_raw).map_err(|_| wrong)?;
    if members
        .get("messages")
        .is_none_or(|messages| !messages.starts_with('['))
    {
        return Err(match members.get("messages") {
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
    let asks_usage = stream_options(members, text, &mut places)?;
    let completion = members.count("max_completion_tokens")?;
    Ok(ChatRequest {
        body: Bytes::new(),
        model: model.into_owned(),
        stream: members.flag("stream")?,
        asks_usage,
        max_output_tokens: completion.or(members.count("max_tokens")?),
        n: members.count("n")?.unwrap_or(1).max(1),
        places,
    })
}

fn stream_options(
    members: &Members<'_>,
    text: &str,
    places: &mut Places,
) -> Result<bool, DoorError> {
    let raw = members.0.iter().find(|(name, _)| *name == "stream_options");
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
    options.refuse_other_case(&["include_usage"])?;
    let asked = options.0.iter().find(|(name, _)| *name == "include_usage");
    places.include_usage = asked.map(|(_, value)| place_in(text, value.get()));
    options.flag("include_usage")
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
            (
                r#"{"model":"a","messages":[],"MODEL":"b"}"#,
                "ambiguous_parameter",
            ),
            (
                r#"{"model":"a","messages":[],"stream_options":{"Include_Usage":false}}"#,
                "ambiguous_parameter",
            ),
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
