//! Objects that live at the provider: responses and conversations that a request goes on from, files, vector stores,
//! containers and prompts that it uses, jobs that run on after it. They belong to whoever made them; until that is
//! tracked, a request that names one is refused.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::DoorError;
use super::members::Members;
use crate::endpoint::Endpoint;

/// Refuses a request that names an object at the provider, or leaves a job there. `may_name` is whether any text of its body
/// may be a name of such an object's member.
pub(super) fn refuse(
    endpoint: Endpoint,
    members: &Members<'_>,
    may_name: bool,
) -> Result<(), DoorError> {
    match endpoint {
        Endpoint::Chat if may_name => {
            refuse_in(members, "messages", CHAT)?;
            refuse_in(members, "tools", TOOLS)
        }
        Endpoint::Responses => {
            for name in ["previous_response_id", "conversation", "prompt"] {
                if members.get(name).is_some() {
                    return Err(DoorError::ProviderState(name));
                }
            }
            if members.flag("background")? {
                return Err(DoorError::ProviderState("background"));
            }
            match members.get("input") {
                Some(input) if input.starts_with('[') => refuse_items(input)?,
                _ => {}
            }
            if may_name {
                refuse_in(members, "input", FILES)?;
                refuse_in(members, "tools", TOOLS)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// An item of `input` may stand for one that the provider keeps.
fn refuse_items(input: &str) -> Result<(), DoorError> {
    let wrong = DoorError::WrongType {
        name: "input",
        wanted: "a text or a list",
    };
    let items: Vec<&RawValue> = serde_json::from_str(input).map_err(|_| wrong)?;
    for item in items {
        if !item.get().starts_with('{') {
            continue;
        }
        let item = Members::parse(item.get())?;
        item.refuse_other_case(&["type"])?;
        let kind: Option<Cow<'_, str>> = item
            .get("type")
            .and_then(|kind| serde_json::from_str(kind).ok());
        // An item with an id and nothing beside its type is a reference, whatever the type says.
        let others = item
            .0
            .iter()
            .filter(|(name, _)| !matches!(*name, "id" | "type"));
        let is_bare = item.get("id").is_some() && others.count() == 0;
        if is_bare || kind.as_deref() == Some("item_reference") {
            return Err(DoorError::ProviderState("item_reference"));
        }
    }
    Ok(())
}

/// Names of members whose text, or list of texts, names an object.
type Names = &'static [&'static str];

const FILES: Names = &["file_id"];
/// An answer in sound is named by its id: `audio: {id}`.
const CHAT: Names = &["file_id", "audio"];
const TOOLS: Names = &[
    "file_id",
    "file_ids",
    "vector_store_ids",
    "container",
    "container_id",
];

/// Whether a text, as it stands between its quotes, may be one of the names, as it is or with escapes. Nearly no body has one.
pub(super) fn may_be_a_name(text: &[u8], has_escapes: bool) -> bool {
    let mut names = CHAT.iter().chain(FILES).chain(TOOLS);
    names.any(|name| name.as_bytes() == text) || (has_escapes && has_escaped_letters(text))
}

/// Refuses a member in which one of `names` names an object.
fn refuse_in(members: &Members<'_>, member: &str, names: Names) -> Result<(), DoorError> {
    let Some(text) = members.get(member) else {
        return Ok(());
    };
    // It is read as values only where a name can be in it, as it is or with escapes.
    if !has_escaped_letters(text.as_bytes()) && !names.iter().any(|name| has_name(text, name)) {
        return Ok(());
    }
    let mut value = serde_json::Deserializer::from_str(text);
    let seen = Search(names).deserialize(&mut value);
    match seen.map(|seen| seen.found) {
        Ok(None) => Ok(()),
        Ok(Some(name)) => Err(DoorError::ProviderState(name)),
        Err(_) => Err(DoorError::NotJson("it is nested oddly".into())),
    }
}

fn has_name(text: &str, name: &str) -> bool {
    let bytes = text.as_bytes();
    memmem::find_iter(bytes, name)
        .any(|at| at > 0 && bytes[at - 1] == b'"' && bytes.get(at + name.len()) == Some(&b'"'))
}

/// Letters of ASCII and the underscore are never written with escapes but to hide them.
fn has_escaped_letters(text: &[u8]) -> bool {
    memmem::find_iter(text, "\\u00").any(|at| {
        let digits = text.get(at + 4..at + 6);
        digits.is_some_and(|digits| matches!(digits[0], b'4'..=b'7'))
    })
}

/// A name that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What a value is, as far as that decides whether it names an object; and the first name in it that does. Nothing of the
/// value is kept, however much there is of it.
#[derive(Clone, Copy, Default)]
struct Seen {
    is_text: bool,
    is_list_with_text: bool,
    has_id: bool,
    found: Option<&'static str>,
}

/// Looks for names through a value, at each member as often as it stands there: which of two counts, the provider's parser decides.
#[derive(Clone, Copy)]
struct Search(Names);

impl<'de> DeserializeSeed<'de> for Search {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Seen, E> {
        Ok(Seen::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Seen, E> {
        Ok(Seen::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Seen, E> {
        Ok(Seen::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Seen, E> {
        Ok(Seen {
            is_text: true,
            ..Seen::default()
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seen, A::Error> {
        let mut seen = Seen::default();
        while let Some(value) = list.next_element_seed(self)? {
            seen.is_list_with_text |= value.is_text;
            seen.found = seen.found.or(value.found);
        }
        Ok(seen)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Seen, A::Error> {
        let mut seen = Seen::default();
        while let Some(Name(name)) = object.next_key()? {
            seen.has_id |= name == "id";
            // What a function is declared to take names none.
            if matches!(
                &*name,
                "parameters" | "function" | "input_schema" | "metadata"
            ) {
                object.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = object.next_value_seed(self)?;
            let known = self.0.iter().find(|known| **known == name);
            let named = known.filter(|known| names_an_object(known, value));
            seen.found = seen.found.or(named.copied()).or(value.found);
        }
        Ok(seen)
    }
}

/// A container that the tool makes for itself may be given files.
fn names_an_object(name: &str, value: Seen) -> bool {
    match name {
        "audio" => value.has_id,
        _ => value.is_text || value.is_list_with_text,
    }
}

#[cfg(test)]
mod tests {
    use crate::door::read_json;
    use crate::endpoint::Endpoint;

    fn code(endpoint: Endpoint, body: &str) -> Option<&'static str> {
        let read = read_json(endpoint, body.as_bytes(), 64);
        read.err().map(|error| error.code())
    }

    #[test]
    fn what_names_an_object_at_the_provider_is_refused() {
        let chat = |content: &str| format!(r#"{{"model":"m","messages":[{content}]}}"#);
        for content in [
            r#"{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}"#,
            r#"{"role":"user","content":[{"type":"file","file":{"file\u005fid":"file-1"}}]}"#,
            r#"{"role":"assistant","audio":{"id":"audio_1"}}"#,
            // Which of two counts, the provider's parser decides.
            r#"{"role":"user","content":[{"type":"file","file":{"file_id":"file-1","file_id":null}}]}"#,
            r#"{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}],"content":"hi"}"#,
        ] {
            let refused = code(Endpoint::Chat, &chat(content));
            assert_eq!(refused, Some("unsupported_unmetered"), "{content}");
        }
        let responses = |more: &str| format!(r#"{{"model":"m",{more}}}"#);
        for more in [
            r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]"#,
            r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"file-1"}]}]"#,
            r#""input":[{"type":"reasoning","id":"rs_1"}]"#,
            r#""input":"x","prompt":{"id":"pmpt_1"}"#,
            r#""input":"x","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#,
            r#""input":"x","tools":[{"type":"code_interpreter","container":"cntr_1"}]"#,
            r#""input":"x","tools":[{"type":"code_interpreter","container":"cntr_1","container":null}]"#,
            r#""input":"x","tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-1"]}}]"#,
        ] {
            let refused = code(Endpoint::Responses, &responses(more));
            assert_eq!(refused, Some("unsupported_unmetered"), "{more}");
        }
    }

    #[test]
    fn a_name_is_found_behind_much_that_is_none() {
        let numbers = "0,".repeat(1_000_000);
        let body = format!(
            r#"{{"model":"m","messages":[{numbers}{{"content":[[],{{"file_id":["",1]}}]}}]}}"#
        );
        assert_eq!(code(Endpoint::Chat, &body), Some("unsupported_unmetered"));
    }

    #[test]
    fn what_only_looks_like_it_passes() {
        for content in [
            r#"{"role":"user","content":"my \"file_id\" is \"x\""}"#,
            r#"{"role":"user","content":"caf\u00e9 \u0041"}"#,
            r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}}]}"#,
            r#"{"role":"user","content":[{"type":"file","file":{"file_data":"data:;base64,aGk="}}]}"#,
        ] {
            let body = format!(r#"{{"model":"m","messages":[{content}]}}"#);
            assert_eq!(code(Endpoint::Chat, &body), None, "{content}");
        }
        for more in [
            r#""input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}]"#,
            r#""input":"x","tools":[{"type":"function","name":"read","parameters":{"properties":{"file_id":{"type":"string","default":"a"}},"file_id":"b"}}]"#,
            r#""input":"x","tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#,
            r#""input":"x","prompt":null"#,
        ] {
            let body = format!(r#"{{"model":"m",{more}}}"#);
            assert_eq!(code(Endpoint::Responses, &body), None, "{more}");
        }
    }
}
