//! The head of a provider's answer: what it says, and how the body must be read.

use schemas::event::Throttle;
use schemas::name::Text;

use crate::meter::coding::{Coded, Coding};
use crate::meter::reader::{ENCODED, Reader};
use crate::meter::sniff::{Declared, Sniff};
use crate::state::{Stage, State};
use crate::upstream::Answer;

/// RFC 9110, 8.3: type and subtype are compared without case, parameters follow a semicolon.
fn essence(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

fn media(essence: &str) -> Declared {
    match essence {
        "" => Declared::Unsaid,
        "text/event-stream" => Declared::Events,
        "application/json" => Declared::Json,
        other if other.starts_with("application/") && other.ends_with("+json") => Declared::Json,
        _ => Declared::Other,
    }
}

/// What some servers call a JSON document as well. Subtitles and sound are nothing else.
fn is_text(essence: &str) -> bool {
    essence == "text/plain"
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
    let kind = text("content-type").map(essence).unwrap_or_default();
    let coding = text("content-encoding");
    let is_other_answer = parts.status.is_success() && state.asking.endpoint.answers_with(&kind);
    let is_text = is_other_answer && is_text(&kind);
    let declared = if is_text {
        Declared::Transcript
    } else {
        media(&kind)
    };
    let sniff = Sniff::new(declared, state.expects);
    let coding = coding.filter(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
    state.reader = match coding.map(Coding::of) {
        _ if is_other_answer && !is_text => Reader::Opaque,
        None => Reader::Sniff(Box::new(sniff)),
        Some(Some(coding)) => {
            let unpacks = sniff.may_change();
            Reader::Coded(Box::new(Coded::new(coding, sniff, unpacks)))
        }
        Some(None) if is_text => Reader::Opaque,
        Some(None) => {
            state.found.unexpected = Some(ENCODED);
            Reader::Opaque
        }
    };
    state.stage = Stage::Answering(body);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_no_case_and_may_be_left_out() {
        for (given, read) in [
            (Some("application/json"), Declared::Json),
            (Some("Application/JSON; charset=utf-8"), Declared::Json),
            (Some("application/problem+json"), Declared::Json),
            (Some("Text/Event-Stream;charset=utf-8"), Declared::Events),
            (Some(" "), Declared::Unsaid),
            (None, Declared::Unsaid),
            (Some("text/html"), Declared::Other),
            (Some("application/jsonlines"), Declared::Other),
        ] {
            let kind = given.map(essence).unwrap_or_default();
            assert_eq!(media(&kind), read, "{given:?}");
        }
    }
}
