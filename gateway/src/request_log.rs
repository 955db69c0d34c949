//! The log's one line a request: what was decided and by which ids it is found again. Never a credential, a prompt or an
//! answer.

use std::fmt;

use schemas::UsageEvent;
use schemas::name::Text;

use crate::trace::TraceContext;

/// Writes the line of a record. `request_id` is what the app was told, `trace_id` what its trace is called.
pub fn line(event: &UsageEvent, trace: Option<&TraceContext>) {
    tracing::info!(
        target: "request",
        request_id = event.request_id.as_str(),
        event_id = %event.event_id,
        trace_id = trace.map(|trace| tracing::field::display(trace.trace_id())),
        tenant = event.tenant.as_str(),
        project = event.project.as_str(),
        key_id = event.key_id.as_str(),
        api = event.api.as_str(),
        model = event.model_requested.as_str(),
        deployment = event.deployment.as_ref().map(Text::as_str),
        outcome = event.outcome.as_str(),
        detail = event.outcome_detail.as_ref().map(Text::as_str),
        status = event.status,
        usage = event.usage_source.as_str(),
        quality = event.usage_quality.as_str(),
        units = %Counted(event),
        calls = event.attempts.len(),
        total_us = event.completed_us.since(event.received_us),
        upstream_us = event.upstream_us,
        gateway_us = event.gateway_us,
        count = event.count,
    );
}

/// The units of all lines, `input_text=90,output_text=5`; made only where the line is written.
struct Counted<'a>(&'a UsageEvent);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.lines.iter().flat_map(|line| line.units.iter());
        for (at, (unit, count)) in units.enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{unit}={count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_all_lines_stand_in_one_text() {
        let full = include_str!("../../schemas/golden/usage-full.v1.json");
        let mut event: UsageEvent = serde_json::from_str(full).unwrap();
        assert_eq!(
            Counted(&event).to_string(),
            "input_text=90,input_cached=910,output_text=0,web_search_calls=2"
        );
        event.lines.clear();
        assert_eq!(Counted(&event).to_string(), "");
    }
}
