//! Fireworks.
//!
//! Source: Fireworks documentation, "What is a token?" and "Prompt caching" (cached tokens are part of the
//! prompt); "Responses API", "Response structure": a response has the names of a chat, `prompt_tokens` and
//! `completion_tokens`. "OpenAI compatibility": in a stream usage comes in the very last chunk, the one with the finish
//! reason; its sample does not ask, and the other chunks have `"usage":null`. So it was recorded: llamastack/llama-stack,
//! `tests/integration/recordings/responses/25649d730247.json`. Some models tell only who asks, in a chunk without
//! choices: vercel/ai, pull request 16087. So all are asked, and only such a chunk is taken out.

use super::rules::{Rules, StreamUsage};

pub(super) const RULES: Rules = Rules {
    stream_usage: StreamUsage::BesideChoiceOrIfAsked,
    ..Rules::PLAIN
};
