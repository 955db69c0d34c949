//! The texts of a request that are its input, by API.
//!
//! Chat overhead as OpenAI documents it ("How to count tokens with tiktoken", OpenAI cookbook): three tokens
//! a message, one more for a name, three to prime the answer. Of a response's input the same is assumed.

use schemas::Api;
use serde_json::Value;
use tiktoken_rs::CoreBPE;

use super::{signed, text_tokens};

const TOKENS_PER_MESSAGE: i64 = 3;
const TOKENS_PER_NAME: i64 = 1;
const TOKENS_TO_PRIME: i64 = 3;

/// The input tokens of a request; `None` where they cannot be told.
pub(super) fn tokens(vocabulary: &CoreBPE, api: Api, body: &[u8]) -> Option<i64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match api {
        Api::Chat => messages(vocabulary, body.get("messages")?),
        Api::Completions => inputs(vocabulary, body.get("prompt")?),
        Api::Embeddings => inputs(vocabulary, body.get("input")?),
        Api::Responses => {
            let instructions = body.get("instructions").and_then(Value::as_str);
            let before =
                instructions.map_or(0, |text| TOKENS_PER_MESSAGE + text_tokens(vocabulary, text));
            let input = match body.get("input")? {
                Value::String(text) => {
                    TOKENS_TO_PRIME + TOKENS_PER_MESSAGE + 1 + text_tokens(vocabulary, text)
                }
                items => messages(vocabulary, items)?,
            };
            Some(before + input)
        }
        _ => None,
    }
}

fn messages(vocabulary: &CoreBPE, list: &Value) -> Option<i64> {
    let mut tokens = TOKENS_TO_PRIME;
    for message in list.as_array()? {
        tokens += TOKENS_PER_MESSAGE;
        for (name, value) in message.as_object().into_iter().flatten() {
            // Says what an item is, and is not shown to the model.
            if matches!(name.as_str(), "type" | "id" | "status") {
                continue;
            }
            tokens += texts(vocabulary, value);
            tokens += if name == "name" { TOKENS_PER_NAME } else { 0 };
        }
    }
    Some(tokens)
}

/// The texts in a value: itself, or the `text` parts of a list. Images and audio are not text.
fn texts(vocabulary: &CoreBPE, value: &Value) -> i64 {
    match value {
        Value::String(text) => text_tokens(vocabulary, text),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .map(|text| text_tokens(vocabulary, text))
            .sum(),
        _ => 0,
    }
}

/// A text, a list of texts, a list of tokens, or a list of such lists.
fn inputs(vocabulary: &CoreBPE, value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => Some(text_tokens(vocabulary, text)),
        Value::Array(list) if list.iter().all(Value::is_number) => Some(signed(list.len())),
        Value::Array(list) => list.iter().map(|item| inputs(vocabulary, item)).sum(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_has_its_texts_where_it_has_them() {
        let vocabulary = tiktoken_rs::o200k_base().unwrap();
        let count = |api, body: &str| tokens(&vocabulary, api, body.as_bytes());
        for (api, body, expected) in [
            (Api::Completions, r#"{"prompt":"hello world"}"#, Some(2)),
            (
                Api::Completions,
                r#"{"prompt":["hello world","hello"]}"#,
                Some(3),
            ),
            (Api::Embeddings, r#"{"input":[1,2,3]}"#, Some(3)),
            (Api::Embeddings, r#"{"input":[[1,2],[3]]}"#, Some(3)),
            (Api::Embeddings, r#"{"input":{}}"#, None),
            (Api::Responses, r#"{"input":"hello world"}"#, Some(9)),
            (
                Api::Responses,
                r#"{"instructions":"hello","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hello world"}]}]}"#,
                Some(13),
            ),
            (Api::Moderations, r#"{"input":"hello"}"#, None),
            (Api::Chat, "{}", None),
        ] {
            assert_eq!(count(api, body), expected, "{body}");
        }
    }
}
