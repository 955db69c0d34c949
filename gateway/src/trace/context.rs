//! A request's place in a trace: the app's trace where it sent one, else one of its own.
//!
//! A span's id follows from the event's id, and so does the id of a trace that begins here: whoever has the event has
//! the trace, and nothing more must be written down. Source of the header: W3C Trace Context, "traceparent".

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, Request};
use schemas::EventId;

use super::route::Called;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// The flag that says that the caller records its span.
const SAMPLED: u8 = 1;
/// Flags that stay true of the trace wherever it goes on; all others must not be passed on.
const KEPT_FLAGS: u8 = 0b11;
/// A longer list of vendors' states is dropped, as the specification allows.
const MAX_STATE_BYTES: usize = 512;

/// Where a request stands in its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    /// The app's span.
    parent: Option<[u8; 8]>,
    flags: u8,
    span: u64,
    state: Option<Box<str>>,
    called: Option<Box<Called>>,
}

/// What the app says of its span.
struct Parent {
    trace_id: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The place of a request that has just come. `ratio` is the share of those to trace whose app does not decide.
    #[must_use]
    pub fn begin<B>(event_id: EventId, request: &Request<B>, ratio: f64) -> Self {
        let parent = parent(request.headers());
        let event = *event_id.as_bytes();
        let own_flags = if is_within(event_id, ratio) {
            SAMPLED
        } else {
            0
        };
        let state = parent.as_ref().and_then(|_| state(request.headers()));
        Self {
            trace_id: parent.as_ref().map_or(event, |parent| parent.trace_id),
            flags: parent.as_ref().map_or(own_flags, |parent| parent.flags),
            parent: parent.map(|parent| parent.span),
            span: own_span(&event),
            state,
            called: Called::new(request.method(), request.uri().path()).map(Box::new),
        }
    }

    /// Whether its spans are sent.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        TraceId(self.trace_id)
    }

    /// The app's span, if it named one.
    #[must_use]
    pub fn parent(&self) -> Option<[u8; 8]> {
        self.parent
    }

    /// The span of the request itself.
    #[must_use]
    pub fn server_span(&self) -> [u8; 8] {
        self.span.to_be_bytes()
    }

    /// The span of a call to a provider, counted from 0.
    #[must_use]
    pub fn client_span(&self, attempt: usize) -> [u8; 8] {
        let next = self.span.wrapping_add(attempt as u64 + 1);
        next.max(1).to_be_bytes()
    }

    /// The flags to send on.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// What vendors on the way wrote.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.as_deref().unwrap_or_default()
    }

    /// What was called, where it is a path that we know.
    #[must_use]
    pub fn called(&self) -> Option<&Called> {
        self.called.as_deref()
    }

    /// Makes a call to a provider the child of its own span, whatever was in the headers. `attempt` is counted from 0.
    pub fn stamp(&self, headers: &mut HeaderMap, attempt: usize) {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
        let span = hex::encode(self.client_span(attempt));
        let value = format!("00-{}-{span}-{:02x}", self.trace_id(), self.flags);
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(state) = &self.state
            && let Ok(value) = HeaderValue::from_str(state)
        {
            headers.insert(TRACESTATE, value);
        }
    }
}

/// A trace's id, shown as 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The second half of a version 7 UUID: two fixed bits and 62 random ones.
fn own_span(event: &[u8; 16]) -> u64 {
    let mut half = [0; 8];
    half.copy_from_slice(&event[8..]);
    u64::from_be_bytes(half)
}

/// Whether an event is within the share to be traced: by the 56 last bits of its id, which are random.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "a share of requests, not a bill"
)]
pub fn is_within(event_id: EventId, ratio: f64) -> bool {
    const RANDOM_BITS: u64 = (1 << 56) - 1;
    let drawn = own_span(event_id.as_bytes()) & RANDOM_BITS;
    (drawn as f64) < ratio * (RANDOM_BITS as f64 + 1.0)
}

/// The one `traceparent`, if it is well-formed. Anything else is as good as none.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let value = given.next()?.as_bytes();
    if given.next().is_some() {
        return None;
    }
    let (version, rest) = field::<1>(value)?;
    let (trace_id, rest) = field::<16>(rest.strip_prefix(b"-")?)?;
    let (span, rest) = field::<8>(rest.strip_prefix(b"-")?)?;
    let ([flags], rest) = field::<1>(rest.strip_prefix(b"-")?)?;
    // A later version may have more fields; this one has not.
    let ends_well = rest.is_empty() || (version != [0] && rest[0] == b'-');
    let is_valid = version != [0xff] && trace_id != [0; 16] && span != [0; 8] && ends_well;
    is_valid.then_some(Parent {
        trace_id,
        span,
        flags: flags & KEPT_FLAGS,
    })
}

/// So many bytes in lower-case hex, and what follows.
fn field<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some((bytes, rest))
}

/// All `tracestate` headers as one, unless they are too long or no text.
fn state(headers: &HeaderMap) -> Option<Box<str>> {
    let mut all = String::new();
    for value in headers.get_all(TRACESTATE) {
        if !all.is_empty() {
            all.push(',');
        }
        all.push_str(value.to_str().ok()?);
    }
    (!all.is_empty() && all.len() <= MAX_STATE_BYTES).then(|| all.into())
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
