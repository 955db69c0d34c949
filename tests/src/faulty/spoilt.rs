//! Calls that the provider spoils.

use super::{CHAT, Carried, Case, bearer, good_body};
use crate::raw::post;

/// What is wrong, model, order to the simulator, stream or not, the app's status, our code, outcome, detail.
const FAULTS: &str = "
JSON for a stream | gpt-4o-mini | json_for_stream | stream | 200 | | completed | stream_answered_with_json
HTML for a stream | gpt-4o-mini | html200 | stream | 200 | | upstream_error | unexpected_content_type
HTML for JSON | gpt-4o-mini | html200 | plain | 200 | | upstream_error | unexpected_content_type
a proxy's page | gpt-4o-mini | html502 | stream | 502 | | upstream_error | upstream_status_502
a 400 | gpt-4o-mini | status=400 | plain | 400 | | upstream_error | upstream_status_400
a 401 | gpt-4o-mini | status=401 | plain | 401 | | upstream_error | upstream_status_401
a 429 | gpt-4o-mini | status=429 | stream | 429 | | upstream_error | provider_quota
a 500 | gpt-4o-mini | status=500 | plain | 500 | | upstream_error | upstream_status_500
an error event | gpt-4o-mini | error_event=2 | stream | 200 | | upstream_error | error_event
an error event at once | gpt-4o-mini | error_event=0 | stream | 200 | | upstream_error | error_event
a reset before the head | gpt-4o-mini | reset_head | plain | 502 | upstream_reset | upstream_error | upstream_reset
a reset in the stream | gpt-4o-mini | reset_mid=2 | stream | 200 | | upstream_error | upstream_reset
a reset in the document | gpt-4o-mini | reset_mid=2 | plain | 200 | | upstream_error | upstream_reset
a reset before the usage | gpt-4o-mini | reset_before_usage | stream | 200 | | upstream_error | upstream_reset
no usage | gpt-4o-mini | no_usage | stream | 200 | | completed |
a redirect | redirecting | | plain | 307 | | upstream_error | upstream_status_307
an empty error | empty | | stream | 503 | | upstream_error | upstream_status_503
no content | no-content | | plain | 204 | | upstream_error | unexpected_content_type
no HTTP | garbage | | plain | 502 | upstream_reset | upstream_error | upstream_reset
an end at once | closing | | stream | 502 | upstream_reset | upstream_error | upstream_reset
JSON that is none | broken-json | | plain | 200 | | upstream_error | answer_ended_early
a document too short | too-short | | plain | 200 | | upstream_error | upstream_reset
a head without an end | huge-head | | plain | 502 | upstream_reset | upstream_error | upstream_reset
an error as text | error-text | | plain | 503 | | upstream_error | upstream_status_503
nobody there | unreachable | | stream | 502 | upstream_unreachable | upstream_error | upstream_unreachable
";

/// Calls that the provider spoils.
pub fn spoilt(carried: &Carried) -> Vec<Case> {
    let faults = FAULTS.lines().filter(|line| !line.is_empty());
    faults.map(|fault| case(fault, carried)).collect()
}

fn case(fault: &'static str, carried: &Carried) -> Case {
    let fields: Vec<&str> = fault.split('|').map(str::trim).collect();
    let [name, model, order, kind, status, code, outcome, detail] = fields[..] else {
        panic!("`{fault}` has not eight fields");
    };
    let body = good_body(model, order, kind == "stream", &carried.prompt);
    Case {
        name,
        pieces: vec![post(CHAT, &bearer(&carried.secret), body.as_bytes())],
        status: status.parse().expect("a status is a number"),
        code,
        outcome,
        detail,
    }
}
