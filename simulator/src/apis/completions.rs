//! `completions`: how it is asked and answered.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::choices::{Choices, Style};
use super::member;
use super::plan::{self, Made, Plan, Request};
use crate::errors::Refusal;
use crate::prompt::Prompt;
use crate::usage::{Usage, UsageShape};

/// The length of an answer where none is asked for, as the API reference has it.
const DEFAULT_TOKENS: u64 = 16;

/// What is asked of a completion.
#[derive(Debug)]
pub(crate) struct Ask {
    choices: u64,
    /// Texts that are made for each prompt; the best are given.
    made: u64,
    max_tokens: u64,
    include_usage: bool,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    n: Option<u64>,
    best_of: Option<u64>,
    max_tokens: Option<u64>,
}

pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let said = member::common(headers, body)?;
    let read: Body<'_> = member::own(body)?;
    let prompt = member::required(body, "prompt", read.prompt)?;
    let choices = member::choices(read.n, 128)?;
    let made = read.best_of.unwrap_or(choices);
    if !(choices..=128).contains(&made) {
        let message = "best_of must be at least n, and at most 128";
        return Err(Refusal::invalid("best_of", message));
    }
    let ask = Ask {
        choices,
        made,
        max_tokens: read.max_tokens.unwrap_or(DEFAULT_TOKENS),
        include_usage: member::include_usage(read.stream_options, said.stream)?,
    };
    Ok(Request {
        model: said.model,
        stream: said.stream,
        orders: said.orders,
        prompt: Prompt::Inputs(prompt),
        ask: plan::Ask::Completions(ask),
    })
}

pub(super) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    let choices = ask.choices * plan.counted.inputs;
    let (tokens, limited) = plan.length(Some(ask.max_tokens), choices);
    let usage = Usage {
        prompt: plan.counted.tokens,
        completion: tokens * ask.made * plan.counted.inputs,
        ..Usage::default()
    };
    Choices {
        style: Style::Completion,
        id: plan.id("cmpl-", 29),
        count: choices,
        visible_tokens: tokens,
        reasoning_tokens: 0,
        limited: plan.limited(limited),
        include_usage: ask.include_usage,
        usage,
        usage_shape: UsageShape::Completions,
    }
    .make(plan)
}
