//! An answer as one JSON object, made piece by piece so that a big one never stands in memory whole.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::answer::Answer;
use crate::body::Step;
use crate::fate::{Break, Fate, Place};
use crate::usage::UsageMode;
use crate::words::Text;

/// Words in a piece: some 16 KiB.
const PIECE_WORDS: u64 = 2_700;

#[derive(Debug)]
enum Piece {
    Bytes {
        bytes: Bytes,
        usage: bool,
    },
    Text {
        text: Text,
        start: u64,
        end: u64,
        hidden_tokens: u64,
    },
}

/// Produces the pieces of a plain answer and what happens between them.
#[derive(Debug)]
pub(crate) struct Plain {
    pieces: VecDeque<Piece>,
    len_bytes: u64,
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
    pub(crate) fn new(answer: &Answer, fate: &Fate) -> Self {
        let mut pieces = VecDeque::new();
        let head = format!(
            "{{\"id\":\"{}\",\"object\":\"chat.completion\",\"created\":{},\"model\":\"{}\",\"choices\":[",
            answer.id, answer.created, answer.model
        );
        let mut pending = head;
        for choice in 0..answer.choices {
            pending.push_str(&choice_head(choice));
            push_bytes(&mut pieces, &mut pending, false);
            let text = Piece::Text {
                text: answer.text(choice),
                start: 0,
                end: answer.visible_tokens,
                hidden_tokens: answer.reasoning_tokens,
            };
            pieces.push_back(text);
            pending.push_str(&choice_tail(answer));
        }
        pending.push(']');
        push_bytes(&mut pieces, &mut pending, false);
        let before_usage: u64 = pieces.iter().map(Piece::len_bytes).sum();
        let reports = fate.usage != UsageMode::Nowhere;
        if reports {
            pending.push_str(",\"usage\":");
            pending.push_str(&answer.usage.json(fate.bad_usage));
        }
        pending.push_str(",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_51db84afab\"}");
        push_bytes(&mut pieces, &mut pending, reports);
        let len_bytes = pieces.iter().map(Piece::len_bytes).sum();
        let breaks = fate
            .breaks
            .and_then(|breaks| planned(breaks, len_bytes, before_usage));
        Self {
            pieces,
            len_bytes,
            sent_bytes: 0,
            breaks,
        }
    }

    /// The `Content-Length`.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
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
            Piece::Bytes { mut bytes, usage } if bytes.len() as u64 > room => {
                let rest = bytes.split_off(usize::try_from(room).unwrap_or(usize::MAX));
                rendered.bytes.extend_from_slice(&bytes);
                self.pieces.push_front(Piece::Bytes { bytes: rest, usage });
                false
            }
            Piece::Bytes { bytes, usage } => {
                rendered.bytes.extend_from_slice(&bytes);
                rendered.usage |= usage;
                true
            }
            Piece::Text {
                text,
                start,
                end,
                hidden_tokens,
            } => {
                let count =
                    (end - start)
                        .min(PIECE_WORDS)
                        .min(text.words_within(start, room, PIECE_WORDS));
                text.write(&mut rendered.bytes, start, count);
                rendered.tokens += count + hidden_tokens;
                if start + count == end {
                    return true;
                }
                self.pieces.push_front(Piece::Text {
                    text,
                    start: start + count,
                    end,
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

fn push_bytes(pieces: &mut VecDeque<Piece>, pending: &mut String, usage: bool) {
    pieces.push_back(Piece::Bytes {
        bytes: Bytes::from(std::mem::take(pending)),
        usage,
    });
}

fn choice_head(choice: u64) -> String {
    let comma = if choice == 0 { "" } else { "," };
    format!("{comma}{{\"index\":{choice},\"message\":{{\"role\":\"assistant\",\"content\":\"")
}

fn choice_tail(answer: &Answer) -> String {
    format!(
        "\",\"refusal\":null,\"annotations\":[]}},\"logprobs\":null,\"finish_reason\":\"{}\"}}",
        answer.finish_reason
    )
}
