//! `OpenRouter`.
//!
//! Source: `OpenRouter` documentation, "Usage accounting": counts of the model's own tokenizer, `cost` in
//! credits of a US dollar, in the last message of every stream, asked or not. Recorded: pydantic/pydantic-ai,
//! `tests/models/cassettes/test_openrouter` (the last chunk has a choice beside its usage; web searches in
//! An answer that ends with `error` is not charged ("Zero completion insurance"). Further of the recorded ones:
//! `server_tool_use_details`; an advisor's own use shows only in the cost).

use super::rules::{Cost, Rules, StreamUsage};

pub(super) const RULES: Rules = Rules {
    no_use: &["tool_calls_requested"],
    cost: Cost::Dollars("cost"),
    free_if_error: true,
    stream_usage: StreamUsage::Always,
    ..Rules::PLAIN
};
