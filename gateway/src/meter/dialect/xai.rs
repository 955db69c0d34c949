//! xAI.
//!
//! Sources: xAI documentation, "Prompt caching, usage and pricing", "Tool usage details" (completion and
//! reasoning are told apart, and both are paid as output), "Live search" (paid by source used). Recorded:
//! vercel/ai, `packages/xai/src/__fixtures__/xai-text.json` (12 + 1 + 228 = 241: in a chat reasoning is
//! *outside* the completion; its 1,176,500 ticks are the list price at ten thousand million a dollar) and
//! `packages/xai/src/responses/__fixtures__` (1,941 + 583 = 2,524 with 380 of reasoning: in a response it is
//! *inside*). So the total tells. The kinds of its prompt make the whole of it, cached or not (see `input`).

use super::rules::{Cost, Reasoning, Rules};

pub(super) const RULES: Rules = Rules {
    reasoning: Reasoning::ByTotalElseOutside,
    // The sum of the calls by kind, and the context of the last turn.
    no_use: &["num_server_side_tools_used", "context_details"],
    cost: Cost::Ticks("cost_in_usd_ticks"),
    ..Rules::PLAIN
};
