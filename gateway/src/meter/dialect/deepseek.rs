//! `DeepSeek`.
//!
//! Source: `DeepSeek` API documentation, "Create chat completion" and "Context caching": `prompt_tokens` is
//! `prompt_cache_hit_tokens` + `prompt_cache_miss_tokens`; reasoning is inside the completion. Recorded:
//! vercel/ai, `packages/deepseek/src/chat/__fixtures__` (hits are told twice: also as
//! `prompt_tokens_details.cached_tokens`).

use super::rules::Rules;

pub(super) const RULES: Rules = Rules {
    cached_names: &["prompt_cache_hit_tokens"],
    uncached_name: Some("prompt_cache_miss_tokens"),
    ..Rules::PLAIN
};
