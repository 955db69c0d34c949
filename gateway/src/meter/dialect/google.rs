//! Google's endpoint that is compatible with OpenAI's.
//!
//! Source: Gemini API documentation, "`OpenAI` compatibility" and "Thinking" (thinking is paid as output).
//! `total_tokens` counts thinking that `completion_tokens` does not: Clarifai/clarifai-python, pull request
//! 978 (20 + 424, in total 1,016), mozilla-ai/any-llm, issue 1290. Chunks repeat the usage; the last is the
//! whole. A request that fails with 500 is not charged ("Gemini API billing FAQs"). A newer answer may tell reasoning apart, inside or outside: the total tells.

use super::rules::{Reasoning, Rules, Surplus};

pub(super) const RULES: Rules = Rules {
    reasoning: Reasoning::ByTotalElseInside,
    surplus: Surplus::HiddenReasoning,
    free_statuses: &[500],
    ..Rules::PLAIN
};
