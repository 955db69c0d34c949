//! OpenAI.
//!
//! Source: OpenAI API reference, `usage` of "The chat completion object", "The completion object", "The
//! embedding object", "The response object", "The image generation response", "The transcription object";
//! the same in openai/openai-python, `src/openai/types/{completion_usage,images_response}.py`,
//! `responses/response_usage.py`, `audio/transcription.py`. Cached, cache-write, audio and image tokens are
//! *inside* the input; reasoning, audio and rejected-prediction tokens are *inside* the output; the total is
//! the sum of the two. Rejected prediction tokens are paid as output text, so they stay in it.
//! Who is not known speaks this dialect too, so that it knows the further names of parts that others use: Kimi's and
//! Together's `cached_tokens`, `DeepSeek`'s hits and misses, the two of `LiteLLM` (documentation, "Prompt caching": both are
//! part of the prompt), what Perplexity says it charges (`crmne/ruby_llm`,
//! `spec/fixtures/vcr_cassettes/chat_*_perplexity_*`; `total_cost` is in US dollars).
//! Relays (One API, New API) write both names of every total, and 0 under the one that they do not use: see `counts`.
//! "Image streaming events": whether the usage of `image_generation.completed` is that of one picture or of all, where
//! several were asked for, is not said; the last word stands.
//! The image tool's default model: `responses/tool.py`, `ImageGeneration.model`.

use super::rules::{Cost, Rules};

pub(super) const RULES: Rules = Rules {
    cached_names: &[
        "cached_tokens",
        "prompt_cache_hit_tokens",
        "cache_read_input_tokens",
    ],
    written_names: &["cache_creation_input_tokens"],
    uncached_name: Some("prompt_cache_miss_tokens"),
    cost: Cost::DollarsIn("cost", "total_cost"),
    image_model: Some("gpt-image-1"),
    ..Rules::PLAIN
};
