//! Which path leads where, and the headers that all answers share. `/control`, `/truth` and `/seen` are the
//! simulator's own and never shown to an app.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::json;

use crate::body::SimBody;
use crate::chat::chat;
use crate::connection::ConnectionFlags;
use crate::control::Control;
use crate::errors::Refusal;
use crate::fate::mix;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::models;
use crate::seen::Seen;
use crate::truth::{AnswerGuard, TruthLog};

/// A change of settings is no larger.
const MAX_CONTROL_BYTES: usize = 1024 * 1024;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// What all connections share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) control: Control,
    pub(crate) truth: TruthLog,
    pub(crate) keys: Keys,
    pub(crate) limits: Limits,
    pub(crate) seen: Seen,
}

/// Answers one request; an error breaks the connection.
pub(crate) async fn route(
    state: Arc<State>,
    flags: Arc<ConnectionFlags>,
    request: Request<Incoming>,
) -> io::Result<Response<SimBody>> {
    let path = request.uri().path();
    let is_api = path.starts_with("/v1/");
    if is_api {
        state.seen.push(
            state.control.get().seen_requests,
            request.method(),
            request.uri(),
            request.headers(),
        );
    }
    match (request.method(), path) {
        (&Method::POST, "/v1/chat/completions") => chat(&state, &flags, request).await,
        (&Method::GET, _) if is_api => Ok(api_get(&state, &request)),
        (&Method::POST, "/control") => Ok(change_settings(&state, request.into_body()).await),
        (&Method::POST, "/truth/reset") => {
            state.truth.reset();
            Ok(own_json(&json!({"reset": true})))
        }
        (&Method::GET, _) => Ok(own_get(&state, &request)),
        _ => Ok(not_found(&request)),
    }
}

fn api_get(state: &State, request: &Request<Incoming>) -> Response<SimBody> {
    if let (_, Err(bad)) = state.keys.check(request.headers()) {
        return refusal(&bad, None);
    }
    let settings = state.control.get();
    match request.uri().path().strip_prefix("/v1/models") {
        Some("") => {
            let entries: Vec<_> = models::names(&settings)
                .iter()
                .map(|name| models::entry(name))
                .collect();
            own_json(&json!({"object": "list", "data": entries}))
        }
        Some(rest) if rest.starts_with('/') => match models::find(&settings, &rest[1..]) {
            Some(_) => own_json(&models::entry(&rest[1..])),
            None => refusal(&Refusal::unknown_model(&rest[1..]), None),
        },
        _ => not_found(request),
    }
}

fn own_get(state: &State, request: &Request<Incoming>) -> Response<SimBody> {
    match request.uri().path() {
        "/control" => own_json(&*state.control.get()),
        "/truth" => match since(request.uri().query()) {
            Some(seq) => own_answer(200, "application/x-ndjson", state.truth.ndjson(seq)),
            None => refusal(
                &Refusal::invalid("since", "give /truth?since=SEQ with a whole number"),
                None,
            ),
        },
        "/truth/summary" => own_json(&state.truth.summary()),
        "/seen" => own_json(&state.seen.all()),
        "/health" => own_json(&json!({"status": "ok"})),
        _ => not_found(request),
    }
}

fn since(query: Option<&str>) -> Option<u64> {
    match query {
        None | Some("") => Some(0),
        Some(query) => query.strip_prefix("since=")?.parse().ok(),
    }
}

async fn change_settings(state: &State, body: Incoming) -> Response<SimBody> {
    let Ok(body) = Limited::new(body, MAX_CONTROL_BYTES).collect().await else {
        return refusal(&Refusal::too_large(), None);
    };
    match state.control.patch(&body.to_bytes()) {
        Ok(settings) => own_json(&*settings),
        Err(error) => refusal(&Refusal::bad_control(&error.to_string()), None),
    }
}

fn not_found(request: &Request<Incoming>) -> Response<SimBody> {
    refusal(
        &Refusal::unknown_url(request.method().as_str(), request.uri().path()),
        None,
    )
}

fn own_json(value: &impl serde::Serialize) -> Response<SimBody> {
    match serde_json::to_vec(value) {
        Ok(body) => own_answer(200, "application/json", body),
        Err(error) => own_answer(500, "text/plain", error.to_string().into_bytes()),
    }
}

fn own_answer(status: u16, content_type: &'static str, body: Vec<u8>) -> Response<SimBody> {
    let head = answer_head(status, content_type, 0, Duration::ZERO);
    Response::from_parts(head, SimBody::whole(body, None))
}

/// An error in the provider's shape; ends the answer's line when it is handed over.
pub(crate) fn refusal(refusal: &Refusal, guard: Option<AnswerGuard>) -> Response<SimBody> {
    whole(refusal.status, "application/json", refusal.body(), guard)
}

/// A page of HTML where an answer should be.
pub(crate) fn html(status: u16, page: &'static str, guard: AnswerGuard) -> Response<SimBody> {
    whole(status, "text/html; charset=UTF-8", page, Some(guard))
}

fn whole(
    status: u16,
    content_type: &'static str,
    body: impl Into<bytes::Bytes>,
    mut guard: Option<AnswerGuard>,
) -> Response<SimBody> {
    let seq = guard.as_ref().map_or(0, AnswerGuard::request_seq);
    if let Some(guard) = &mut guard {
        guard.set_status(status);
    }
    Response::from_parts(
        answer_head(status, content_type, seq, Duration::ZERO),
        SimBody::whole(body, guard),
    )
}

/// Status and the headers that the provider sends with everything.
pub(crate) fn answer_head(
    status: u16,
    content_type: &'static str,
    seq: u64,
    took: Duration,
) -> Parts {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let request_id = format!("req_{:016x}{:016x}", mix(seq), mix(seq ^ u64::MAX));
    let fixed = [
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "200000"),
    ];
    let (requests, tokens) = if status == 429 {
        ("0", "0")
    } else {
        ("9999", "199000")
    };
    let headers = &mut head.headers;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in fixed {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers.insert(
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderValue::from_static(requests),
    );
    headers.insert(
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderValue::from_static(tokens),
    );
    headers.insert(
        HeaderName::from_static("x-ratelimit-reset-requests"),
        HeaderValue::from_static("6ms"),
    );
    headers.insert(
        HeaderName::from_static("x-ratelimit-reset-tokens"),
        HeaderValue::from_static("300ms"),
    );
    insert_text(headers, X_REQUEST_ID, &request_id);
    insert_text(headers, PROCESSING_MS, &took.as_millis().to_string());
    head
}

/// `Retry-After` in whole seconds, rounded up, and `retry-after-ms`; on a 429 the limits reset then too.
pub(crate) fn add_retry_after(headers: &mut HeaderMap, ms: u64) {
    insert_text(headers, RETRY_AFTER, &ms.div_ceil(1_000).to_string());
    insert_text(headers, RETRY_AFTER_MS, &ms.to_string());
    insert_text(
        headers,
        HeaderName::from_static("x-ratelimit-reset-requests"),
        &format!("{ms}ms"),
    );
    insert_text(
        headers,
        HeaderName::from_static("x-ratelimit-reset-tokens"),
        &format!("{ms}ms"),
    );
}

fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
