//! The values of orders, from text. Which order takes which is told in `directive`.

use crate::fate::{Break, Filter, Framing, Place, Tools};
use crate::settings::FinishReason;
use crate::usage::BadUsage;

/// Calls of one tool in one order.
const MAX_TOOL_CALLS: u64 = 64;

pub(super) fn status(number: u64) -> Option<u16> {
    u16::try_from(number)
        .ok()
        .filter(|status| (400..=599).contains(status))
}

pub(super) fn stall_mid(value: &str) -> Option<Break> {
    let (events, ms) = value.split_once(':')?;
    Some(Break::Stall(
        Place::AfterEvents(events.parse().ok()?),
        ms.parse().ok()?,
    ))
}

pub(super) fn finish(value: &str) -> Option<FinishReason> {
    match value {
        "length" => Some(FinishReason::Length),
        "stop" => Some(FinishReason::Stop),
        _ => None,
    }
}

pub(super) fn bad_usage(value: &str) -> Option<BadUsage> {
    Some(match value {
        "negative" => BadUsage::Negative,
        "fraction" => BadUsage::Fraction,
        "text" => BadUsage::Text,
        "huge" => BadUsage::Huge,
        "sum" => BadUsage::Sum,
        "extra" => BadUsage::Extra,
        "cached" => BadUsage::Cached,
        "null" => BadUsage::Null,
        _ => return None,
    })
}

pub(super) fn framing(value: &str) -> Option<Framing> {
    Some(match value {
        "length" => Framing::Length,
        "chunked" => Framing::Chunked,
        "close" => Framing::Close,
        _ => return None,
    })
}

pub(super) fn filter(value: &str) -> Option<Filter> {
    Some(match value {
        "prompt" => Filter::Prompt,
        "answer" => Filter::Answer,
        _ => return None,
    })
}

pub(super) fn tier(value: &str) -> Option<&'static str> {
    ["auto", "default", "flex", "priority", "scale"]
        .into_iter()
        .find(|known| *known == value)
}

pub(super) fn tools(value: &str) -> Option<Tools> {
    let (kind, count) = match value.split_once(':') {
        None => (value, 1),
        Some((kind, count)) => (kind, count.parse().ok()?),
    };
    if count > MAX_TOOL_CALLS {
        return None;
    }
    let mut tools = Tools::default();
    match kind {
        "web_search" => tools.web_search = count,
        "file_search" => tools.file_search = count,
        "code_interpreter" => tools.code_interpreter = count,
        "image_generation" => tools.image_generation = count,
        "function" => tools.function = count,
        _ => return None,
    }
    Some(tools)
}

/// Several orders of tools are one order of all.
pub(super) fn add(to: &mut Tools, more: Tools) {
    to.web_search += more.web_search;
    to.file_search += more.file_search;
    to.code_interpreter += more.code_interpreter;
    to.image_generation += more.image_generation;
    to.function += more.function;
}
