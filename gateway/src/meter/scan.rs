//! An incremental reader of one JSON document that keeps only what metering asks for.
//!
//! Bytes go in as they come, cut anywhere; memory is bounded whatever comes. The document itself is never
//! kept and never changed: where the top-level `usage` stands is told as byte offsets. What must not live
//! here: which places are asked for (see `places`), what the figures mean (see `dialect`), where one document
//! ends and the next begins (see `sse`).

use memchr::memchr2;
use smallvec::SmallVec;

use super::choices::Choice;
use super::fault::Fault;
use super::findings::{Field, Figure, Findings, TextTally};
use super::keys::{Key, KeyBuffer};
use super::places::Begins;
use super::tools::{Item, ItemPart, Place};

/// Deeper nesting is counted but not looked into.
const MAX_DEPTH: usize = 32;

/// One open object or array, and the key that stands in it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) is_object: bool,
    /// In an object the current key; in an array the key that led to it.
    pub(super) key: Key,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between tokens.
    #[default]
    Between,
    /// In a string that is a key.
    Key,
    /// In a string that is a value.
    Text,
    /// In a number or a literal.
    Scalar,
}

/// What becomes of the value that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Capture {
    #[default]
    Nothing,
    Name(Field),
    Item(ItemPart),
    /// Which choice it is.
    Index,
    /// What a text is annotated with.
    Annotation,
    Tally,
}

/// More `usage` members of one document are not told apart: no provider sends two.
pub const MAX_USAGE_PLACES: usize = 64;

/// Where a top-level `usage` member stands, in bytes from the start of the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsagePlace {
    /// The comma before it, if it is not the first member.
    pub comma_before: Option<usize>,
    /// The opening quote of its key.
    pub key_start: usize,
    /// The byte after its value.
    pub value_end: usize,
    /// Whether the value is `null`.
    pub is_null: bool,
}

/// Reads one document.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not one state"
)]
pub struct Scan {
    state: State,
    pub(super) levels: SmallVec<[Level; 8]>,
    too_deep: usize,
    escaped: bool,
    expects_key: bool,
    key: KeyBuffer,
    pub(super) capture: Capture,
    /// The object of figures that is being read, and the nesting at which it began.
    pub(super) figure: Option<(Figure, usize)>,
    /// The item that is being read.
    pub(super) item: Option<Item>,
    /// An output item that an event told.
    told: Option<Item>,
    /// The value that begins is an item, in this place.
    pub(super) item_begins: Option<Place>,
    offset: usize,
    comma: Option<usize>,
    key_start: usize,
    usage_starts: (Option<usize>, usize),
    /// One more than the most that are told says that there are too many.
    usage_places: SmallVec<[UsagePlace; 1]>,
    /// A `usage` that is not null.
    has_usage: bool,
    pub(super) choices_filled: bool,
    pub(super) other_members: bool,
    pub(super) fault: Fault,
    /// The nesting of the error that is being read.
    pub(super) error: Option<usize>,
    /// The choice that is being read.
    pub(super) choice: Option<Choice>,
    /// The document has ended.
    has_ended: bool,
    /// Something follows it.
    has_more: bool,
    /// The name under which a choice told its thinking.
    pub(super) thought_as: Option<Key>,
}

impl Scan {
    /// Where the top-level `usage` stands, once its value is complete: each place, where it stands more than once, or one
    /// more than [`MAX_USAGE_PLACES`].
    #[must_use]
    pub fn usage_places(&self) -> &[UsagePlace] {
        &self.usage_places
    }

    /// Whether no value is open: the document is whole, or nothing of it has come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.levels.is_empty()
            && self.too_deep == 0
            && matches!(self.state, State::Between | State::Scalar)
    }

    /// Whether anything but blanks follows the document.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// Whether the document holds usage and nothing else that a client could want: no choice and no
    /// member beside the envelope's.
    #[must_use]
    pub fn is_only_usage(&self) -> bool {
        self.has_usage && !self.choices_filled && !self.other_members
    }

    /// Takes the next bytes of the document.
    pub fn feed(&mut self, bytes: &[u8], found: &mut Findings, tally: &mut TextTally) {
        let mut at = 0;
        // Where in these bytes the figures begin that are being read.
        let mut figure_at = 0;
        while let Some((&first, _)) = bytes[at..].split_first() {
            let rest = &bytes[at..];
            let was_in_figure = self.figure.is_some();
            let used = match self.state {
                State::Between => self.between(first, found),
                State::Key => self.in_key(rest),
                State::Text => self.in_text(rest, found, tally),
                State::Scalar => self.in_scalar(rest, found),
            };
            if self.figure.is_some() {
                if !was_in_figure {
                    figure_at = at;
                }
                if self.is_figure_complete() {
                    found.push_figure(&bytes[figure_at..at + used]);
                    self.end_figure(used, found);
                }
            }
            self.offset += used;
            at += used;
        }
        if self.figure.is_some() {
            found.push_figure(&bytes[figure_at..]);
        }
    }

    /// The document ends: a bare scalar has no other end.
    pub fn finish(&mut self, found: &mut Findings) {
        if self.state == State::Scalar {
            self.end_capture(found);
            self.end_value();
            if self.is_figure_complete() {
                self.end_figure(0, found);
            }
        }
        if let Some(choice) = self.choice.take() {
            choice.note_in(&mut found.choices);
        }
        if self.has_usage {
            found.choices.note_figures(self.choices_filled);
        }
        if let Some(item) = self.told.take()
            && !found.is_item_begun()
        {
            item.count_into(&mut found.told_calls);
        }
        self.fault.settle(found);
    }

    /// Between tokens. Takes the byte unless it begins a scalar.
    fn between(&mut self, byte: u8, found: &mut Findings) -> usize {
        self.has_more |= self.has_ended && !b" \t\r\n\xef\xbb\xbf\0".contains(&byte);
        match byte {
            b'{' | b'[' => self.open(byte == b'{', found),
            b'}' | b']' => self.close(found),
            b',' => self.comma(),
            b':' => self.expects_key = false,
            b'"' if self.expects_key => self.begin_key(),
            b'"' => {
                self.begin_value(found, Begins::Text);
                self.state = State::Text;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            // A byte order mark, or what fills up a block.
            0xef | 0xbb | 0xbf | 0 if self.levels.is_empty() => {}
            _ => {
                let is_null = byte == b'n';
                if matches!(byte, b't' | b'1'..=b'9' | b'-') {
                    self.says_what_failed(found);
                }
                self.begin_value(
                    found,
                    if is_null {
                        Begins::Null
                    } else {
                        Begins::Scalar
                    },
                );
                self.state = State::Scalar;
                return 0;
            }
        }
        1
    }

    fn in_key(&mut self, rest: &[u8]) -> usize {
        let (used, end) = self.string_part(rest);
        let text = &rest[..used - usize::from(end)];
        self.key.push(text);
        if end {
            self.state = State::Between;
            if let (0, Some(level)) = (self.too_deep, self.levels.last_mut()) {
                level.key = self.key.key();
            }
        }
        used
    }

    fn in_text(&mut self, rest: &[u8], found: &mut Findings, tally: &mut TextTally) -> usize {
        let (used, end) = self.string_part(rest);
        let text = &rest[..used - usize::from(end)];
        if !text.is_empty() && self.error.is_some() {
            found.error = true;
        }
        match self.capture {
            Capture::Nothing => {}
            Capture::Name(_) | Capture::Item(_) | Capture::Index | Capture::Annotation => {
                found.push_name(text);
            }
            Capture::Tally => {
                tally.push(text);
                if !text.is_empty() {
                    self.has_text(found);
                }
            }
        }
        if end {
            if self.capture == Capture::Tally {
                tally.end();
            }
            self.end_capture(found);
            self.end_value();
        }
        used
    }

    fn in_scalar(&mut self, rest: &[u8], found: &mut Findings) -> usize {
        let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        let used = rest.iter().position(ends).unwrap_or(rest.len());
        let is_kept = |capture| {
            matches!(
                capture,
                Capture::Name(_) | Capture::Index | Capture::Item(_)
            )
        };
        if is_kept(self.capture) {
            found.push_name(&rest[..used]);
        }
        if used < rest.len() {
            self.end_capture(found);
            self.end_value();
        }
        used
    }

    /// The part of a string up to and with its closing quote, or all of `rest`.
    fn string_part(&mut self, rest: &[u8]) -> (usize, bool) {
        let mut at = 0;
        if self.escaped {
            self.escaped = false;
            at = 1;
        }
        while let Some(found) = memchr2(b'"', b'\\', &rest[at..]) {
            at += found;
            if rest[at] == b'"' {
                return (at + 1, true);
            }
            if at + 1 == rest.len() {
                self.escaped = true;
                return (rest.len(), false);
            }
            at += 2;
        }
        (rest.len(), false)
    }

    fn begin_key(&mut self) {
        self.key = KeyBuffer::default();
        self.key_start = self.offset;
        self.expects_key = false;
        self.state = State::Key;
    }

    fn comma(&mut self) {
        self.expects_key = self.too_deep == 0 && self.levels.last().is_some_and(|l| l.is_object);
        if self.levels.len() == 1 {
            self.comma = Some(self.offset);
        }
    }

    fn open(&mut self, is_object: bool, found: &mut Findings) {
        let begins = if is_object {
            Begins::Object
        } else {
            Begins::Array
        };
        self.begin_value(found, begins);
        let item_begins = self.item_begins.take();
        if self.too_deep > 0 || self.levels.len() == MAX_DEPTH {
            self.too_deep += 1;
            self.expects_key = false;
            return;
        }
        let key = self.levels.last().map_or(Key::Other, |level| level.key);
        self.levels.push(Level { is_object, key });
        self.expects_key = is_object;
        if let Some(place) = item_begins {
            self.item = Some(Item::new(self.levels.len(), place));
        }
    }

    fn close(&mut self, found: &mut Findings) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else {
            self.levels.pop();
            let is_over = |item: &mut Item| self.levels.len() < item.depth;
            if let Some(item) = self.item.take_if(is_over) {
                match item.place {
                    Place::Listed => item.count_into(&mut found.listed_calls),
                    Place::Told => self.told = Some(item),
                    Place::Executed => item.note_in(&mut found.executed),
                }
            }
            let is_over = |choice: &mut Choice| self.levels.len() < choice.depth;
            if let Some(choice) = self.choice.take_if(is_over) {
                choice.note_in(&mut found.choices);
            }
        }
        self.end_value();
    }

    /// A figure or a `true` inside of an error says that there was one.
    fn says_what_failed(&self, found: &mut Findings) {
        found.error |= self.error.is_some_and(|depth| self.levels.len() > depth);
    }

    /// A value begins: decides from its place what becomes of it.
    fn begin_value(&mut self, found: &mut Findings, begins: Begins) {
        if self.figure.is_some() || self.too_deep > 0 {
            return;
        }
        self.place(found, begins);
        let is_kept = !matches!(self.capture, Capture::Nothing | Capture::Tally);
        if is_kept || self.figure.is_some() {
            found.begin();
        }
        if self.figure.is_some() {
            self.usage_starts = (self.comma, self.key_start);
        }
    }

    /// The value that was kept is complete.
    fn end_capture(&mut self, found: &mut Findings) {
        match self.capture {
            Capture::Nothing | Capture::Tally => {}
            Capture::Name(field) => {
                if let (Some(choice), Field::FinishReason) = (&mut self.choice, field) {
                    choice.finished |= !found.pending_name().is_empty();
                }
                found.end_name(field);
            }
            Capture::Index => {
                if let Some(choice) = &mut self.choice {
                    choice.take_index(found.pending_name());
                }
            }
            Capture::Annotation => found.cites_pages |= found.pending_name() == b"url_citation",
            Capture::Item(part) => {
                if let Some(item) = &mut self.item {
                    item.take(part, found.pending_name());
                }
            }
        }
    }

    fn end_value(&mut self) {
        self.state = State::Between;
        self.capture = Capture::Nothing;
        if self.too_deep == 0 {
            self.has_ended = self.levels.is_empty();
            self.error.take_if(|depth| self.levels.len() <= *depth);
        }
    }

    /// Figures are complete when the nesting is back where it began and no token is open.
    fn is_figure_complete(&self) -> bool {
        let is_back = self
            .figure
            .is_some_and(|(_, depth)| self.levels.len() == depth);
        is_back && self.state == State::Between && self.too_deep == 0
    }

    /// The figures that were read are complete. The token that ended them has `used` bytes.
    fn end_figure(&mut self, used: usize, found: &mut Findings) {
        let Some((figure, depth)) = self.figure.take() else {
            return;
        };
        let is_null = found.end_figure(figure);
        if let (Figure::Choice, Some(choice)) = (figure, &mut self.choice) {
            choice.told |= !is_null;
        }
        if figure != Figure::Usage || depth != 1 {
            return;
        }
        let (comma_before, key_start) = self.usage_starts;
        let value_end = self.offset + used;
        // Two in one document: which one is meant?
        found.is_odd |= self.has_usage && !is_null && !self.has_more;
        self.has_usage |= !is_null;
        if self.usage_places.len() <= MAX_USAGE_PLACES {
            self.usage_places.push(UsagePlace {
                comma_before,
                key_start,
                value_end,
                is_null,
            });
        }
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
