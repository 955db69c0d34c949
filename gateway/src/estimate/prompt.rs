//! What of a request is its input, by API: texts, and what the model reads of tools and schemas. Says where it has more
//! than that.
//!
//! Chat overhead as OpenAI documents it ("How to count tokens with tiktoken", OpenAI cookbook): three tokens
//! a message, one more for a name, three to prime the answer. Of a response's input the same is assumed. How tools,
//! calls and schemas are shown to a model is not documented for all: they are counted as the JSON that they are.

use schemas::Api;
use serde_json::Value;

use super::{signed, text_tokens};
use crate::vocabulary::Vocabulary;

const TOKENS_PER_MESSAGE: i64 = 3;
const TOKENS_PER_NAME: i64 = 1;
const TOKENS_TO_PRIME: i64 = 3;

/// Members of a request whose input comes from elsewhere: searches, documents, prompts kept at the provider.
const FROM_ELSEWHERE: [&str; 5] = [
    "data_sources",
    "plugins",
    "prompt",
    "search_parameters",
    "web_search_options",
];

/// Members of messages, items and calls that say what or where they are, and are not shown to the model.
const UNSEEN: [&str; 8] = [
    "annotations",
    "cache_control",
    "call_id",
    "id",
    "logprobs",
    "status",
    "tool_call_id",
    "type",
];

/// The input of a request.
pub(super) struct Input<'a> {
    vocabulary: &'a Vocabulary,
    /// Of all that a tokenizer sees.
    pub(super) tokens: i64,
    /// Whether that is all, and nothing but text was asked for.
    pub(super) is_whole: bool,
}

/// Counts the input of a request; `None` where it cannot be told.
pub(super) fn count<'a>(vocabulary: &'a Vocabulary, api: Api, body: &[u8]) -> Option<Input<'a>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let mut input = Input {
        vocabulary,
        tokens: 0,
        is_whole: true,
    };
    match api {
        Api::Chat => input.chat(&body)?,
        Api::Completions => {
            input.plain(body.get("prompt")?)?;
            input.text(&body["suffix"]);
        }
        Api::Embeddings => input.plain(body.get("input")?)?,
        Api::Responses => input.response(&body)?,
        _ => return None,
    }
    Some(input)
}

impl Input<'_> {
    fn chat(&mut self, body: &Value) -> Option<()> {
        self.messages(body.get("messages")?.as_array()?);
        self.tools(&body["tools"]);
        self.json(&body["functions"]);
        self.json(&body["response_format"]["json_schema"]);
        self.content(&body["prediction"]["content"]);
        self.note_elsewhere(body);
        self.note_not_only_text(body);
        Some(())
    }

    fn response(&mut self, body: &Value) -> Option<()> {
        match &body["instructions"] {
            Value::Null => {}
            instructions => {
                self.tokens += TOKENS_PER_MESSAGE;
                self.content(instructions);
            }
        }
        match body.get("input")? {
            Value::String(text) => {
                self.tokens += TOKENS_TO_PRIME + TOKENS_PER_MESSAGE + 1;
                self.str(text);
            }
            items => self.messages(items.as_array()?),
        }
        self.tools(&body["tools"]);
        self.json(&body["text"]["format"]["schema"]);
        self.note_elsewhere(body);
        Some(())
    }

    fn note_elsewhere(&mut self, body: &Value) {
        self.is_whole &= FROM_ELSEWHERE.iter().all(|name| body[*name].is_null());
    }

    /// Sound and pictures that a chat answers with are no text that could be counted.
    fn note_not_only_text(&mut self, body: &Value) {
        let modalities = body["modalities"].as_array();
        let is_text = |modality: &Value| modality.as_str() == Some("text");
        self.is_whole &= body["audio"].is_null()
            && modalities.is_none_or(|modalities| modalities.iter().all(is_text));
    }

    fn messages(&mut self, list: &[Value]) {
        self.tokens += TOKENS_TO_PRIME;
        for message in list {
            self.tokens += TOKENS_PER_MESSAGE;
            match message["type"].as_str() {
                None
                | Some(
                    "message"
                    | "function_call"
                    | "function_call_output"
                    | "custom_tool_call"
                    | "custom_tool_call_output"
                    | "reasoning",
                ) => self.message(message),
                // What hosted tools did and found.
                Some(_) => self.is_whole = false,
            }
        }
    }

    fn message(&mut self, message: &Value) {
        for (name, value) in message.as_object().into_iter().flatten() {
            match (name.as_str(), value) {
                (name, _) if UNSEEN.contains(&name) => {}
                // Thoughts that only the provider can read.
                ("encrypted_content", Value::String(_)) => self.is_whole = false,
                ("tool_calls", Value::Array(calls)) => {
                    for call in calls {
                        self.call(call);
                    }
                }
                ("function_call", Value::Object(_)) => self.texts_of(value),
                _ => self.content(value),
            }
            let is_name = name == "name" && value.is_string();
            self.tokens += if is_name { TOKENS_PER_NAME } else { 0 };
        }
    }

    /// A call of a function (`function: {name, arguments}`) or of a custom tool (`custom: {name, input}`).
    fn call(&mut self, call: &Value) {
        self.texts_of(&call["function"]);
        self.texts_of(&call["custom"]);
    }

    fn texts_of(&mut self, object: &Value) {
        for (_, value) in object.as_object().into_iter().flatten() {
            self.text(value);
        }
    }

    /// A text, or a list of parts. What is neither is no text.
    fn content(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.str(text),
            Value::Array(parts) => parts.iter().for_each(|part| self.part(part)),
            Value::Object(_) => self.is_whole = false,
            _ => {}
        }
    }

    fn part(&mut self, part: &Value) {
        let text = part.get("text").or_else(|| part.get("refusal"));
        match text.unwrap_or(part) {
            Value::String(text) => self.str(text),
            _ => self.is_whole = false,
        }
    }

    fn tools(&mut self, tools: &Value) {
        self.json(tools);
        let is_hosted =
            |tool: &Value| !matches!(tool["type"].as_str(), Some("function" | "custom"));
        self.is_whole &= !tools.as_array().into_iter().flatten().any(is_hosted);
    }

    fn json(&mut self, value: &Value) {
        if !value.is_null() {
            self.str(&value.to_string());
        }
    }

    fn text(&mut self, value: &Value) {
        if let Value::String(text) = value {
            self.str(text);
        }
    }

    fn str(&mut self, text: &str) {
        self.tokens += text_tokens(self.vocabulary, text);
    }

    /// A text, a list of texts, a list of tokens, or a list of such lists.
    fn plain(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::String(text) => self.str(text),
            Value::Array(list) if list.iter().all(Value::is_number) => {
                self.tokens += signed(list.len());
            }
            Value::Array(list) => {
                return list
                    .iter()
                    .try_for_each(|item| self.plain(item).ok_or(()))
                    .ok();
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
#[path = "prompt_tests.rs"]
mod tests;
