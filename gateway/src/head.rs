//! The head of a provider's answer: what it says, and how the body must be read.

use schemas::event::Throttle;
use schemas::name::Text;

use crate::conclude::{ENCODED, JSON_FOR_STREAM, NOT_JSON};
use crate::meter::reader::Reader;
use crate::meter::scan::Scan;
use crate::meter::stream::{StreamMeter, UsageFor};
use crate::state::{Stage, State};
use crate::upstream::Answer;

/// The reader for what was asked for.
pub fn expected_reader(wants_stream: bool, usage_for: UsageFor) -> Reader {
    if wants_stream {
        Reader::Stream(Box::new(StreamMeter::new(usage_for)))
    } else {
        Reader::Document(Box::default())
    }
}

/// The head of the provider's answer: notes what it says and makes the exchange one that is being answered.
pub fn read_head(state: &mut State, response: Answer) -> http::response::Parts {
    let (parts, body) = response.into_parts();
    let text = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    state.call.head = Some(state.gate.clock.now());
    state.call.status = Some(parts.status.as_u16());
    state.call.provider_request_id = text("x-request-id")
        .or_else(|| text("apim-request-id"))
        .map(Text::cut);
    let remaining = text("x-ratelimit-remaining-tokens").and_then(|count| count.parse().ok());
    state.call.throttle = remaining.map(|count| Throttle {
        remaining: Some(count),
        reset_us: None,
    });
    let kind = text("content-type").unwrap_or_default();
    let wanted_stream = state.reader.is_stream();
    if kind.starts_with("text/event-stream") {
        if !wanted_stream {
            state.reader = expected_reader(true, UsageFor::Client);
        }
    } else if kind.starts_with("application/json") {
        if wanted_stream {
            state.reader = Reader::Document(Box::<Scan>::default());
            state.call.unexpected_content = Some(JSON_FOR_STREAM);
        }
    } else {
        state.reader = Reader::Opaque;
        state.call.unexpected_content = Some(NOT_JSON);
    }
    if text("content-encoding").is_some_and(|encoding| encoding != "identity") {
        state.reader = Reader::Opaque;
        state.call.unexpected_content = Some(ENCODED);
    }
    state.stage = Stage::Answering(body);
    parts
}
