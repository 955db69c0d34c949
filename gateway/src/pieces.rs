//! Small pieces of what was read from a connection.

use bytes::Bytes;

/// So many bytes are sooner copied than a new buffer is made for those that come after them.
const SMALL_BYTES: usize = 1 << 10;

/// A small piece of a buffer, in memory of its own: while the piece is kept, the connection can read into its buffer again, and needs
/// no other. A large one as it is.
pub fn on_its_own(piece: Bytes) -> Bytes {
    if piece.len() > SMALL_BYTES {
        return piece;
    }
    Bytes::copy_from_slice(&piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_a_small_piece_keeps_no_buffer() {
        let buffer = Bytes::from(vec![7; 8_192]);
        let small = on_its_own(buffer.slice(10..10 + SMALL_BYTES));
        assert_eq!(small, vec![7; SMALL_BYTES]);
        assert!(buffer.is_unique());
        let large = on_its_own(buffer.slice(..=SMALL_BYTES));
        assert!(!buffer.is_unique(), "{}", large.len());
    }
}
