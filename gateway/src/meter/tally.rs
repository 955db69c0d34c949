//! The generated text, as far as it is needed to count its tokens. Bounded. What must not live here: which texts were
//! generated (see `texts`).

/// How much generated text is kept for counting; more than this is extrapolated. About the tokens that a drain reads at
/// most; every running answer may hold so much.
const MAX_KEPT_TEXT_BYTES: usize = 32 * 1024;
/// The longest escape that a cut can go through: a surrogate pair.
const MAX_ESCAPE_BYTES: usize = 12;

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
    /// Takes the next bytes of a string; the first of them open it. An empty text is no piece.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
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
        if !std::mem::take(&mut self.in_string) {
            return;
        }
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

    /// Recorded of `OpenRouter`: a chunk of thinking has `"content":""` beside it.
    #[test]
    fn an_empty_text_is_no_piece_and_takes_no_room() {
        let mut tally = tally(&[b"word"]);
        tally.end();
        for _ in 0..MAX_KEPT_TEXT_BYTES {
            tally.push(b"");
            tally.end();
        }
        assert_eq!((tally.rough_tokens(), tally.kept.len()), (1, 6));
        assert_eq!(tally.text(), ("word".to_owned(), 1.0));
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
