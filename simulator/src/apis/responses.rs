//! `responses`: how it is asked, and what an answer consists of. How it is streamed is told in `responses/events`,
//! what tools leave behind in `responses/tools`.

mod events;
mod object;
mod tools;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::object::Object;
use super::member;
use super::plan::{self, EVENTS, JSON, Made, Plan, Request};
use crate::body::Script;
use crate::errors::Refusal;
use crate::fate::Filter;
use crate::plain::{Pieces, Plain};
use crate::prompt::Prompt;
use crate::stream::{Ending, Stream};
use crate::usage::{Usage, UsageMode};

/// A response stands in memory whole, and several times; so many tokens at the most.
const MAX_TOKENS: u64 = 4 * 1024 * 1024;

/// What is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    instructions: Option<String>,
    max_output_tokens: Option<u64>,
}

/// How a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Completed,
    /// Cut off, and why.
    Incomplete(&'static str),
    Failed,
}

pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Request, Refusal> {
    let said = member::common(headers, body)?;
    let read: Body<'_> = member::own(body)?;
    let input = member::required(body, "input", read.input)?;
    Ok(Request {
        model: said.model,
        stream: said.stream,
        orders: said.orders,
        prompt: Prompt::Items(read.instructions, input),
        ask: plan::Ask::Responses(Ask {
            max_tokens: read.max_output_tokens,
        }),
    })
}

pub(super) fn make(plan: &Plan<'_>, ask: &Ask) -> Made {
    let (tokens, limited) = plan.length(ask.max_tokens, 1);
    let tokens = tokens.min(MAX_TOKENS);
    let status = status(plan, limited);
    let reasoning = plan.fate.content.reasoning_tokens.min(tokens);
    let usage = Usage {
        prompt: plan.counted.tokens,
        completion: tokens,
        cached: plan.fate.content.cached_tokens.min(plan.counted.tokens),
        reasoning,
    };
    let lines = if status == Status::Failed {
        Vec::new()
    } else {
        tools::lines(plan, usage)
    };
    let object = Object::new(plan, status, usage);
    let (script, content_type) = if plan.streams {
        let events = events::Events::new(plan, object);
        let stream = Stream::new(events, Ending::Typed, plan.fate);
        (Script::Stream(Box::new(stream)), EVENTS)
    } else {
        (Script::Plain(plain(plan, &object)), JSON)
    };
    // A response that failed is not charged.
    let usage = if status == Status::Failed {
        Usage::default()
    } else {
        usage
    };
    Made {
        script,
        content_type,
        usage,
        lines,
    }
}

fn status(plan: &Plan<'_>, limited: bool) -> Status {
    let content = &plan.fate.content;
    if content.failed {
        Status::Failed
    } else if content.filter == Some(Filter::Answer) {
        Status::Incomplete("content_filter")
    } else if plan.limited(limited) {
        Status::Incomplete("max_output_tokens")
    } else {
        Status::Completed
    }
}

fn plain(plan: &Plan<'_>, object: &Object) -> Plain {
    let told = plan.fate.usage != UsageMode::Nowhere && object.status != Status::Failed;
    let mut pieces = Pieces::default();
    pieces.bytes(object.before_output());
    let counted = if object.status == Status::Failed {
        0
    } else {
        object.usage.completion
    };
    pieces.counted(object.output(), counted);
    pieces.bytes(object.after_output());
    pieces.before_usage();
    if told {
        pieces.usage(object.usage_member(plan.fate.bad_usage));
    }
    pieces.bytes("}");
    Plain::new(pieces, plan.fate)
}
