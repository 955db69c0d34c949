//! From a closed record to its spans: one for the request, and below it one for each call to a provider. Pure.

use axum::http::Uri;
use runtime::otlp::{Span, SpanKind, Status, StatusCode};
use schemas::name::Text;
use schemas::{Attempt, Micros, Outcome, UsageEvent};

use super::attributes::Attributes;
use super::context::TraceContext;
use super::vocabulary::{operation, provider};

/// OTLP: the parent's being in another process is known, and it is.
const PARENT_IS_REMOTE: u32 = 0x300;
/// OTLP: the parent's being in another process is known, and it is not.
const PARENT_IS_LOCAL: u32 = 0x100;

/// Where calls to a deployment went.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The deployment.
    pub deployment: &'a str,
    /// Who runs it.
    pub provider: &'a str,
    /// The name that it knows the model by.
    pub model: &'a str,
    /// The URL that was called; its host and port are told, no more.
    pub url: &'a Uri,
}

/// The spans of a record.
#[must_use]
pub fn spans(event: &UsageEvent, context: &TraceContext, targets: &[Target<'_>]) -> Vec<Span> {
    let mut spans = Vec::with_capacity(1 + event.attempts.len());
    spans.push(server(event, context));
    for (at, attempt) in event.attempts.iter().enumerate() {
        spans.push(client(event, context, targets, at, attempt));
    }
    spans
}

/// The request. Its name, kind and status follow the convention for HTTP servers: a 4xx is the app's fault, not ours.
fn server(event: &UsageEvent, context: &TraceContext) -> Span {
    let mut attributes = Attributes::of(event);
    let called = context.called();
    let method = called.map_or("POST", |called| called.method);
    let route = called.map(super::route::Called::route);
    attributes.put("http.request.method", method);
    attributes.put("url.scheme", "http");
    attributes.put_some("http.route", route.as_deref());
    if called.is_some_and(super::route::Called::is_literal) {
        attributes.put_some("url.path", route.as_deref());
    }
    attributes.put_some("http.response.status_code", event.status.map(i64::from));
    attributes.put("http.request.body.size", event.request_bytes);
    attributes.put("http.response.body.size", event.response_bytes);
    let fails = event.status.is_some_and(|status| status >= 500)
        || matches!(
            event.outcome,
            Outcome::UpstreamError | Outcome::Timeout | Outcome::Unknown
        ) && event.status.is_none_or(|status| status < 400);
    if fails {
        attributes.put("error.type", error_type(event));
    }
    put_record(&mut attributes, event);
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let parent = context.parent();
    Span {
        span_id: context.server_span().to_vec(),
        parent_span_id: parent.map(|span| span.to_vec()).unwrap_or_default(),
        flags: flags(context, parent.map_or(0, |_| PARENT_IS_REMOTE)),
        name,
        kind: SpanKind::Server as i32,
        status: status(fails),
        attributes: attributes.into_vec(),
        ..timed(context, event.received_us, event.completed_us)
    }
}

/// What the record says of the request as a whole.
fn put_record(attributes: &mut Attributes, event: &UsageEvent) {
    attributes.put_text("tollgate.tenant", Some(&event.tenant));
    attributes.put_text("tollgate.project", Some(&event.project));
    attributes.put_text("tollgate.key_id", Some(&event.key_id));
    attributes.put("tollgate.api", event.api.as_str());
    attributes.put("tollgate.stream", event.stream);
    // A model that is not served is any text that an app may write.
    attributes.put_text("tollgate.model", event.route.as_ref());
    attributes.put_text("tollgate.deployment", event.deployment.as_ref());
    attributes.put("tollgate.outcome", event.outcome.as_str());
    attributes.put_text("tollgate.outcome_detail", event.outcome_detail.as_ref());
    attributes.put("tollgate.usage_source", event.usage_source.as_str());
    attributes.put("tollgate.usage_quality", event.usage_quality.as_str());
    attributes.put("tollgate.billable", event.billable.as_str());
    attributes.put("tollgate.synthetic", event.synthetic);
    attributes.put_some("tollgate.gateway_us", event.gateway_us);
    attributes.put_some("tollgate.upstream_us", event.upstream_us);
    if let Some(limit) = &event.limit_hit {
        attributes.put("tollgate.limit.level", limit.level.as_str());
        attributes.put("tollgate.limit.kind", limit.kind.as_str());
        attributes.put_text("tollgate.limit.id", Some(&limit.id));
    }
}

/// A call to a provider. Its name and attributes follow the convention for generative AI clients.
fn client(
    event: &UsageEvent,
    context: &TraceContext,
    targets: &[Target<'_>],
    at: usize,
    attempt: &Attempt,
) -> Span {
    let mut attributes = Attributes::of(event);
    let deployment = attempt.deployment.as_str();
    let target = targets
        .iter()
        .find(|target| target.deployment == deployment);
    let model = target.map_or(event.model_requested.as_str(), |target| target.model);
    let operation = operation(event.api);
    let vendor = target.map(|target| target.provider);
    let vendor = vendor.or(event.provider.as_ref().map(Text::as_str));
    attributes.put("gen_ai.operation.name", operation);
    attributes.put(
        "gen_ai.provider.name",
        provider(vendor.unwrap_or("unknown")),
    );
    attributes.put("gen_ai.request.model", model);
    attributes.put_some("gen_ai.request.stream", event.stream.then_some(true));
    attributes.put("http.request.method", "POST");
    let resent = i64::try_from(at).ok().filter(|resent| *resent > 0);
    attributes.put_some("http.request.resend_count", resent);
    attributes.put_some("http.response.status_code", attempt.status.map(i64::from));
    if let Some(host) = target.and_then(|target| target.url.host()) {
        attributes.put("server.address", host);
        attributes.put_some("server.port", target.map(|target| port(target.url)));
    }
    // An app that goes away between two calls leaves a last one that was not its answer.
    let is_last = at + 1 == event.attempts.len() && attempt.outcome == event.outcome;
    if is_last {
        put_answer(&mut attributes, event, attempt);
    }
    let fails = attempt.status.is_none_or(|status| status >= 400)
        || matches!(attempt.outcome, Outcome::UpstreamError | Outcome::Timeout);
    if fails {
        attributes.put("error.type", client_error(event, attempt, is_last));
    }
    attributes.put("tollgate.deployment", deployment);
    attributes.put(
        "tollgate.attempt",
        i64::try_from(at + 1).unwrap_or(i64::MAX),
    );
    attributes.put("tollgate.outcome", attempt.outcome.as_str());
    let call_id = attempt.provider_request_id.as_ref();
    attributes.put_text("tollgate.provider_request_id", call_id);
    let left = attempt.throttle.as_ref().and_then(|limit| limit.remaining);
    attributes.put_some("tollgate.throttle.remaining", left);
    Span {
        span_id: context.client_span(at).to_vec(),
        parent_span_id: context.server_span().to_vec(),
        flags: flags(context, PARENT_IS_LOCAL),
        name: format!("{operation} {model}"),
        kind: SpanKind::Client as i32,
        status: status(fails),
        attributes: attributes.into_vec(),
        ..timed(context, attempt.started_us, attempt.ended_us)
    }
}

/// What the last call brought: earlier ones were not what the record bills.
#[expect(clippy::cast_precision_loss, reason = "a span's time, not a bill")]
fn put_answer(attributes: &mut Attributes, event: &UsageEvent, attempt: &Attempt) {
    attributes.put_text("gen_ai.response.model", event.model_served.as_ref());
    if let Some(reason) = &event.finish_reason {
        attributes.put("gen_ai.response.finish_reasons", &[reason.as_str()][..]);
    }
    if event.stream
        && let Some(first) = event.first_byte_us
    {
        let seconds = first.since(attempt.started_us) as f64 / 1e6;
        attributes.put("gen_ai.response.time_to_first_chunk", seconds);
    }
    attributes.put_text("tollgate.service_tier", event.service_tier.as_ref());
    attributes.put("tollgate.usage_source", event.usage_source.as_str());
    attributes.put_usage(event);
}

/// The record's own code, or the outcome where it has none.
fn error_type(event: &UsageEvent) -> &str {
    event
        .outcome_detail
        .as_ref()
        .map_or(event.outcome.as_str(), Text::as_str)
}

/// As the convention for HTTP clients has it: the status where there is one that fails, else the code.
fn client_error(event: &UsageEvent, attempt: &Attempt, is_last: bool) -> String {
    match attempt.status {
        Some(status) if status >= 400 => status.to_string(),
        _ if is_last => error_type(event).to_owned(),
        _ => attempt.outcome.as_str().to_owned(),
    }
}

fn port(url: &Uri) -> i64 {
    let default = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    i64::from(url.port_u16().unwrap_or(default))
}

fn status(fails: bool) -> Option<Status> {
    fails.then_some(Status {
        code: StatusCode::Error as i32,
    })
}

fn flags(context: &TraceContext, parent: u32) -> u32 {
    u32::from(context.flags()) | parent
}

/// A span with its trace and its times, and nothing else yet.
fn timed(context: &TraceContext, start: Micros, end: Micros) -> Span {
    let nanos = |us: i64| u64::try_from(us).unwrap_or(0).saturating_mul(1_000);
    Span {
        trace_id: context.trace_id().bytes().to_vec(),
        trace_state: context.state().to_owned(),
        start_time_unix_nano: nanos(start.0),
        end_time_unix_nano: nanos(end.0.max(start.0)),
        ..Span::default()
    }
}

#[cfg(test)]
#[path = "spans_tests.rs"]
mod tests;
