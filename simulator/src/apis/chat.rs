//! `chat/completions`: how it is asked and answered.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::choices::{Choices, Style};
use super::member;
use super::plan::{self, Made, Plan, Request};
use crate::carrier::{self, Metadata};
use crate::errors::Refusal;
use crate::prompt::Prompt;
use crate::usage::{Usage, UsageShape};

/// What is asked of a chat.
#[derive(Debug)]
pub(crate) struct Ask {
    choices: u64,
    max_tokens: Option<u64>,
    include_usage: bool,
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
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

/// Reads everything but the messages; they stay raw.
pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let read: Body<'_> = member::own(body)?;
    let messages = member::required(body, "messages", read.messages)?;
    let choices = member::choices(read.n, 128)?;
    if read.max_tokens.is_some() && read.max_completion_tokens.is_some() {
        let message =
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(Refusal::invalid("max_tokens", message));
    }
    let stream = read.stream.unwrap_or(false);
    let ask = Ask {
        choices,
        max_tokens: read.max_completion_tokens.or(read.max_tokens),
        include_usage: member::include_usage(read.stream_options, stream)?,
    };
    Ok(Request {
        model: read.model.map(Cow::into_owned),
        stream,
        orders: carrier::read(headers, read.user.as_deref(), read.metadata)?,
        prompt: Prompt::Messages(messages),
        ask: plan::Ask::Chat(ask),
    })
}

/// Answers.
pub(super) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    let (tokens, limited) = plan.length(ask.max_tokens, ask.choices);
    let reasoning = plan.fate.content.reasoning_tokens.min(tokens);
    let usage = Usage {
        prompt: plan.counted.tokens,
        completion: tokens * ask.choices,
        cached: plan.fate.content.cached_tokens.min(plan.counted.tokens),
        reasoning: reasoning * ask.choices,
    };
    Choices {
        style: Style::Chat,
        id: plan.id("chatcmpl-", 29),
        count: ask.choices,
        visible_tokens: tokens - reasoning,
        reasoning_tokens: reasoning,
        limited: plan.limited(limited),
        include_usage: ask.include_usage,
        usage,
        usage_shape: UsageShape::Chat,
    }
    .make(plan)
}
