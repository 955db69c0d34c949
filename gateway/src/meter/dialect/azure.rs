//! Azure OpenAI and Microsoft Foundry: OpenAI's figures, and those of the servers behind other models.
//!
//! Sources: Microsoft Learn, "Azure OpenAI REST API reference" and "Content streaming" (chunks with a filter's
//! verdict have an empty `model` and `id`; a filtered stream ends with `[DONE]` and no usage). Recorded:
//! vercel/ai, `packages/azure/src/__fixtures__/azure-deepseek-reasoning.1.{json,chunks.txt}`
//! (`reasoning_tokens` and `audio_prompt_tokens` at the top of `usage`: `SGLang`'s shape, where reasoning is
//! inside the completion). `latency_checkpoint` holds times.

use super::rules::Rules;

pub(super) const RULES: Rules = Rules {
    reasoning_names: &["reasoning_tokens"],
    no_use: &["latency_checkpoint"],
    ..Rules::PLAIN
};
