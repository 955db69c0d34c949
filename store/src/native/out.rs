//! The bytes of a block on their way out: many small pieces in one, large ones as they are, none copied twice. Knows no format.

use bytes::{Bytes, BytesMut};

/// A piece so long goes out on its own.
const LARGE_BYTES: usize = 16 << 10;

/// Pieces in their order.
#[derive(Debug, Default)]
pub(super) struct Out {
    pieces: Vec<Bytes>,
    small: BytesMut,
}

impl Out {
    /// The next bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.small.extend_from_slice(bytes);
    }

    /// The next bytes, given away.
    pub(super) fn give(&mut self, bytes: Vec<u8>) {
        if bytes.len() < LARGE_BYTES {
            return self.put(&bytes);
        }
        self.end_small();
        self.pieces.push(bytes.into());
    }

    /// A number, eight bytes, the least first.
    pub(super) fn number(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }

    /// A length before what is so long (LEB128).
    pub(super) fn length(&mut self, length: usize) {
        put_length(length, |byte| self.put(&[byte]));
    }

    /// A text behind its length.
    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.put(text.as_bytes());
    }

    /// All pieces.
    pub(super) fn end(mut self) -> Vec<Bytes> {
        self.end_small();
        self.pieces
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(self.small.split().freeze());
        }
    }
}

/// Seven bits a byte, the least first; the eighth says that more follow.
pub(super) fn put_length(length: usize, mut put: impl FnMut(u8)) {
    let mut left = length;
    loop {
        let bits = u8::try_from(left & 0x7f).unwrap_or(0x7f);
        left >>= 7;
        if left == 0 {
            return put(bits);
        }
        put(bits | 0x80);
    }
}

/// A text behind its length, in a column.
pub(super) fn put_text(column: &mut Vec<u8>, text: &[u8]) {
    put_length(text.len(), |byte| column.push(byte));
    column.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_seven_bits_a_byte_and_pieces_keep_their_order() {
        let mut out = Out::default();
        for length in [0, 127, 128, 16_384] {
            out.length(length);
        }
        out.give(vec![7; LARGE_BYTES]);
        out.give(vec![8]);
        out.text("é");
        let pieces = out.end();
        assert_eq!(pieces[0][..], [0, 127, 128, 1, 128, 128, 1]);
        assert_eq!(pieces[1].len(), LARGE_BYTES);
        assert_eq!(pieces[2][..], [8, 2, 0xc3, 0xa9]);
    }
}
