//! Objects that live at the provider: responses and conversations that a request goes on from, files, vector stores,
//! containers and prompts that it uses, jobs that run on after it. They belong to whoever made them; until that is
//! tracked, a request that names one is refused.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
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
    let tree: Tree<'_> =
        serde_json::from_str(text).map_err(|_| DoorError::NotJson("it is nested oddly".into()))?;
    match find(&tree, names) {
        Some(name) => Err(DoorError::ProviderState(name)),
        None => Ok(()),
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

/// A value, with each member as often as it stands there: which of two counts, the provider's parser decides.
enum Tree<'a> {
    Text,
    List(Vec<Tree<'a>>),
    Members(Vec<(Cow<'a, str>, Tree<'a>)>),
    Other,
}

/// A name that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree<'de>, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Tree::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Tree<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = object.next_entry()? {
            members.push((name, value));
        }
        Ok(Tree::Members(members))
    }
}

/// The first of `names` that names an object. What a function is declared to take names none.
fn find(value: &Tree<'_>, names: Names) -> Option<&'static str> {
    match value {
        Tree::List(list) => list.iter().find_map(|value| find(value, names)),
        Tree::Members(members) => members.iter().find_map(|(name, value)| {
            if matches!(
                &**name,
                "parameters" | "function" | "input_schema" | "metadata"
            ) {
                return None;
            }
            let known = names.iter().find(|known| *known == name);
            match known {
                Some(known) if names_an_object(known, value) => Some(*known),
                _ => find(value, names),
            }
        }),
        Tree::Text | Tree::Other => None,
    }
}

fn names_an_object(name: &str, value: &Tree<'_>) -> bool {
    match value {
        Tree::Text => name != "audio",
        Tree::List(list) => name != "audio" && list.iter().any(|value| matches!(value, Tree::Text)),
        Tree::Members(members) => name == "audio" && members.iter().any(|(name, _)| name == "id"),
        // A container that the tool makes for itself may be given files.
        Tree::Other => false,
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
