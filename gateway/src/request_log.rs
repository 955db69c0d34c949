//! The log's one line a request: what was decided and by which id it is found again. Never a credential, a prompt or an
//! answer.

use schemas::UsageEvent;
use schemas::name::Text;

/// Writes the line of a record. `request_id` is what the app was told.
pub fn line(event: &UsageEvent) {
    tracing::info!(
        target: "request",
        request_id = event.request_id.as_str(),
        tenant = event.tenant.as_str(),
        key_id = event.key_id.as_str(),
        api = event.api.as_str(),
        model = event.model_requested.as_str(),
        deployment = event.deployment.as_ref().map(Text::as_str),
        outcome = event.outcome.as_str(),
        detail = event.outcome_detail.as_ref().map(Text::as_str),
        status = event.status,
        usage = event.usage_source.as_str(),
        upstream_us = event.upstream_us,
        gateway_us = event.gateway_us,
        count = event.count,
    );
}
