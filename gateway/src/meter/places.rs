//! The places of an answer that metering asks for, and what becomes of the value that begins there.
//!
//! Sources: OpenAI API reference, "The chat completion chunk object", "The response object" and "Streaming
//! events" (an event wraps the response as `response`), "The transcription object"; Groq API reference, "Chat
//! completion chunk" (`x_groq`). What must not live here: how a document is cut into tokens (see `scan`).

use super::findings::{Field, Figure, Findings};
use super::keys::Key;
use super::scan::{Capture, Scan};
use super::tools::{ItemPart, ToolCalls};

/// What kind of value begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    Text,
    Null,
    /// A number, `true` or `false`.
    Scalar,
    Object,
    Array,
}

impl Begins {
    /// `null`, `false` and numbers in the place of an error say that there was none.
    fn is_an_error(self) -> bool {
        matches!(self, Self::Object | Self::Array | Self::Text)
    }
}

impl Scan {
    /// Decides from its place what becomes of the value that begins.
    pub(super) fn place(&mut self, found: &mut Findings, begins: Begins) {
        let depth = self.levels.len();
        let Some(level) = self.levels.last() else {
            return;
        };
        let key = level.key;
        if depth == 1 {
            self.root_member(key, found, begins);
            return;
        }
        // An event of the Responses API wraps the response.
        let base = usize::from(self.levels[0].key == Key::Response);
        if depth - base == 1 {
            self.member(key, found, begins);
        } else {
            self.inner(key, base, found, begins);
        }
    }

    /// A member of the document itself.
    fn root_member(&mut self, key: Key, found: &mut Findings, begins: Begins) {
        let is_text = begins == Begins::Text;
        match key {
            Key::Usage | Key::Model | Key::ServiceTier | Key::Choices | Key::Envelope => {}
            _ => self.other_members |= begins != Begins::Null,
        }
        match key {
            Key::Type if is_text => self.keep(Field::Kind),
            Key::Code if is_text || begins == Begins::Scalar => {
                // An event that is an error has its code beside its type.
                if found.kind.as_deref() == Some(b"error") {
                    self.keep(Field::ErrorCode);
                }
            }
            Key::Duration if begins == Begins::Scalar => self.keep(Field::Duration),
            Key::Delta if is_text && is_generated_text(found) => self.capture = Capture::Tally,
            Key::Item if begins == Begins::Object => self.item_begins = Some(false),
            _ => self.member(key, found, begins),
        }
    }

    /// A member of the answer, be it the document or what an event wraps.
    fn member(&mut self, key: Key, found: &mut Findings, begins: Begins) {
        let is_text = begins == Begins::Text;
        match key {
            Key::Usage => self.keep_figure(Figure::Usage),
            Key::ToolUsage => self.keep_figure(Figure::ToolUsage),
            Key::UsageBreakdown => self.keep_figure(Figure::Breakdown),
            Key::Model if is_text => self.keep(Field::Model),
            Key::ServiceTier if is_text => self.keep(Field::ServiceTier),
            Key::Status if is_text => self.keep(Field::Status),
            Key::Error if begins.is_an_error() => found.error = true,
            Key::Output if begins == Begins::Array => found.listed_calls = ToolCalls::default(),
            _ => {}
        }
    }

    /// A value deeper inside.
    fn inner(&mut self, key: Key, base: usize, found: &mut Findings, begins: Begins) {
        if self.item.is_some() {
            self.item_member(key, begins);
            return;
        }
        let depth = self.levels.len() - base;
        let is_text = begins == Begins::Text;
        match (self.levels[base].key, depth, key) {
            (Key::Choices, ..) => self.choice_member(key, begins),
            (Key::Error, 2, Key::Code) if is_text || begins == Begins::Scalar => {
                self.keep(Field::ErrorCode);
            }
            (Key::Error, 2, Key::Type) if is_text => self.keep(Field::ErrorType),
            (Key::IncompleteDetails, 2, Key::Reason) if is_text => {
                self.keep(Field::IncompleteReason);
            }
            (Key::XGroq, 2, Key::Usage) => self.keep_figure(Figure::Vendor),
            (Key::XGroq, 2, Key::UsageBreakdown) => self.keep_figure(Figure::Breakdown),
            (Key::XGroq, 2, Key::Error) if begins.is_an_error() => found.error = true,
            (Key::Tools, 3, Key::Model) if is_text => self.keep(Field::ToolModel),
            (Key::Data, 2, _) if begins == Begins::Object => {
                found.data_items = found.data_items.saturating_add(1);
            }
            (Key::Output, 2, _) if begins == Begins::Object => self.item_begins = Some(true),
            _ => {}
        }
    }

    /// A value in `choices`.
    fn choice_member(&mut self, key: Key, begins: Begins) {
        self.choices_filled = true;
        let depth = self.levels.len();
        if key == Key::Usage && depth == 3 {
            self.keep_figure(Figure::Choice);
            return;
        }
        if begins != Begins::Text {
            return;
        }
        let in_message = depth > 3 && matches!(self.levels[2].key, Key::Message | Key::Delta);
        match key {
            Key::FinishReason if depth == 3 => self.keep(Field::FinishReason),
            Key::Text if in_message || depth == 3 => self.capture = Capture::Tally,
            _ => {}
        }
    }

    /// A value in an output item.
    fn item_member(&mut self, key: Key, begins: Begins) {
        let (Some(item), Begins::Text) = (&self.item, begins) else {
            return;
        };
        let depth = self.levels.len();
        let part = match key {
            Key::Type if depth == item.depth => ItemPart::Kind,
            Key::Status if depth == item.depth => ItemPart::Status,
            Key::ContainerId if depth == item.depth => ItemPart::Container,
            Key::Type
                if depth == item.depth + 1 && self.levels[item.depth - 1].key == Key::Action =>
            {
                ItemPart::Action
            }
            _ => return,
        };
        self.capture = Capture::Item(part);
    }

    fn keep(&mut self, field: Field) {
        self.capture = Capture::Name(field);
    }

    fn keep_figure(&mut self, figure: Figure) {
        self.figure = Some((figure, self.levels.len()));
    }
}

/// Whether the `delta` of an event is text that counts as output: a summary of hidden reasoning does not,
/// nor does sound.
fn is_generated_text(found: &Findings) -> bool {
    found.kind.as_deref().is_none_or(|kind| {
        !kind.starts_with(b"response.reasoning_summary") && !kind.ends_with(b"audio.delta")
    })
}
