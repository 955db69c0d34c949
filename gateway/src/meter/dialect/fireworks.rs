//! Fireworks.
//!
//! Source: Fireworks documentation, "What is a token?" and "Prompt caching" (cached tokens are part of the
//! prompt); "Responses API", "Response structure": a response has the names of a chat, `prompt_tokens` and
//! `completion_tokens`.

use super::rules::Rules;

pub(super) const RULES: Rules = Rules::PLAIN;
