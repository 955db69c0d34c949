//! Errors without an envelope: a document or an event that says why there is no answer, and has none.
//!
//! Sources, each recorded in the corpus or documented: Mistral and other servers on `FastAPI` (`detail`); vLLM up to
//! 0.9 and Mistral (`object` is `error`, with `message`, `type` and `code` beside it); Cerebras (`message`, `type`,
//! `code`); xAI (`code` beside an `error` that is a text). What must not live here: errors in an envelope (see
//! `places`).

use super::findings::Findings;
use super::keys::Key;
use super::places::Begins;

/// The event that begins an item; its figures are not there yet.
const ITEM_BEGINS: &[u8] = b"response.output_item.added";

/// What one document says of an error.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not one state"
)]
pub(super) struct Fault {
    /// It says why there is no answer.
    says_why: bool,
    /// It has a part of an answer.
    answers: bool,
    /// It has an error of any kind, be it an empty one.
    has_error: bool,
    has_type: bool,
}

impl Fault {
    /// A member of the document begins.
    pub(super) fn root_member(&mut self, key: Key, begins: Begins) {
        let is_something = begins.is_an_error();
        match key {
            Key::Why => self.says_why |= is_something,
            Key::Message => self.says_why |= begins == Begins::Text,
            Key::Type => self.has_type = true,
            Key::Choices
            | Key::Output
            | Key::Data
            | Key::Usage
            | Key::Text
            | Key::Delta
            | Key::Item
            | Key::Response => self.answers |= is_something,
            _ => {}
        }
    }

    /// An error begins.
    pub(super) fn begin_error(&mut self) {
        self.has_error = true;
    }

    /// The document is over.
    pub(super) fn settle(&self, found: &mut Findings) {
        let is_named = found.object.take().as_deref() == Some(b"error");
        let is_bare = is_named || (self.says_why && !self.answers);
        let code = found.bare_code.take();
        // One that says nothing, beside an answer, is a member that this server always sends.
        found.error |= is_bare || (self.has_error && !self.answers);
        if is_bare && self.has_type && found.kind.as_deref() != Some(b"error") {
            found.error_type.clone_from(&found.kind);
        }
        let is_event = found.kind.as_deref() == Some(b"error");
        if is_bare || (self.has_error && found.error) || is_event {
            found.error_code = found.error_code.take().or(code);
        }
    }
}

impl Findings {
    /// Whether the last event began an output item.
    pub(super) fn is_item_begun(&self) -> bool {
        self.kind.as_deref() == Some(ITEM_BEGINS)
    }
}
