//! Together.
//!
//! Source: recorded, pydantic/pydantic-ai,
//! `tests/models/cassettes/test_huggingface/test_hf_model_thinking_part.yaml` (answered by Together):
//! `cached_tokens` at the top of `usage`, part of the prompt; reasoning is inside the completion, untold. Recorded of a stream that did not ask:
//! llamastack/llama-stack, `tests/integration/recordings/responses/6730dcde0b73.json` (usage on the finish chunk). Some models tell only who asks:
//! vercel/ai, pull request 17986. So all are asked, and only a chunk of usage alone is taken out, as Fireworks'.

use super::rules::{Rules, StreamUsage};

pub(super) const RULES: Rules = Rules {
    cached_names: &["cached_tokens"],
    stream_usage: StreamUsage::BesideChoiceOrIfAsked,
    ..Rules::PLAIN
};
