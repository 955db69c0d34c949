//! OpenAI.
//!
//! Source: OpenAI API reference, `usage` of "The chat completion object", "The completion object", "The
//! embedding object", "The response object", "The image generation response", "The transcription object";
//! the same in openai/openai-python, `src/openai/types/{completion_usage,images_response}.py`,
//! `responses/response_usage.py`, `audio/transcription.py`. Cached, cache-write, audio and image tokens are
//! *inside* the input; reasoning, audio and rejected-prediction tokens are *inside* the output; the total is
//! the sum of the two. Rejected prediction tokens are paid as output text, so they stay in it.
//! The image tool's default model: `responses/tool.py`, `ImageGeneration.model`.

use super::rules::Rules;

pub(super) const RULES: Rules = Rules {
    // Kimi and some hosts of open models repeat the cached part here; OpenAI never does.
    cached_names: &["cached_tokens"],
    image_model: Some("gpt-image-1"),
    ..Rules::PLAIN
};
