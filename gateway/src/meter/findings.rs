//! What metering has found in an answer so far. Bounded; no sense is made of it here.

use super::tools::ToolCalls;

/// The longest usage object that is kept, in bytes. A longer one counts as unreadable, never as absent.
pub const MAX_USAGE_BYTES: usize = 16 * 1024;
/// The longest name (model, tier, reason, code) that is kept.
const MAX_NAME_BYTES: usize = 256;
/// How much generated text is kept for counting; more than this is extrapolated. About the tokens that a drain reads at
/// most; every running answer may hold so much.
const MAX_KEPT_TEXT_BYTES: usize = 32 * 1024;
/// The longest escape that a cut can go through: a surrogate pair.
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
    /// `error.code`.
    ErrorCode,
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

/// What an answer said about itself. For a stream the last word wins, field by field.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not one state"
)]
pub struct Findings {
    /// The last usage value that was not null, verbatim.
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
    /// A stream said `[DONE]`.
    pub done: bool,
    /// It is not what was asked for: one of the reader's reasons.
    pub unexpected: Option<&'static str>,
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
        if self.pending.len() + bytes.len() > limit {
            self.pending_too_long = true;
            return;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Takes the next bytes of an object of figures.
    pub(super) fn push_figure(&mut self, bytes: &[u8]) {
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

    /// An object of figures is complete. Says whether it was `null`, which overwrites nothing.
    pub(super) fn end_figure(&mut self, figure: Figure) -> bool {
        if self.pending_too_long {
            self.usage_too_long = true;
            return false;
        }
        if self.pending.trim_ascii() == b"null" {
            return true;
        }
        let slot = match figure {
            Figure::Usage => &mut self.usage,
            Figure::ToolUsage => &mut self.tool_usage,
            Figure::Breakdown => &mut self.breakdown,
            Figure::Vendor => &mut self.vendor_usage,
            Figure::Choice => &mut self.choice_usage,
        };
        keep(slot, &mut self.pending);
        false
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

    /// A name is complete. An empty one says nothing: chunks with a filter's verdict have an empty `model`.
    pub(super) fn end_name(&mut self, field: Field) {
        if self.pending_too_long || self.pending.is_empty() || !self.decode_pending() {
            return;
        }
        match field {
            Field::Kind => self.error |= self.pending == b"error",
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
            Field::ErrorCode => &mut self.error_code,
            Field::ErrorType => &mut self.error_type,
            Field::Duration => &mut self.duration,
            Field::ToolModel => &mut self.tool_model,
        };
        keep(slot, &mut self.pending);
    }

    /// Whether a stream came to its end, as it says itself: `[DONE]`, a choice or a response that finished, an
    /// error, or the last event of a picture, a transcript or a speech.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let kind = self.kind.as_deref();
        let is_last = kind.is_some_and(|kind| LAST_EVENTS.contains(&kind));
        self.done || self.finish_reason.is_some() || self.error || is_last
    }

    /// Calls of hosted tools: the list of all items, or what was told before it came.
    #[must_use]
    pub fn tool_calls(&self) -> &ToolCalls {
        if self.listed_calls.total() >= self.told_calls.total() {
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

/// The generated text, as far as it is needed to count its tokens where the provider does not.
#[derive(Debug, Default)]
pub struct TextTally {
    /// JSON string literals one after another, the first [`MAX_KEPT_TEXT_BYTES`] of them.
    kept: Vec<u8>,
    /// Bytes of text in `kept`, without the quotes.
    kept_bytes: u64,
    /// All bytes of text, kept or not.
    bytes: u64,
    /// Pieces of text; providers send about a token in each.
    pieces: u64,
    /// Whether text was left out of `kept`.
    overflowed: bool,
    in_string: bool,
}

impl TextTally {
    /// Takes the next bytes of a string; the first of them open it.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.in_string {
            self.in_string = true;
            self.pieces += 1;
            if !self.overflowed {
                self.kept.push(b'"');
            }
        }
        self.bytes += bytes.len() as u64;
        if self.overflowed {
            return;
        }
        let room = MAX_KEPT_TEXT_BYTES.saturating_sub(self.kept.len());
        self.overflowed = bytes.len() > room;
        self.keep(&bytes[..bytes.len().min(room)]);
    }

    /// Grows by doubling like any vector, but never beyond what may be kept.
    fn keep(&mut self, bytes: &[u8]) {
        let needed = self.kept.len() + bytes.len();
        if needed > self.kept.capacity() {
            let capacity =
                (2 * self.kept.capacity()).clamp(needed, MAX_KEPT_TEXT_BYTES.max(needed));
            self.kept.reserve_exact(capacity - self.kept.len());
        }
        self.kept.extend_from_slice(bytes);
        self.kept_bytes += bytes.len() as u64;
    }

    /// The string is complete.
    pub(super) fn end(&mut self) {
        self.in_string = false;
        if !self.overflowed {
            self.kept.push(b'"');
        }
    }

    /// All bytes of text so far, as JSON writes them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// At least about how many tokens have come: a bound for drains, never a bill.
    #[must_use]
    pub fn rough_tokens(&self) -> u64 {
        self.pieces.max(self.bytes / 4)
    }

    /// The kept text, decoded, and how many bytes of text there were for each byte kept.
    #[must_use]
    pub fn text(&self) -> (String, f64) {
        let mut text = String::with_capacity(self.kept.len());
        let mut literals = serde_json::Deserializer::from_slice(&self.kept).into_iter::<String>();
        let mut read = 0;
        while let Some(Ok(literal)) = literals.next() {
            text.push_str(&literal);
            read = literals.byte_offset();
        }
        text.push_str(&unfinished(&self.kept[read..]));
        let kept = self.kept_bytes.max(1);
        #[expect(clippy::cast_precision_loss, reason = "an estimate by its nature")]
        let factor = if self.overflowed {
            self.bytes as f64 / kept as f64
        } else {
            1.0
        };
        (text, factor)
    }
}

/// The text of a literal that was cut off, without the piece of a character that the cut went through.
fn unfinished(literal: &[u8]) -> String {
    let closed = (0..=MAX_ESCAPE_BYTES).find_map(|cut| {
        let mut closed = literal.get(..literal.len().checked_sub(cut)?)?.to_vec();
        closed.push(b'"');
        serde_json::from_slice(&closed).ok()
    });
    closed.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(pieces: &[&[u8]]) -> TextTally {
        let mut tally = TextTally::default();
        for piece in pieces {
            tally.push(piece);
        }
        tally
    }

    #[test]
    fn a_long_text_is_kept_in_part_and_extrapolated() {
        let long = "word ".repeat(20_000);
        for size in [1, 7, 16_384, 100_000] {
            let pieces: Vec<&[u8]> = long.as_bytes().chunks(size).collect();
            let (text, factor) = tally(&pieces).text();
            assert!(long.starts_with(&text) && text.len() > MAX_KEPT_TEXT_BYTES - 64);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let whole = text.len() as f64 * factor;
            assert!((99_900.0..100_100.0).contains(&whole), "{size}: {whole}");
        }
    }

    #[test]
    fn many_short_texts_are_extrapolated_without_their_quotes() {
        let mut tally = TextTally::default();
        for _ in 0..20_000 {
            tally.push(b"word ");
            tally.end();
        }
        let (text, factor) = tally.text();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let whole = text.len() as f64 * factor;
        assert!((99_900.0..100_100.0).contains(&whole), "{whole}");
    }

    #[test]
    fn a_cut_goes_through_no_character() {
        for end in 0..17 {
            let literal = &b"\"ab\\ud83d\\ude00c\\n"[..=end];
            let text = unfinished(literal);
            assert!("ab\u{1f600}c\n".starts_with(&text), "{text:?}");
            assert!(end < 2 || text.starts_with("ab"), "{text:?}");
        }
        let umlaut = "\"ä".as_bytes();
        assert_eq!(unfinished(&umlaut[..2]), "");
        assert_eq!(unfinished(umlaut), "ä");
    }
}
