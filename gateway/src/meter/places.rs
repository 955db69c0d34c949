//! The places of an answer that metering asks for, and what becomes of the value that begins there.
//!
//! Sources: OpenAI API reference, "The chat completion chunk object", "The response object" and "Streaming
//! events" (an event wraps the response as `response`), "The transcription object"; Groq API reference, "Chat
//! completion chunk" (`x_groq`; `executed_tools`). Google's compatible endpoint sends an error as a list of one. What must not live
//! here: how a document is cut into tokens (see `scan`), which texts were generated (see `texts`).

use super::choices::Choice;
use super::findings::{Field, Figure, Findings};
use super::keys::Key;
use super::scan::{Capture, Scan};
use super::texts::{is_choice_text, is_generated_text};
use super::tools::{Item, ItemPart, Place, ToolCalls};

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
    pub(super) fn is_an_error(self) -> bool {
        matches!(self, Self::Object | Self::Array | Self::Text)
    }
}

impl Scan {
    /// Decides from its place what becomes of the value that begins.
    pub(super) fn place(&mut self, found: &mut Findings, begins: Begins) {
        let depth = self.levels.len();
        let (Some(first), Some(level)) = (self.levels.first(), self.levels.last()) else {
            return;
        };
        let key = level.key;
        let root = usize::from(!first.is_object);
        if depth <= root {
            return;
        }
        if depth == root + 1 {
            self.root_member(key, found, begins);
            return;
        }
        // An event of the Responses API wraps the response.
        let base = root + usize::from(self.levels[root].key == Key::Response);
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
            Key::Usage
            | Key::Model
            | Key::ServiceTier
            | Key::Choices
            | Key::Object
            | Key::Envelope => {}
            _ => self.other_members |= begins != Begins::Null,
        }
        self.fault.root_member(key, begins);
        match key {
            Key::Type if is_text => self.keep(Field::Kind),
            Key::Object if is_text => self.keep(Field::Object),
            Key::Code if is_text || begins == Begins::Scalar => self.keep(Field::BareCode),
            Key::ErrorType if is_text => self.keep(Field::ErrorType),
            Key::Duration if begins == Begins::Scalar => self.keep(Field::Duration),
            Key::Delta if is_text && is_generated_text(found) => self.capture = Capture::Tally,
            Key::Item if begins == Begins::Object => self.item_begins = Some(Place::Told),
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
            Key::Error => self.begin_error(begins),
            Key::Output if begins == Begins::Array => found.listed_calls = ToolCalls::default(),
            _ => {}
        }
    }

    /// A value deeper inside.
    fn inner(&mut self, key: Key, base: usize, found: &mut Findings, begins: Begins) {
        if self.item.is_some() {
            self.item_member(key, base, found, begins);
            return;
        }
        let depth = self.levels.len() - base;
        let is_text = begins == Begins::Text;
        match (self.levels[base].key, depth, key) {
            (Key::Choices, ..) => self.choice_member(key, base, found, begins),
            (Key::Error, 2, Key::Code) if is_text || begins == Begins::Scalar => {
                self.keep(Field::ErrorCode);
            }
            (Key::Error, 2, Key::Type) if is_text => self.keep(Field::ErrorType),
            (Key::IncompleteDetails, 2, Key::Reason) if is_text => {
                self.keep(Field::IncompleteReason);
            }
            (Key::XGroq, 2, Key::Usage) => self.keep_figure(Figure::Vendor),
            (Key::XGroq, 2, Key::UsageBreakdown) => self.keep_figure(Figure::Breakdown),
            (Key::XGroq, 2, Key::Error) => self.begin_error(begins),
            (Key::Tools, 3, Key::Model) if is_text => self.keep(Field::ToolModel),
            (Key::Data, 2, _) if begins == Begins::Object => {
                found.data_items = found.data_items.saturating_add(1);
            }
            (Key::Output, 2, _) if begins == Begins::Object => {
                self.item_begins = Some(Place::Listed);
            }
            _ => {}
        }
    }

    /// A value in `choices`.
    fn choice_member(&mut self, key: Key, base: usize, found: &mut Findings, begins: Begins) {
        self.choices_filled = true;
        let depth = self.levels.len() - base;
        let is_text = begins == Begins::Text;
        match (depth, key) {
            (2, _) => {
                self.thought_as = None;
                self.choice =
                    (begins == Begins::Object).then(|| Choice::new(self.levels.len() + 1));
            }
            (3, Key::Index) if begins == Begins::Scalar => self.capture = Capture::Index,
            (3, Key::Usage) => self.keep_figure(Figure::Choice),
            // `OpenRouter`, documentation, "Errors and debugging": an answer that broke off has it in its choice.
            (3, Key::Error) => self.begin_error(begins),
            (3, Key::FinishReason) if is_text => self.keep(Field::FinishReason),
            (3, Key::Text) if is_text && is_choice_text(found) => {
                self.capture = Capture::Tally;
            }
            (5, Key::ExecutedTools) if begins == Begins::Object => {
                self.item_begins = Some(Place::Executed);
            }
            (6, Key::Type) if is_text && self.levels[base + 3].key == Key::Annotations => {
                self.capture = Capture::Annotation;
            }
            (4.., _) if is_text => self.message_member(key, base, found),
            _ => {}
        }
    }

    /// A value in an output item.
    fn item_member(&mut self, key: Key, base: usize, found: &Findings, begins: Begins) {
        let Some(item) = &self.item else { return };
        if item.place == Place::Executed {
            self.executed_member(key, begins);
            return;
        }
        if begins != Begins::Text {
            return;
        }
        let depth = self.levels.len();
        let is_inside = |outer| depth == item.depth + 1 && self.levels[item.depth - 1].key == outer;
        let part = match key {
            Key::Type if depth == item.depth => ItemPart::Kind,
            Key::Status if depth == item.depth => ItemPart::Status,
            Key::ContainerId if depth == item.depth || is_inside(Key::Environment) => {
                ItemPart::Container
            }
            Key::Type if is_inside(Key::Action) => ItemPart::Action,
            _ => {
                self.item_text(key, base, found);
                return;
            }
        };
        self.capture = Capture::Item(part);
    }

    /// A value in a tool that was executed.
    fn executed_member(&mut self, key: Key, begins: Begins) {
        let is_member = |item: &Item| self.levels.len() == item.depth;
        if !self.item.as_ref().is_some_and(is_member) {
            return;
        }
        let part = match (key, begins) {
            (Key::Type, Begins::Text) => ItemPart::Kind,
            (Key::Name, Begins::Text) => ItemPart::Name,
            (Key::Index, Begins::Scalar) => ItemPart::Index,
            _ => return,
        };
        self.capture = Capture::Item(part);
    }

    /// An error begins: what it says will tell whether there was one.
    fn begin_error(&mut self, begins: Begins) {
        if begins.is_an_error() {
            self.fault.begin_error();
            self.error = Some(self.levels.len());
        }
    }

    fn keep(&mut self, field: Field) {
        self.capture = Capture::Name(field);
    }

    fn keep_figure(&mut self, figure: Figure) {
        self.figure = Some((figure, self.levels.len()));
    }
}
