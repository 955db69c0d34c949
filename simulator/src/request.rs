//! Reading a chat request as strictly as the provider does, and no more of it than is needed:
//! parameters that change nothing here are accepted unread.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::directive::Directive;
use crate::errors::Refusal;

/// A request that has been understood; messages stay raw until somebody counts them.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) choices: u64,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) nonce: Option<String>,
    pub(crate) directive: Directive,
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
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    stream: Option<bool>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    n: Option<u64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    #[serde(borrow)]
    metadata: Option<HashMap<Cow<'a, str>, Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// Reads everything but the messages; gives them back raw.
pub(crate) fn parse(body: &[u8]) -> Result<(ChatRequest, &RawValue), Refusal> {
    let read: Body<'_> = serde_json::from_slice(body).map_err(|e| Refusal::of_json_error(&e))?;
    let messages = read.messages.ok_or_else(|| Refusal::missing("messages"))?;
    let model = read.model.ok_or_else(|| Refusal::missing("model"))?;
    let choices = read.n.unwrap_or(1);
    if !(1..=128).contains(&choices) {
        return Err(Refusal::invalid("n", "n must be between 1 and 128"));
    }
    if read.max_tokens.is_some() && read.max_completion_tokens.is_some() {
        let message =
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(Refusal::invalid("max_tokens", message));
    }
    let stream = read.stream.unwrap_or(false);
    let include_usage = include_usage(read.stream_options, stream)?;
    let mut metadata = read.metadata.unwrap_or_default();
    let order = metadata.remove("sim").unwrap_or_default();
    let directive =
        Directive::parse(&order).map_err(|e| Refusal::invalid("metadata", &e.to_string()))?;
    let request = ChatRequest {
        model: model.into_owned(),
        stream,
        include_usage,
        choices,
        max_tokens: read.max_completion_tokens.or(read.max_tokens),
        nonce: metadata.remove("nonce").map(Cow::into_owned),
        directive,
    };
    Ok((request, messages))
}

fn include_usage(options: Option<&RawValue>, stream: bool) -> Result<bool, Refusal> {
    let Some(options) = options.filter(|raw| raw.get() != "null") else {
        return Ok(false);
    };
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refusal::invalid("stream_options", message));
    }
    let options: StreamOptions =
        serde_json::from_str(options.get()).map_err(|e| Refusal::of_json_error(&e))?;
    Ok(options.include_usage.unwrap_or(false))
}

/// Reads the messages for counting.
pub(crate) fn parse_messages(raw: &str) -> Result<Vec<Message>, Refusal> {
    let messages: Vec<Message> = serde_json::from_str(raw)
        .map_err(|e| Refusal::invalid("messages", &format!("Invalid value for 'messages': {e}")))?;
    if messages.is_empty() {
        return Err(Refusal::invalid(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1.",
        ));
    }
    Ok(messages)
}
