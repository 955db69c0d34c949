//! Reads of a JSON body what routing and metering need, and refuses what two parsers could read differently.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::asked::{Asked, Bound, Count, Places};
use super::error::DoorError;
use super::members::{Members, check_depth, place_in};
use super::{provider_state, unbounded};
use crate::endpoint::Endpoint;

/// The members that are read here, whatever the endpoint. A parser that ignores case, as some providers' do, would
/// take `MODEL` for `model`.
const READ: &[&str] = &["model", "stream"];

/// Further members that an endpoint is read for.
fn further(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::Chat => &[
            "messages",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "n",
            "tools",
        ],
        Endpoint::Completions => &["prompt", "stream_options", "max_tokens", "n", "best_of"],
        Endpoint::Responses => &[
            "input",
            "max_output_tokens",
            "background",
            "previous_response_id",
            "conversation",
            "prompt",
            "tools",
        ],
        Endpoint::ImageGenerations | Endpoint::ImageEdits => &["n"],
        Endpoint::Speech => &["input", "stream_format"],
        _ => &[],
    }
}

/// The counts that an endpoint's bodies name.
fn counts(endpoint: Endpoint) -> &'static [(&'static str, Bound)] {
    match endpoint {
        Endpoint::Chat => &[
            ("max_completion_tokens", Bound::OutputTokens),
            ("max_tokens", Bound::OutputTokens),
            ("n", Bound::N),
        ],
        Endpoint::Completions => &[
            ("max_tokens", Bound::OutputTokens),
            ("n", Bound::N),
            ("best_of", Bound::BestOf),
        ],
        Endpoint::Responses => &[("max_output_tokens", Bound::OutputTokens)],
        Endpoint::ImageGenerations => &[("n", Bound::N)],
        _ => &[],
    }
}

/// Reads a body of an endpoint.
pub fn read_json(endpoint: Endpoint, body: &[u8], max_depth: usize) -> Result<Asked, DoorError> {
    let text =
        std::str::from_utf8(body).map_err(|error| DoorError::NotUtf8(error.valid_up_to()))?;
    let has_parts = matches!(endpoint, Endpoint::Chat | Endpoint::Responses);
    let (mut is_unbounded, mut may_name) = (false, false);
    check_depth(body, max_depth, |text, has_escapes| {
        is_unbounded |= has_parts && unbounded::is_named_by(text);
        may_name |= has_parts && provider_state::may_be_a_name(text, has_escapes);
    })?;
    let members = Members::parse(text)?;
    members.refuse_other_case(READ)?;
    members.refuse_other_case(further(endpoint))?;
    let mut asked = Asked {
        places: Places {
            end: text.rfind('}').unwrap_or(0),
            has_members: !members.0.is_empty(),
            ..Places::default()
        },
        is_unbounded: is_unbounded
            || (has_parts && unbounded::has_hosted_tool(&members))
            || unbounded::has_dear_tier(&members),
        ..Asked::default()
    };
    read_model(&members, text, &mut asked)?;
    asked.stream = members.flag("stream")?;
    read_counts(endpoint, &members, text, &mut asked)?;
    match endpoint {
        Endpoint::Chat => needs_messages(&members)?,
        Endpoint::Completions => asked.prompts = prompts(&members),
        Endpoint::Speech => read_speech(&members, &mut asked)?,
        _ => {}
    }
    provider_state::refuse(endpoint, &members, may_name)?;
    if endpoint.has_stream_options() {
        asked.asks_usage = stream_options(&members, text, &mut asked.places)?;
    }
    Ok(asked)
}

fn read_model(members: &Members<'_>, text: &str, asked: &mut Asked) -> Result<(), DoorError> {
    let Some((_, raw)) = members.0.iter().find(|(name, _)| *name == "model") else {
        return Ok(());
    };
    asked.places.model = Some(place_in(text, raw.get()));
    if raw.get() == "null" {
        return Ok(());
    }
    let wrong = DoorError::WrongType {
        name: "model",
        wanted: "a text",
    };
    let model: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_| wrong)?;
    asked.model = Some(model.into_owned());
    Ok(())
}

fn read_counts(
    endpoint: Endpoint,
    members: &Members<'_>,
    text: &str,
    asked: &mut Asked,
) -> Result<(), DoorError> {
    for (name, bound) in counts(endpoint) {
        let Some((_, raw)) = members.0.iter().find(|(member, _)| member == name) else {
            continue;
        };
        asked.counts.push(Count {
            bound: *bound,
            name,
            value: members.count(name)?,
            place: place_in(text, raw.get()),
        });
    }
    Ok(())
}

fn needs_messages(members: &Members<'_>) -> Result<(), DoorError> {
    match members.get("messages") {
        Some(messages) if messages.starts_with('[') => Ok(()),
        Some(_) => Err(DoorError::WrongType {
            name: "messages",
            wanted: "a list",
        }),
        None => Err(DoorError::Missing("messages")),
    }
}

/// Each text in a list is answered by itself, and each list of tokens; a list of tokens alone is one text.
fn prompts(members: &Members<'_>) -> i64 {
    let Some(list) = members
        .get("prompt")
        .filter(|prompt| prompt.starts_with('['))
    else {
        return 1;
    };
    let first = list[1..].trim_ascii_start();
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        return 1;
    }
    let prompts: Vec<IgnoredAny> = serde_json::from_str(list).unwrap_or_default();
    i64::try_from(prompts.len()).unwrap_or(i64::MAX)
}

/// A speech is billed by its characters where its answer has no figures, and streamed if it is asked for as events.
fn read_speech(members: &Members<'_>, asked: &mut Asked) -> Result<(), DoorError> {
    if let Some(format) = members.get("stream_format") {
        asked.stream = format == "\"sse\"";
    }
    let raw = members.get("input").ok_or(DoorError::Missing("input"))?;
    let wrong = DoorError::WrongType {
        name: "input",
        wanted: "a text",
    };
    let input: Cow<'_, str> = serde_json::from_str(raw).map_err(|_| wrong)?;
    asked.characters = i64::try_from(input.chars().count()).ok();
    Ok(())
}

fn stream_options(
    members: &Members<'_>,
    text: &str,
    places: &mut Places,
) -> Result<bool, DoorError> {
    let raw = members.0.iter().find(|(name, _)| *name == "stream_options");
    let Some((_, raw)) = raw else {
        return Ok(false);
    };
    places.stream_options = Some(place_in(text, raw.get()));
    if raw.get() == "null" {
        return Ok(false);
    }
    if !raw.get().starts_with('{') {
        return Err(DoorError::WrongType {
            name: "stream_options",
            wanted: "an object",
        });
    }
    let options = Members::parse(raw.get())?;
    options.refuse_other_case(&["include_usage"])?;
    let asked = options.0.iter().find(|(name, _)| *name == "include_usage");
    places.include_usage = asked.map(|(_, value)| place_in(text, value.get()));
    options.flag("include_usage")
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
