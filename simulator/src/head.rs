//! The heads of answers, and answers that are short and whole: the headers that all of them share.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::api::Dialect;
use crate::body::SimBody;
use crate::errors::Refusal;
use crate::fate::mix;
use crate::replay::Recorded;
use crate::truth::AnswerGuard;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// An error in the provider's shape; ends the answer's line when it is handed over.
pub(crate) fn refusal(
    refusal: &Refusal,
    dialect: Dialect,
    guard: Option<AnswerGuard>,
) -> Response<SimBody> {
    let seq = guard.as_ref().map_or(0, AnswerGuard::request_seq);
    let body = refusal.body(dialect);
    let mut response = whole(refusal.status, "application/json", body, guard);
    add_dialect(response.headers_mut(), dialect, seq);
    response
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

/// The headers that Azure adds.
pub(crate) fn add_dialect(headers: &mut HeaderMap, dialect: Dialect, seq: u64) {
    if dialect == Dialect::OpenAi {
        return;
    }
    let (high, low) = (mix(seq ^ 7), mix(seq ^ 8));
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    );
    insert_text(headers, HeaderName::from_static("apim-request-id"), &id);
    insert_text(headers, HeaderName::from_static("x-ms-region"), "East US");
    insert_text(
        headers,
        HeaderName::from_static("x-content-type-options"),
        "nosniff",
    );
}

/// Status and headers of a recorded answer.
pub(crate) fn of_record(recorded: &Recorded) -> Parts {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status =
        StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &recorded.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            head.headers.append(name, value);
        }
    }
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
