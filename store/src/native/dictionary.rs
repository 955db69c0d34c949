//! A column of few different texts: each text once, and a number a row.

use std::collections::HashMap;

use super::out::{Out, put_text};

/// The version of the format that every reader knows: dictionaries come with their block.
const SHARED_WITH_KEYS: u64 = 1;
/// The block has keys of its own, and they are all that it needs.
const HAS_KEYS: u64 = (1 << 9) | (1 << 10);

/// Texts and what stands where.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// The first key is no text.
    is_nullable: bool,
    /// Each text behind its length.
    keys: Vec<u8>,
    numbers: HashMap<Box<[u8]>, u32>,
    /// The text that came last, for it often comes again.
    last: Option<(Vec<u8>, u32)>,
    count: u32,
    rows: Vec<u32>,
}

impl Dictionary {
    /// An empty one.
    pub(super) fn new(is_nullable: bool) -> Self {
        let mut dictionary = Self {
            is_nullable,
            ..Self::default()
        };
        if is_nullable {
            put_text(&mut dictionary.keys, b"");
            dictionary.count = 1;
        }
        dictionary
    }

    pub(super) fn is_nullable(&self) -> bool {
        self.is_nullable
    }

    /// The next row has this text.
    pub(super) fn push(&mut self, text: &[u8]) {
        let number = match &self.last {
            Some((last, number)) if last == text => *number,
            _ => self.number_of(text),
        };
        self.rows.push(number);
    }

    /// The next row has none.
    pub(super) fn push_null(&mut self) {
        debug_assert!(self.is_nullable, "asked before");
        self.rows.push(0);
    }

    fn number_of(&mut self, text: &[u8]) -> u32 {
        let known = self.numbers.get(text).copied();
        let number = known.unwrap_or_else(|| {
            let number = self.count;
            put_text(&mut self.keys, text);
            self.numbers.insert(text.into(), number);
            self.count += 1;
            number
        });
        let (last, of) = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(text);
        *of = number;
        number
    }

    pub(super) fn prefix(out: &mut Out) {
        out.number(SHARED_WITH_KEYS);
    }

    /// Of no rows nothing is written.
    pub(super) fn encode(self, out: &mut Out) {
        if self.rows.is_empty() {
            return;
        }
        let (width, rows) = narrow(&self.rows, self.count);
        out.number(width | HAS_KEYS);
        out.number(self.count.into());
        out.give(self.keys);
        out.number(self.rows.len() as u64);
        out.give(rows);
    }
}

/// The numbers in as few bytes as the greatest needs; 0 stands for one byte, 1 for two, 2 for four.
fn narrow(rows: &[u32], count: u32) -> (u64, Vec<u8>) {
    let few = |row: &u32| u8::try_from(*row).unwrap_or(0);
    let some = |row: &u32| u16::try_from(*row).unwrap_or(0).to_le_bytes();
    match count {
        0..=0x100 => (0, rows.iter().map(few).collect()),
        0x101..=0x1_0000 => (1, rows.iter().flat_map(some).collect()),
        _ => (2, rows.iter().flat_map(|row| row.to_le_bytes()).collect()),
    }
}
