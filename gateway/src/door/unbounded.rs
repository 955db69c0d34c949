//! Whether the input of a request can be more than its body has bytes: pictures, sound, films and files count by what
//! they show, and tools that run at the provider read what they find. Or whether it is to be charged as no price book need know.
//!
//! Mistaken only towards "yes": then a reservation has no bound, which a report says. What must not live here: what is
//! reserved (see `limits`).

use std::borrow::Cow;

use serde::Deserialize;

use super::members::Members;

/// Names of such parts and of what they hold: `OpenAI` API reference, and what other servers add to it.
const NAMES: [&str; 20] = [
    "audio",
    "audio_url",
    "computer_screenshot",
    "data_sources",
    "document_url",
    "file_data",
    "file_id",
    "file_url",
    "image",
    "image_embeds",
    "image_generation_call",
    "image_url",
    "input_audio",
    "input_file",
    "input_image",
    "input_video",
    "plugins",
    "search_parameters",
    "video_url",
    "web_search_options",
];

const SHORTEST_BYTES: usize = 5;
const LONGEST_BYTES: usize = 21;
/// Of a byte, written with an escape.
const ESCAPE_BYTES: usize = 6;

/// Whether a text of a body, as it stands between its quotes, is the name of such a part.
pub(super) fn is_named_by(text: &[u8]) -> bool {
    if text.len() < SHORTEST_BYTES || text.len() > LONGEST_BYTES * ESCAPE_BYTES {
        return false;
    }
    if text.len() <= LONGEST_BYTES && NAMES.iter().any(|name| name.as_bytes() == text) {
        return true;
    }
    // Letters of ASCII and the underscore are written with escapes only to hide them. Any other text has a space or a stop.
    let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'\\');
    let hides = |w: &[u8]| w.starts_with(b"\\u00") && matches!(w[4], b'4'..=b'7');
    text.iter().all(is_of_name) && text.windows(ESCAPE_BYTES).any(hides)
}

/// A tool, as far as its kind.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
}

/// Whether a tool is not the app's own to run.
pub(super) fn has_hosted_tool(members: &Members<'_>) -> bool {
    let Some(tools) = members.get("tools") else {
        return false;
    };
    let is_own = |tool: &Tool<'_>| matches!(&*tool.kind, "function" | "custom");
    serde_json::from_str::<Vec<Tool<'_>>>(tools).map_or(true, |tools| !tools.iter().all(is_own))
}

/// Tiers that cost no more than the usual one: what OpenAI, Azure, Groq and Anthropic's compatible door call it, and cheaper ones.
const USUAL_TIERS: [&str; 6] = [
    "auto",
    "default",
    "flex",
    "on_demand",
    "standard",
    "standard_only",
];

/// Whether it asks for a tier that may be dearer than the usual one.
pub(super) fn has_dear_tier(members: &Members<'_>) -> bool {
    let Some(tier) = members.get("service_tier") else {
        return false;
    };
    let named = serde_json::from_str::<Option<Cow<'_, str>>>(tier);
    named.map_or(true, |tier| {
        tier.is_some_and(|tier| !USUAL_TIERS.contains(&&*tier))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::read_json;
    use crate::endpoint::Endpoint;

    fn is_unbounded(endpoint: Endpoint, more: &str) -> bool {
        let body = format!(r#"{{"model":"m",{more}}}"#);
        let asked = read_json(endpoint, body.as_bytes(), 64).unwrap();
        asked.is_unbounded
    }

    #[test]
    fn the_lengths_are_those_of_the_names() {
        let lengths = || NAMES.iter().map(|name| name.len());
        assert_eq!(lengths().min(), Some(SHORTEST_BYTES));
        assert_eq!(lengths().max(), Some(LONGEST_BYTES));
    }

    #[test]
    fn what_is_more_than_its_bytes_is_seen() {
        for more in [
            r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/1.png"}}]}]"#,
            r#""messages":[{"role":"user","content":[{"type":"image\u005furl","image\u005Furl":{"url":"https://a.example/1.png"}}]}]"#,
            r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}}]}]"#,
            r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:;base64,aGk="}}]}]"#,
            r#""messages":[],"web_search_options":{}"#,
            r#""messages":[],"tools":[{"type":"browser_search"}]"#,
            r#""messages":[],"tools":[{"google_search":{}}]"#,
            r#""messages":[],"tools":{}"#,
            r#""messages":[],"service_tier":"priority""#,
            r#""messages":[],"service_tier":"f\u0061st""#,
            r#""messages":[],"service_tier":1"#,
        ] {
            assert!(is_unbounded(Endpoint::Chat, more), "{more}");
        }
        for more in [
            r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"https://a.example/1.png"}]}]"#,
            r#""input":[{"role":"user","content":[{"type":"input_file","file_url":"https://a.example/1.pdf"}]}]"#,
            r#""input":"x","tools":[{"type":"function","name":"f"},{"type":"web_search"}]"#,
        ] {
            assert!(is_unbounded(Endpoint::Responses, more), "{more}");
        }
    }

    #[test]
    fn text_and_functions_are_not() {
        for more in [
            r#""messages":[{"role":"user","content":"what is an \"image_url\", caf\u00e9?\n"}]"#,
            r#""messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},{"type":"custom"}]"#,
            r#""messages":[],"tools":null"#,
            r#""messages":[],"service_tier":null"#,
            r#""messages":[],"service_tier":"auto""#,
            r#""messages":[],"service_tier":"flex""#,
        ] {
            assert!(!is_unbounded(Endpoint::Chat, more), "{more}");
        }
        // Where no such part is known, its name is a text like any other.
        let words = r#""input":["image","image_url"]"#;
        assert!(!is_unbounded(Endpoint::Embeddings, words));
    }
}
