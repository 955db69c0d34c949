//! Together.
//!
//! Source: recorded, pydantic/pydantic-ai,
//! `tests/models/cassettes/test_huggingface/test_hf_model_thinking_part.yaml` (answered by Together):
//! `cached_tokens` at the top of `usage`, part of the prompt; reasoning is inside the completion, untold.

use super::rules::Rules;

pub(super) const RULES: Rules = Rules {
    cached_names: &["cached_tokens"],
    ..Rules::PLAIN
};
