//! What a request puts in, as far as it is counted. It stays raw until somebody counts it.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::errors::Refusal;
use crate::settings::PromptCount;
use crate::tokens::{Encoding, count_prompt};

/// The countable part of a request.
#[derive(Debug, Clone)]
pub(crate) enum Prompt {
    /// Nothing is counted.
    Nothing,
    /// A text by itself.
    Text(String),
    /// JSON: the messages of a chat.
    Messages(Bytes),
    /// JSON: a text, texts, tokens, or lists of tokens.
    Inputs(Bytes),
    /// JSON: a text or the items of a response's input; and instructions.
    Items(Option<String>, Bytes),
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) tokens: u64,
    /// Texts or lists of tokens, of which each has an answer of its own.
    pub(crate) inputs: u64,
    /// Characters of a text by itself.
    pub(crate) characters: u64,
}

/// One message of a prompt, as far as it is counted.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) role: String,
    pub(crate) content: Option<Content>,
    pub(crate) name: Option<String>,
}

/// What a message says.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message; images and the like have no text.
#[derive(Debug, Deserialize)]
pub(crate) struct Part {
    pub(crate) text: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Inputs {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u64>),
    TokenLists(Vec<Vec<u64>>),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Items {
    Text(String),
    Items(Vec<Item>),
}

/// An item of a response's input: a message, or what a function gave back.
#[derive(Deserialize)]
struct Item {
    role: Option<String>,
    content: Option<Content>,
    output: Option<Content>,
}

impl Prompt {
    /// How large it is.
    pub(crate) fn len_bytes(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Text(text) => text.len(),
            Self::Messages(json) | Self::Inputs(json) | Self::Items(_, json) => json.len(),
        }
    }

    /// Takes the tokens as given; only what must be looked at is looked at.
    pub(crate) fn count_cheaply(&self, tokens: u64) -> Result<Counted, Refusal> {
        let counted = match self {
            Self::Inputs(json) => inputs(|_| 0, json)?,
            Self::Text(text) => Counted {
                characters: text.chars().count() as u64,
                ..one(0)
            },
            Self::Nothing => return Ok(Counted::default()),
            Self::Messages(_) | Self::Items(..) => one(0),
        };
        Ok(Counted { tokens, ..counted })
    }

    /// Counts by a tokenizer.
    pub(crate) fn count(&self, encoding: Encoding, rule: PromptCount) -> Result<Counted, Refusal> {
        match self {
            Self::Nothing => Ok(Counted::default()),
            Self::Text(text) => Ok(Counted {
                tokens: encoding.count(text),
                inputs: 1,
                characters: text.chars().count() as u64,
            }),
            Self::Messages(json) => Ok(one(count_prompt(encoding, rule, &messages(json)?))),
            Self::Inputs(json) => inputs(|text| encoding.count(text), json),
            Self::Items(instructions, json) => {
                let messages = items(instructions.clone(), json)?;
                Ok(one(count_prompt(encoding, rule, &messages)))
            }
        }
    }
}

fn one(tokens: u64) -> Counted {
    Counted {
        tokens,
        inputs: 1,
        characters: 0,
    }
}

fn messages(json: &[u8]) -> Result<Vec<Message>, Refusal> {
    let messages: Vec<Message> = read("messages", json)?;
    if messages.is_empty() {
        return Err(empty("messages"));
    }
    Ok(messages)
}

fn inputs(count: impl Fn(&str) -> u64, json: &[u8]) -> Result<Counted, Refusal> {
    let text = |text: &String| count(text);
    let (tokens, inputs) = match read("input", json)? {
        Inputs::Text(only) => (text(&only), 1),
        Inputs::Texts(texts) => (texts.iter().map(text).sum(), texts.len()),
        Inputs::Tokens(tokens) => (tokens.len() as u64, 1),
        Inputs::TokenLists(lists) => {
            let tokens = lists.iter().map(|list| list.len() as u64).sum();
            (tokens, lists.len())
        }
        Inputs::Parts(parts) => {
            let texts = parts.iter().filter_map(|part| part.text.as_ref());
            (texts.map(text).sum(), parts.len())
        }
    };
    if inputs == 0 {
        return Err(empty("input"));
    }
    Ok(Counted {
        tokens,
        inputs: inputs as u64,
        characters: 0,
    })
}

/// The input of a response as the messages that it amounts to.
fn items(instructions: Option<String>, json: &[u8]) -> Result<Vec<Message>, Refusal> {
    let message = |role: &str, content| Message {
        role: role.to_owned(),
        content,
        name: None,
    };
    let mut messages = Vec::new();
    messages.extend(instructions.map(|text| message("system", Some(Content::Text(text)))));
    match read("input", json)? {
        Items::Text(text) => messages.push(message("user", Some(Content::Text(text)))),
        Items::Items(items) => messages.extend(items.into_iter().map(|item| {
            let role = item.role.as_deref().unwrap_or("tool");
            message(role, item.content.or(item.output))
        })),
    }
    Ok(messages)
}

fn read<T: DeserializeOwned>(param: &str, json: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(json)
        .map_err(|e| Refusal::invalid(param, &format!("Invalid value for '{param}': {e}")))
}

fn empty(param: &str) -> Refusal {
    let message =
        format!("Invalid '{param}': empty array. Expected an array with minimum length 1.");
    Refusal::invalid(param, &message)
}
