//! The head of a provider's answer: what it says, and how the body must be read.

use axum::http::{HeaderValue, header};
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

/// What an answer says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Events,
    Json,
    Unsaid,
    Other,
}

/// RFC 9110, 8.3: type and subtype are compared without case, parameters follow a semicolon.
fn essence(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

fn media(content_type: Option<&str>) -> Media {
    let Some(content_type) = content_type else {
        return Media::Unsaid;
    };
    match essence(content_type).as_str() {
        "" => Media::Unsaid,
        "text/event-stream" => Media::Events,
        "application/json" => Media::Json,
        other if other.starts_with("application/") && other.ends_with("+json") => Media::Json,
        _ => Media::Other,
    }
}

/// Whether the head says that no body follows.
fn is_empty(parts: &http::response::Parts) -> bool {
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .map(HeaderValue::as_bytes);
    length == Some(b"0") || matches!(parts.status.as_u16(), 204 | 205 | 304)
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
    let (kind, coding) = (media(text("content-type")), text("content-encoding"));
    let wanted_stream = state.reader.is_stream();
    match kind {
        Media::Events if !wanted_stream => state.reader = expected_reader(true, UsageFor::Client),
        Media::Json if wanted_stream => {
            state.reader = Reader::Document(Box::<Scan>::default());
            state.call.unexpected_content = Some(JSON_FOR_STREAM);
        }
        Media::Events | Media::Json => {}
        // A provider that does not say what it sends most likely sends what it was asked for, if it sends anything.
        Media::Unsaid if parts.status.is_success() && !is_empty(&parts) => {}
        Media::Unsaid | Media::Other => {
            state.reader = Reader::Opaque;
            let is_answer = parts.status.is_success()
                && text("content-type")
                    .is_some_and(|kind| state.asking.endpoint.answers_with(&essence(kind)));
            state.call.unexpected_content = (!is_answer).then_some(NOT_JSON);
        }
    }
    if coding.is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity")) {
        state.reader = Reader::Opaque;
        state.call.unexpected_content = Some(ENCODED);
    }
    state.stage = Stage::Answering(body);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_no_case_and_may_be_left_out() {
        for (given, read) in [
            (Some("application/json"), Media::Json),
            (Some("Application/JSON; charset=utf-8"), Media::Json),
            (Some("application/problem+json"), Media::Json),
            (Some("Text/Event-Stream;charset=utf-8"), Media::Events),
            (Some(" "), Media::Unsaid),
            (None, Media::Unsaid),
            (Some("text/html"), Media::Other),
            (Some("application/jsonlines"), Media::Other),
        ] {
            assert_eq!(media(given), read, "{given:?}");
        }
    }
}
