//! vLLM.
//!
//! Source: vllm-project/vllm, `vllm/entrypoints/openai/engine/protocol.py`, `UsageInfo` and `StreamOptions`:
//! `prompt_tokens_details` is null unless the server was started to tell it; with
//! `continuous_usage_stats` every chunk has usage, and the figures grow, so the last is the whole.

use super::rules::Rules;

pub(super) const RULES: Rules = Rules {
    // Figures turn by turn, whose sums are the totals.
    no_use: &[
        "input_tokens_per_turn",
        "cached_tokens_per_turn",
        "output_tokens_per_turn",
        "tool_output_tokens_per_turn",
    ],
    ..Rules::PLAIN
};
