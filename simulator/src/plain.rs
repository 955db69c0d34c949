//! An answer that is not a stream, made piece by piece so that a big one never stands in memory whole.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::body::Step;
use crate::fate::{Break, Fate, Place};
use crate::words::Text;

/// Words in a piece: some 16 KiB.
const PIECE_WORDS: u64 = 2_700;

#[derive(Debug)]
enum Piece {
    Bytes {
        bytes: Bytes,
        /// Tokens that are handed over with the last byte.
        tokens: u64,
        usage: bool,
    },
    Text {
        text: Text,
        start: u64,
        end: u64,
        tokens_per_word: u64,
        hidden_tokens: u64,
    },
}

/// The pieces of an answer while they are put together.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    list: VecDeque<Piece>,
    before_usage: Option<u64>,
    len_bytes: u64,
}

impl Pieces {
    /// Bytes that hold nothing that counts.
    pub(crate) fn bytes(&mut self, bytes: impl Into<Bytes>) {
        self.counted(bytes, 0);
    }

    /// Bytes that hold so many tokens.
    pub(crate) fn counted(&mut self, bytes: impl Into<Bytes>, tokens: u64) {
        self.push(Piece::Bytes {
            bytes: bytes.into(),
            tokens,
            usage: false,
        });
    }

    /// A text of so many words, each a token, and hidden tokens before it.
    pub(crate) fn text(&mut self, text: Text, words: u64, hidden_tokens: u64) {
        self.push(Piece::Text {
            text,
            start: 0,
            end: words,
            tokens_per_word: 1,
            hidden_tokens,
        });
    }

    /// Words that are no text; all of it together holds so many tokens.
    pub(crate) fn filling(&mut self, filling: Text, words: u64, tokens: u64) {
        self.push(Piece::Text {
            text: filling,
            start: 0,
            end: words,
            tokens_per_word: 0,
            hidden_tokens: tokens,
        });
    }

    /// What comes now is behind the place before the usage.
    pub(crate) fn before_usage(&mut self) {
        self.before_usage = Some(self.len_bytes);
    }

    /// Bytes that hold the usage figures.
    pub(crate) fn usage(&mut self, bytes: impl Into<Bytes>) {
        self.push(Piece::Bytes {
            bytes: bytes.into(),
            tokens: 0,
            usage: true,
        });
    }

    fn push(&mut self, piece: Piece) {
        self.len_bytes += piece.len_bytes();
        self.list.push_back(piece);
    }
}

/// Produces the pieces of a plain answer and what happens between them.
#[derive(Debug)]
pub(crate) struct Plain {
    pieces: VecDeque<Piece>,
    len_bytes: u64,
    tells_length: bool,
    sent_bytes: u64,
    breaks: Option<Planned>,
}

/// A break and the byte before which it happens.
#[derive(Debug, Clone, Copy)]
struct Planned {
    at_bytes: u64,
    breaks: Break,
}

impl Plain {
    /// An answer of these pieces, broken as the fate says.
    pub(crate) fn new(pieces: Pieces, fate: &Fate) -> Self {
        let Pieces {
            list: pieces,
            before_usage,
            len_bytes,
        } = pieces;
        // Where no usage follows, the last byte stands for it: a break behind that is none.
        let last_byte = len_bytes.saturating_sub(1);
        let before_usage = before_usage.unwrap_or(last_byte).min(last_byte);
        let breaks = fate
            .breaks
            .and_then(|breaks| planned(breaks, len_bytes, before_usage));
        Self {
            pieces,
            len_bytes,
            tells_length: true,
            sent_bytes: 0,
            breaks,
        }
    }

    /// Its length is not told beforehand.
    pub(crate) fn without_length(mut self) -> Self {
        self.tells_length = false;
        self
    }

    /// The `Content-Length`, where there is one.
    pub(crate) fn len_bytes(&self) -> Option<u64> {
        self.tells_length.then_some(self.len_bytes)
    }

    /// What is to be done next; `None` after the last byte.
    pub(crate) fn next(&mut self) -> Option<Step> {
        if let Some(planned) = self
            .breaks
            .filter(|planned| planned.at_bytes <= self.sent_bytes)
        {
            self.breaks = None;
            return Some(match planned.breaks {
                Break::Stall(_, ms) => Step::Stall(ms),
                Break::Reset(_) | Break::ErrorEvent(_) => Step::Reset,
            });
        }
        let mut rendered = Rendered::default();
        while rendered.bytes.len() < 16_384 {
            let Some(piece) = self.pieces.pop_front() else {
                break;
            };
            let room = self
                .breaks
                .map(|planned| planned.at_bytes - self.sent_bytes - rendered.bytes.len() as u64);
            if !self.write_piece(piece, room, &mut rendered) {
                break;
            }
        }
        if rendered.bytes.is_empty() {
            return self.breaks.is_some().then(|| self.next()).flatten();
        }
        self.sent_bytes += rendered.bytes.len() as u64;
        Some(Step::Data {
            bytes: rendered.bytes.into(),
            tokens: rendered.tokens,
            usage: rendered.usage,
        })
    }

    /// Renders a piece; `false` when the place of the break is reached and the rest has been put back.
    fn write_piece(&mut self, piece: Piece, room: Option<u64>, rendered: &mut Rendered) -> bool {
        let room = room.unwrap_or(u64::MAX);
        match piece {
            Piece::Bytes {
                mut bytes,
                tokens,
                usage,
            } if bytes.len() as u64 > room => {
                let rest = bytes.split_off(usize::try_from(room).unwrap_or(usize::MAX));
                rendered.bytes.extend_from_slice(&bytes);
                self.pieces.push_front(Piece::Bytes {
                    bytes: rest,
                    tokens,
                    usage,
                });
                false
            }
            Piece::Bytes {
                bytes,
                tokens,
                usage,
            } => {
                rendered.bytes.extend_from_slice(&bytes);
                rendered.tokens += tokens;
                rendered.usage |= usage;
                true
            }
            Piece::Text {
                text,
                start,
                end,
                tokens_per_word,
                hidden_tokens,
            } => {
                let count =
                    (end - start)
                        .min(PIECE_WORDS)
                        .min(text.words_within(start, room, PIECE_WORDS));
                text.write(&mut rendered.bytes, start, count);
                rendered.tokens += count * tokens_per_word + hidden_tokens;
                if start + count == end {
                    return true;
                }
                self.pieces.push_front(Piece::Text {
                    text,
                    start: start + count,
                    end,
                    tokens_per_word,
                    hidden_tokens: 0,
                });
                count == PIECE_WORDS || self.break_here(rendered)
            }
        }
    }

    /// No further whole word fits before the break: it happens here.
    fn break_here(&mut self, rendered: &Rendered) -> bool {
        if let Some(planned) = &mut self.breaks {
            planned.at_bytes = self.sent_bytes + rendered.bytes.len() as u64;
        }
        false
    }
}

/// What one step hands over.
#[derive(Debug, Default)]
struct Rendered {
    bytes: Vec<u8>,
    tokens: u64,
    usage: bool,
}

impl Piece {
    fn len_bytes(&self) -> u64 {
        match self {
            Self::Bytes { bytes, .. } => bytes.len() as u64,
            Self::Text { text, end, .. } => text.bytes(*end),
        }
    }
}

fn planned(breaks: Break, len_bytes: u64, before_usage: u64) -> Option<Planned> {
    let place = match breaks {
        Break::ErrorEvent(_) => return None,
        Break::Reset(place) | Break::Stall(place, _) => place,
    };
    let at_bytes = match place {
        Place::AfterEvents(_) => len_bytes / 2,
        Place::BeforeUsage => before_usage,
    };
    Some(Planned { at_bytes, breaks })
}
