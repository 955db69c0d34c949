//! What metering has found in an answer so far. Bounded; no sense is made of it here.

use super::choices::Choices;
use super::dialect::has_figures;
use super::merge::{Merged, Shrunk, merge};
pub use super::tally::TextTally;
use super::tools::{Executed, ToolCalls};

/// The longest usage object that is kept, in bytes. A longer one counts as unreadable, never as absent.
pub const MAX_USAGE_BYTES: usize = 16 * 1024;
/// Most usage objects are no longer.
const USUAL_USAGE_BYTES: usize = 384;
/// The longest name (model, tier, reason, code) that is kept.
const MAX_NAME_BYTES: usize = 256;
/// Ends a model's name that was longer: what is left of it must be no other model's.
const CUT: &str = "\u{2026}";
/// The longest escape or character that a cut can go through: a surrogate pair.
const MAX_ESCAPE_BYTES: usize = 12;

/// The single values that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `model` of the answer.
    Model,
    /// `service_tier` of the answer.
    ServiceTier,
    /// `choices[].finish_reason`.
    FinishReason,
    /// `status` of a response.
    Status,
    /// `incomplete_details.reason` of a response.
    IncompleteReason,
    /// `type` of an event.
    Kind,
    /// `object` of the answer.
    Object,
    /// `error.code`.
    ErrorCode,
    /// `code` without an envelope.
    BareCode,
    /// `error.type`.
    ErrorType,
    /// `duration` of a transcribed recording.
    Duration,
    /// `tools[].model`: only the tool that draws images names one.
    ToolModel,
}

/// The objects of figures that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// `usage` of the answer.
    Usage,
    /// `tool_usage`: what hosted tools used with models of their own.
    ToolUsage,
    /// `usage_breakdown`: the same use, model by model.
    Breakdown,
    /// `x_groq.usage`.
    Vendor,
    /// `choices[].usage`.
    Choice,
}

impl Figure {
    const COUNT: usize = Self::Choice as usize + 1;
}

/// What an answer said about itself. For a stream the last word wins, field by field.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not one state"
)]
pub struct Findings {
    /// The usage, verbatim; where it was told more than once, all that was told of it, the last word of each field.
    pub usage: Option<Vec<u8>>,
    /// A usage value was longer than [`MAX_USAGE_BYTES`].
    pub usage_too_long: bool,
    /// What hosted tools used, verbatim.
    pub tool_usage: Option<Vec<u8>>,
    /// The same use model by model, verbatim.
    pub breakdown: Option<Vec<u8>>,
    /// `x_groq.usage`, verbatim.
    pub vendor_usage: Option<Vec<u8>>,
    /// `choices[].usage`, verbatim.
    pub choice_usage: Option<Vec<u8>>,
    /// As the provider named it.
    pub model: Option<Vec<u8>>,
    /// As the provider reported it.
    pub service_tier: Option<Vec<u8>>,
    /// As the provider said.
    pub finish_reason: Option<Vec<u8>>,
    /// How far a response came.
    pub status: Option<Vec<u8>>,
    /// Type of the last event.
    pub kind: Option<Vec<u8>>,
    /// An `error` member that was not null.
    pub error: bool,
    /// Its code.
    pub error_code: Option<Vec<u8>>,
    /// Its type.
    pub error_type: Option<Vec<u8>>,
    /// `object` of the document that is being read.
    pub(super) object: Option<Vec<u8>>,
    /// `code` of the document that is being read.
    pub(super) bare_code: Option<Vec<u8>>,
    /// Text came in pieces.
    pub(super) has_deltas: bool,
    /// Seconds of a transcribed recording, as written.
    pub duration: Option<Vec<u8>>,
    /// The model that draws images for a response.
    pub tool_model: Option<Vec<u8>>,
    /// Elements of the top-level `data`.
    pub data_items: u32,
    /// Calls of hosted tools in the last list of output items.
    pub listed_calls: ToolCalls,
    /// Calls of hosted tools that were told as they ended.
    pub told_calls: ToolCalls,
    /// Tools that a chat says were executed.
    pub(super) executed: Executed,
    /// A stream said `[DONE]`.
    pub done: bool,
    /// It is not what was asked for: one of the reader's reasons.
    pub unexpected: Option<&'static str>,
    /// It cites pages of the web.
    pub cites_pages: bool,
    /// It contradicts itself, or is damaged: its figures may not be what was meant.
    pub(super) is_odd: bool,
    /// What the last figures of each place take back.
    shrunk: [Shrunk; Figure::COUNT],
    pub(super) choices: Choices,
    pending: Vec<u8>,
    pending_too_long: bool,
}

/// States after which a response says no more.
const TERMINAL: [&[u8]; 4] = [b"completed", b"incomplete", b"failed", b"cancelled"];

/// Events after which a stream says no more.
const LAST_EVENTS: [&[u8]; 4] = [
    b"transcript.text.done",
    b"speech.audio.done",
    b"image_generation.completed",
    b"image_edit.completed",
];

impl Findings {
    /// Starts a value that is kept.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
        self.pending_too_long = false;
    }

    /// Takes the next bytes of it.
    fn push(&mut self, bytes: &[u8], limit: usize) {
        let room = limit - self.pending.len();
        self.pending_too_long |= bytes.len() > room;
        self.pending
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Takes the next bytes of an object of figures.
    pub(super) fn push_figure(&mut self, bytes: &[u8]) {
        if self.pending.capacity() < USUAL_USAGE_BYTES {
            self.pending.reserve(USUAL_USAGE_BYTES);
        }
        self.push(bytes, MAX_USAGE_BYTES);
    }

    /// Takes the next bytes of a name.
    pub(super) fn push_name(&mut self, bytes: &[u8]) {
        self.push(bytes, MAX_NAME_BYTES);
    }

    /// What was taken of a name; empty where it was too long.
    pub(super) fn pending_name(&self) -> &[u8] {
        if self.pending_too_long {
            return &[];
        }
        &self.pending
    }

    /// An object of figures is complete. Says whether it was `null`, which says nothing.
    pub(super) fn end_figure(&mut self, figure: Figure) -> bool {
        if self.pending_too_long {
            self.usage_too_long = true;
            return false;
        }
        if self.pending.trim_ascii() == b"null" {
            return true;
        }
        let is_empty = self.pending.iter().all(|b| b"{} \t\r\n".contains(b));
        let slot = match figure {
            Figure::Usage => &mut self.usage,
            Figure::ToolUsage => &mut self.tool_usage,
            Figure::Breakdown => &mut self.breakdown,
            Figure::Vendor => &mut self.vendor_usage,
            Figure::Choice => &mut self.choice_usage,
        };
        let Some(said) = slot else {
            keep(slot, &mut self.pending);
            return false;
        };
        // An empty object says no more than null.
        if is_empty {
            return false;
        }
        let shrunk = &mut self.shrunk[figure as usize];
        let (merged, is_odd) = merge(said, &self.pending, shrunk);
        self.is_odd |= is_odd;
        match merged {
            Merged::Same => {}
            Merged::Replaced => keep(slot, &mut self.pending),
            Merged::Both(bytes) if bytes.len() > MAX_USAGE_BYTES => self.usage_too_long = true,
            Merged::Both(bytes) => *slot = Some(bytes),
        }
        false
    }

    /// The answer's own figures: of the places that have some the first where any is above zero. An empty object, or zeros,
    /// in one place hide nothing that another tells.
    #[must_use]
    pub fn stated(&self) -> Option<&[u8]> {
        self.own().map(|(_, said)| said)
    }

    fn own(&self) -> Option<(Figure, &[u8])> {
        let places = [
            (Figure::Usage, &self.usage),
            (Figure::Vendor, &self.vendor_usage),
            (Figure::Choice, &self.choice_usage),
        ];
        let told = places.map(|(figure, said)| Some((figure, said.as_deref()?)));
        let mut told = told.into_iter().flatten();
        let first = told.next()?;
        // Only where it is told again must be looked at what it says.
        let Some(second) = told.next() else {
            return Some(first);
        };
        let mut all = [first, second].into_iter().chain(told);
        Some(all.find(|(_, said)| has_figures(said)).unwrap_or(first))
    }

    /// Whether its figures contradict each other, or it is damaged.
    #[must_use]
    pub fn contradicts_itself(&self) -> bool {
        let own = self.own().map_or(Figure::Usage, |(figure, _)| figure);
        let places = [own, Figure::ToolUsage, Figure::Breakdown];
        let takes_back = |figure| self.shrunk[figure as usize].any();
        // What several choices tell each need not be the whole, and no rule says that it adds up.
        let is_divided = own == Figure::Choice && self.choices.several_told();
        self.is_odd || is_divided || places.into_iter().any(takes_back)
    }

    /// A longer name of a model is cut, between two characters: without any name it would be taken for another.
    fn cut_pending(&mut self) {
        let longest = MAX_NAME_BYTES - CUT.len();
        let name = (0..=MAX_ESCAPE_BYTES).find_map(|cut| {
            let kept = self.pending.get(..longest.checked_sub(cut)?)?;
            serde_json::from_slice::<String>(&[b"\"", kept, b"\""].concat()).ok()
        });
        self.pending = (name.unwrap_or_default() + CUT).into_bytes();
        self.pending_too_long = false;
    }

    /// A name that is written with escapes becomes what it says. `false` if it says nothing.
    fn decode_pending(&mut self) -> bool {
        if !self.pending.contains(&b'\\') {
            return true;
        }
        let quoted = [b"\"".as_slice(), &self.pending, b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(name) => self.pending = name.into_bytes(),
            Err(_) => return false,
        }
        true
    }

    /// An event has this name.
    pub(super) fn name_event(&mut self, name: &[u8]) {
        self.begin();
        self.push_name(name);
        self.end_name(Field::Kind);
    }

    /// A name is complete. An empty one says nothing: chunks with a filter's verdict have an empty `model`.
    pub(super) fn end_name(&mut self, field: Field) {
        if self.pending_too_long && field == Field::Model {
            self.cut_pending();
        } else if self.pending_too_long || !self.decode_pending() {
            return;
        }
        if self.pending.is_empty() {
            return;
        }
        match field {
            Field::Kind | Field::FinishReason => self.error |= self.pending == b"error",
            // A response has no choice that says how it finished; why it is incomplete says more.
            Field::Status
                if self.finish_reason.is_none() && TERMINAL.contains(&self.pending.as_slice()) =>
            {
                self.finish_reason = Some(self.pending.clone());
            }
            _ => {}
        }
        let slot = match field {
            Field::Model => &mut self.model,
            Field::ServiceTier => &mut self.service_tier,
            Field::FinishReason | Field::IncompleteReason => &mut self.finish_reason,
            Field::Status => &mut self.status,
            Field::Kind => &mut self.kind,
            Field::Object => &mut self.object,
            Field::ErrorCode => &mut self.error_code,
            Field::BareCode => &mut self.bare_code,
            Field::ErrorType => &mut self.error_type,
            Field::Duration => &mut self.duration,
            Field::ToolModel => &mut self.tool_model,
        };
        keep(slot, &mut self.pending);
    }

    /// Whether a stream came to its end, as it says itself: `[DONE]`, a response that finished or every choice that
    /// began, an error, or the last event of a picture, a transcript or a speech.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.has_finished() || self.error
    }

    /// The same without an error, which can come at any time.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        let kind = self.kind.as_deref();
        let is_last = kind.is_some_and(|kind| LAST_EVENTS.contains(&kind));
        let has_reason = self.finish_reason.is_some() && self.choices.are_finished();
        self.done || has_reason || is_last
    }

    /// Whether what a stream told of usage before it broke off is its last word all the same.
    #[must_use]
    pub fn has_last_word(&self) -> bool {
        self.done || (self.has_finished() && !self.choices.may_be_told_apart())
    }

    /// Calls of hosted tools: those that a chat executed, the list of all items once the response is over, or what was told before it came.
    #[must_use]
    pub fn tool_calls(&self) -> &ToolCalls {
        if self.executed.calls.total() > 0 {
            return &self.executed.calls;
        }
        let is_over = self
            .status
            .as_deref()
            .is_some_and(|status| TERMINAL.contains(&status));
        let (listed, told) = (self.listed_calls.total(), self.told_calls.total());
        if (is_over && listed > 0) || listed >= told {
            &self.listed_calls
        } else {
            &self.told_calls
        }
    }
}

/// Keeps a value without a new allocation where there was one before.
fn keep(slot: &mut Option<Vec<u8>>, pending: &mut Vec<u8>) {
    match slot {
        Some(old) => std::mem::swap(old, pending),
        None => *slot = Some(std::mem::take(pending)),
    }
}
