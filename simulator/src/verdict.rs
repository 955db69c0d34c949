//! Azure's verdicts on content, as its guide on content filtering shows them. When they come is told where answers
//! are made.

use serde_json::{Value, json};

/// The verdict on a prompt.
pub(crate) fn of_prompt(filtered: bool) -> Value {
    let mut verdict = of_answer(filtered);
    verdict["jailbreak"] = json!({"filtered": false, "detected": false});
    verdict
}

/// The verdict on an answer.
pub(crate) fn of_answer(filtered: bool) -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    let violence = if filtered {
        json!({"filtered": true, "severity": "medium"})
    } else {
        safe.clone()
    };
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": violence})
}

/// What stands in `prompt_filter_results`.
pub(crate) fn prompts() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": of_prompt(false)}])
}
