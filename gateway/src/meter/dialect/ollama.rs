//! Ollama.
//!
//! Source: Ollama documentation, "`OpenAI` compatibility"; recorded, pydantic/pydantic-ai,
//! `tests/models/cassettes/test_ollama`: the two sides and the total, nothing else. Reasoning is inside the
//! completion, untold.

use super::rules::Rules;

pub(super) const RULES: Rules = Rules::PLAIN;
