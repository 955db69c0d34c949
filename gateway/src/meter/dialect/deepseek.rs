//! `DeepSeek`.
//!
//! Source: `DeepSeek` API documentation, "Create chat completion" and "Context caching": `prompt_tokens` is
//! `prompt_cache_hit_tokens` + `prompt_cache_miss_tokens`; reasoning is inside the completion. Recorded:
//! vercel/ai, `packages/deepseek/src/chat/__fixtures__` (hits are told twice: also as
//! `prompt_tokens_details.cached_tokens`). "Create chat completion", `stream_options.include_usage`: who asks gets a `usage` in
//! every chunk, null in all but the last; without asking it is absent from all but the last, which has it either way, beside
//! a choice; no chunk of usage alone is sent. It is asked all the same, for others that serve its models are set up under its
//! name and tell only who asks; then the nulls, and a chunk of usage alone, are what came for asking.
//! A relay that knows no cache tells hits and misses of 0.

use super::rules::{Rules, StreamUsage};

pub(super) const RULES: Rules = Rules {
    cached_names: &["prompt_cache_hit_tokens"],
    uncached_name: Some("prompt_cache_miss_tokens"),
    stream_usage: StreamUsage::BesideChoiceOrIfAskedWithNulls,
    ..Rules::PLAIN
};
