//! The text of answers: words that are one token each, so that a text of n words is n tokens long.
//! Which words, is drawn; that they count right as a whole text is a test in `tokens`.

/// Each is one token in `cl100k_base` and in `o200k_base`, with the space before it. Some are not ASCII,
/// so that a write can end within a character. None needs escaping in JSON.
const WORDS: [&str; 24] = [
    " the", " water", " runs", " from", " für", " stone", " and", " light", " más", " open",
    " door", " time", " not", " house", " green", " year", " не", " work", " long", " hand",
    " part", " small", " large", " point",
];

/// Four bytes each: in byte counting one word is one token.
const FOUR_BYTES: [&str; 4] = [" abc", " def", " ghi", " jkl"];

/// Four characters of Base64 each, which are three bytes.
const BASE64: [&str; 4] = ["c291", "bmRz", "aW1n", "cG9p"];

/// A lazy text of single-token words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    words: &'static [&'static str],
    offset: usize,
}

impl Text {
    /// A text for the tokenizers; `draw` says with which word it begins.
    pub(crate) fn of_tokens(draw: u64) -> Self {
        Self::new(&WORDS, draw)
    }

    /// A text for byte counting.
    pub(crate) fn of_bytes(draw: u64) -> Self {
        Self::new(&FOUR_BYTES, draw)
    }

    /// What stands for pictures and sound: Base64 of nothing in particular.
    pub(crate) fn of_base64(draw: u64) -> Self {
        Self::new(&BASE64, draw)
    }

    fn new(words: &'static [&'static str], draw: u64) -> Self {
        let words_len = words.len() as u64;
        Self {
            words,
            offset: usize::try_from(draw % words_len).unwrap_or(0),
        }
    }

    /// The first `count` words.
    pub(crate) fn string(self, count: u64) -> String {
        let mut words = Vec::new();
        self.write(&mut words, 0, count);
        String::from_utf8_lossy(&words).into_owned()
    }

    /// Appends the words `start..start + count`.
    pub(crate) fn write(self, out: &mut Vec<u8>, start: u64, count: u64) {
        let words_len = self.words.len() as u64;
        let mut at =
            (usize::try_from(start % words_len).unwrap_or(0) + self.offset) % self.words.len();
        for _ in 0..count {
            out.extend_from_slice(self.words[at].as_bytes());
            at = if at + 1 == self.words.len() {
                0
            } else {
                at + 1
            };
        }
    }

    /// Bytes of the first `count` words.
    pub(crate) fn bytes(self, count: u64) -> u64 {
        let words_len = self.words.len() as u64;
        let mut rest = Vec::new();
        self.write(&mut rest, 0, count % words_len);
        count / words_len * self.round_bytes() + rest.len() as u64
    }

    /// How many words from `start` on fit into so many bytes, at most `max`.
    pub(crate) fn words_within(self, start: u64, bytes: u64, max: u64) -> u64 {
        let words_len = self.words.len() as u64;
        let mut at =
            (usize::try_from(start % words_len).unwrap_or(0) + self.offset) % self.words.len();
        let (mut room, mut count) = (bytes, 0);
        while count < max && room >= self.words[at].len() as u64 {
            room -= self.words[at].len() as u64;
            count += 1;
            at = (at + 1) % self.words.len();
        }
        count
    }

    /// How many words make about so many bytes.
    pub(crate) fn words_for(self, bytes: u64) -> u64 {
        bytes * self.words.len() as u64 / self.round_bytes()
    }

    fn round_bytes(self) -> u64 {
        self.words.iter().map(|word| word.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn the_length_in_bytes_is_that_of_the_text() {
        for text in [Text::of_tokens(5), Text::of_bytes(3), Text::of_base64(2)] {
            for count in [0, 1, 23, 24, 25, 1_000] {
                let mut written = Vec::new();
                text.write(&mut written, 0, count);
                assert_eq!(text.bytes(count), written.len() as u64);
            }
        }
    }

    #[test]
    fn a_text_written_in_pieces_is_the_same_text() {
        let text = Text::of_tokens(7);
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        text.write(&mut whole, 0, 100);
        for start in (0..100).step_by(4) {
            text.write(&mut pieces, start, 4);
        }
        assert_eq!(whole, pieces);
    }
}
