//! Mistral.
//!
//! Sources: Mistral documentation, "Prompt caching" (cached tokens are part of the prompt) and "Audio and
//! transcription" (its sample answer: 203 seconds, 4 prompt and 635 completion tokens, 3,264 in total: sound
//! is paid by the minute, and its tokens show only in the total). Recorded: `crmne/ruby_llm`,
//! `spec/fixtures/vcr_cassettes/chat_audio_models_mistral_*` (9 of prompt, 375 of sound told apart, 248, in total 632;
//! the service tier stands among the figures); pydantic/pydantic-ai,
//! `tests/models/cassettes` (`num_cached_tokens` beside the totals); vercel/ai,
//! `packages/mistral/src/__fixtures__/mistral-{text.chunks.txt,transcription.json}` (usage on the finish
//! chunk of a stream that did not ask for it; `request_count`) and `src/convert-mistral-usage.ts` (the details
//! of the prompt go by two names).

use super::rules::{Rules, StreamUsage, Surplus};

pub(super) const RULES: Rules = Rules {
    cached_names: &["num_cached_tokens"],
    surplus: Surplus::SoundCountedAsTime,
    no_use: &["request_count"],
    stream_usage: StreamUsage::Always,
    ..Rules::PLAIN
};
