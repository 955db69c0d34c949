//! How many tokens a piece of text is: byte pair encoding as `OpenAI`'s `tiktoken` does it. Of all neighbours that are a token
//! together, those of the lowest rank become one, the leftmost first, until there are none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::table::Table;

/// A part that was merged into the one before it ends nowhere.
const GONE: usize = 0;

/// Counts the tokens of a piece.
pub fn count(table: Table, piece: &[u8]) -> usize {
    if piece.is_empty() || table.rank(piece).is_some() {
        return piece.len().min(1);
    }
    Parts::new(table, piece).merge()
}

struct Parts<'a> {
    table: Table,
    piece: &'a [u8],
    /// Where the part ends that begins here.
    ends: Vec<usize>,
    /// Where the part begins that is before the one that begins here.
    before: Vec<usize>,
    /// Neighbours that were a token together when they were put here: rank, beginning, end.
    mergeable: BinaryHeap<Reverse<(u32, usize, usize)>>,
    count: usize,
}

impl<'a> Parts<'a> {
    /// A part for each byte: every byte is a token.
    fn new(table: Table, piece: &'a [u8]) -> Self {
        let mut parts = Self {
            table,
            piece,
            ends: (1..=piece.len()).collect(),
            before: (0..piece.len()).map(|at| at.saturating_sub(1)).collect(),
            mergeable: BinaryHeap::new(),
            count: piece.len(),
        };
        for start in 1..piece.len() {
            parts.look_at(start - 1, start + 1);
        }
        parts
    }

    fn look_at(&mut self, start: usize, end: usize) {
        if let Some(rank) = self.table.rank(&self.piece[start..end]) {
            self.mergeable.push(Reverse((rank, start, end)));
        }
    }

    fn merge(mut self) -> usize {
        while let Some(Reverse((_, start, end))) = self.mergeable.pop() {
            let middle = self.ends[start];
            // One of the two has been merged with another since.
            if middle == GONE || middle >= end || self.ends[middle] != end {
                continue;
            }
            self.ends[start] = end;
            self.ends[middle] = GONE;
            self.count -= 1;
            if start > 0 {
                self.look_at(self.before[start], end);
            }
            if end < self.piece.len() {
                self.before[end] = start;
                self.look_at(start, self.ends[end]);
            }
        }
        self.count
    }
}
