//! Whether requests are traced, and the way of their spans out of the gateway. A request waits for none of it.

use std::sync::Arc;

use axum::http::Request;
use runtime::otlp::{Counts, Exporter};
use schemas::{AuthMethod, EventId, UsageEvent};

use super::context::{TraceContext, is_within};
use super::spans::{Target, spans};

/// Traces requests.
#[derive(Clone, Debug)]
pub struct Tracer {
    exporter: Exporter,
    ratio: f64,
}

impl Tracer {
    /// One that sends to `exporter` the share `ratio` of the requests whose app does not decide.
    #[must_use]
    pub fn new(exporter: Exporter, ratio: f64) -> Self {
        Self { exporter, ratio }
    }

    /// The place of a request that has just come.
    #[must_use]
    pub fn begin<B>(&self, event_id: EventId, request: &Request<B>) -> Box<TraceContext> {
        Box::new(TraceContext::begin(event_id, request, self.ratio))
    }

    /// Sends the spans of a closed record, if it is to be traced.
    pub fn record(&self, event: &UsageEvent, context: &TraceContext, targets: &[Target<'_>]) {
        if !is_wanted(event, context, self.ratio) {
            return;
        }
        for span in spans(event, context, targets) {
            self.exporter.offer(span);
        }
    }

    /// What became of the spans.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.exporter.counts()
    }
}

/// An app decides for its own requests; whoever has no key decides nothing here, least of all that we should work.
fn is_wanted(event: &UsageEvent, context: &TraceContext, ratio: f64) -> bool {
    match event.auth_method {
        AuthMethod::Anonymous => is_within(event.event_id, ratio),
        _ => context.is_sampled(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_does_not_decide_what_is_traced() {
        let full = include_str!("../../../schemas/golden/usage-full.v1.json");
        let mut event: UsageEvent = serde_json::from_str(full).unwrap();
        let traced = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = Request::builder().header("traceparent", traced).body(());
        let context = TraceContext::begin(event.event_id, &request.unwrap(), 0.0);
        assert!(is_wanted(&event, &context, 0.0));
        event.auth_method = AuthMethod::Anonymous;
        assert!(!is_wanted(&event, &context, 0.0));
    }
}
