//! The errors that Azure words in a way of its own; all others it passes on as `OpenAI` words them. The texts are
//! those of Azure's REST reference, of its guide on content filtering, and of what its users have reported.

use serde_json::{Value, json};

use super::Refusal;
use crate::verdict;

/// What stands in `error`; `None` where it is worded as `OpenAI` words it.
pub(super) fn error(refusal: &Refusal) -> Option<Value> {
    Some(match (refusal.status, refusal.code) {
        (401, _) => json!({
            "code": "401",
            "message": "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a \
                valid key for an active subscription and use a correct regional API endpoint for your resource.",
        }),
        (404, Some("model_not_found")) => json!({
            "code": "DeploymentNotFound",
            "message": "The API deployment for this resource does not exist. If you created the deployment within \
                the last 5 minutes, please wait a moment and try again.",
        }),
        (404, None) => json!({"code": "404", "message": "Resource not found"}),
        (400, Some("content_policy_violation")) => filtered(),
        (429, _) => json!({"code": "429", "message": refusal.message}),
        (_, Some(code)) if refusal.kind.is_empty() => {
            json!({"code": code, "message": refusal.message})
        }
        _ => return None,
    })
}

/// A prompt that the filter did not let through.
fn filtered() -> Value {
    json!({
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. \
            Please modify your prompt and retry. To learn more about our content filtering policies please read our \
            documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
        "type": null,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": verdict::of_prompt(true),
        },
    })
}
