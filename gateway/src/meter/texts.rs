//! Which texts of an answer were generated: they are counted where the provider counts nothing.
//!
//! Sources: OpenAI API reference, "The chat completion object", "The chat completion chunk object", "The response
//! object" and "Streaming events"; `OpenRouter` documentation, "Reasoning tokens" (thinking comes as `reasoning` and
//! again as `reasoning_details`); recorded, `crmne/ruby_llm`, `spec/fixtures/vcr_cassettes/chat_citations_with_perplexity_*`
//! (a chunk repeats in `message` all that came in `delta`); `Arize-ai/openinference`, Together's `test_async_chat_stream`
//! (a chunk repeats its piece as `text`). Summaries of hidden thinking are not what was generated,
//! nor is what a hosted tool found. What must not live here: counting (see `findings`).

use super::findings::Findings;
use super::keys::Key;
use super::scan::{Capture, Scan};
use super::tools::Place;

impl Scan {
    /// A text in `choices[].message` or `choices[].delta`.
    pub(super) fn message_member(&mut self, key: Key, base: usize, found: &Findings) {
        let depth = self.levels.len() - base;
        match self.levels[base + 2].key {
            Key::Delta => {}
            // Where pieces came, the whole repeats them.
            Key::Message if !found.has_deltas => {}
            _ => return,
        }
        let member = self.levels[base + 3].key;
        let is_text = matches!(key, Key::Text | Key::Name);
        let is_generated = match member {
            Key::Content | Key::Text => depth == 4 || is_text,
            Key::ToolCalls | Key::FunctionCall | Key::Audio => depth > 4 && is_text,
            // Told twice, it was thought once.
            Key::Reasoning if depth == 4 => self.thought_as.is_none(),
            Key::Reasoning => is_text,
            Key::ReasoningDetails => is_text && self.thought_as.is_none_or(|name| name == member),
            _ => false,
        };
        if is_generated {
            self.capture = Capture::Tally;
        }
    }

    /// A generated text is not empty: remembers what it is, so that it is not counted again under another name.
    pub(super) fn has_text(&mut self, found: &mut Findings) {
        let at = |depth: usize| self.levels.get(depth).map(|level| level.key);
        found.has_deltas |= at(2) == Some(Key::Delta);
        if let Some(name @ (Key::Reasoning | Key::ReasoningDetails)) = at(3) {
            self.thought_as = Some(name);
        }
    }

    /// A text in an output item. In a stream the pieces were told before; only a function's name comes with its item.
    pub(super) fn item_text(&mut self, key: Key, base: usize, found: &Findings) {
        let Some(item) = &self.item else { return };
        let is_listed = item.place == Place::Listed;
        let depth = self.levels.len();
        let is_member = depth == item.depth;
        let is_part = depth == item.depth + 2 && self.levels[item.depth - 1].key == Key::Content;
        let is_generated = match key {
            Key::Name if !is_listed => is_member && found.is_item_begun(),
            // An event repeats in its response what was told before.
            _ if !is_listed || base > 0 => false,
            Key::Text => is_member || is_part,
            Key::Name | Key::Code => is_member,
            _ => false,
        };
        if is_generated {
            self.capture = Capture::Tally;
        }
    }
}

/// Whether the `delta` of an event is text that counts as output: a summary of hidden reasoning does not,
/// nor does sound.
pub(super) fn is_generated_text(found: &Findings) -> bool {
    found.kind.as_deref().is_none_or(|kind| {
        !kind.starts_with(b"response.reasoning_summary") && !kind.ends_with(b"audio.delta")
    })
}

/// Whether the `text` of a choice is what was generated: in a chat it repeats the piece beside it.
pub(super) fn is_choice_text(found: &Findings) -> bool {
    let is_chat = |object: &[u8]| object.starts_with(b"chat.");
    !found.has_deltas && !found.object.as_deref().is_some_and(is_chat)
}
