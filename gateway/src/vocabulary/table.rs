//! A vocabulary as it lies in the program: which bytes are a token, and of which rank. How texts are cut must not live here.

use super::layout::hash;

const NUMBER: usize = size_of::<u32>();
const HEAD: usize = 2 * NUMBER;

/// A laid-out vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    slots: &'static [u8],
    starts: &'static [u8],
    bytes: &'static [u8],
}

impl Table {
    /// Reads what the build script wrote.
    pub fn new(laid: &'static [u8]) -> Self {
        let (slots, tokens) = (number(laid, 0) as usize, number(laid, 1) as usize);
        let (slots, rest) = laid[HEAD..].split_at(slots * NUMBER);
        let (starts, bytes) = rest.split_at((tokens + 1) * NUMBER);
        Self {
            slots,
            starts,
            bytes,
        }
    }

    /// The rank of a token: the lower, the earlier it is merged.
    pub fn rank(&self, token: &[u8]) -> Option<u32> {
        let most = self.slots.len() / NUMBER - 1;
        let mut slot = hash(token) as usize & most;
        loop {
            let rank = number(self.slots, slot).checked_sub(1)?;
            if self.token(rank as usize) == token {
                return Some(rank);
            }
            slot = (slot + 1) & most;
        }
    }

    fn token(&self, rank: usize) -> &'static [u8] {
        let (start, end) = (number(self.starts, rank), number(self.starts, rank + 1));
        &self.bytes[start as usize..end as usize]
    }
}

/// The number at a place. Past the end it would be 0; nobody reads there.
fn number(numbers: &[u8], at: usize) -> u32 {
    let bytes = numbers.get(at * NUMBER..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
