//! vLLM.
//!
//! Source: vllm-project/vllm, `vllm/entrypoints/openai/engine/protocol.py`, `UsageInfo` and `StreamOptions`:
//! `prompt_tokens_details` is null unless the server was started to tell it; with
//! `continuous_usage_stats` every chunk has usage, and the figures grow, so the last is the whole. `SGLang` does as it does,
//! but tells reasoning at the top (sgl-project/sglang, `python/sglang/srt/entrypoints/openai/protocol.py`, `UsageInfo`).

use super::rules::Rules;

pub(super) const RULES: Rules = Rules {
    reasoning_names: &["reasoning_tokens"],
    // Figures turn by turn, whose sums are the totals.
    no_use: &[
        "input_tokens_per_turn",
        "cached_tokens_per_turn",
        "output_tokens_per_turn",
        "tool_output_tokens_per_turn",
    ],
    ..Rules::PLAIN
};
