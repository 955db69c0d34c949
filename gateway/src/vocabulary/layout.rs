//! How a vocabulary lies in the program: numbers of four bytes, the least first.
//!
//! | part | length | what |
//! |---|---|---|
//! | head | 2 numbers | how many slots, how many tokens |
//! | slots | one number each | the rank of a token plus 1, or 0; a token stands in the first slot from its hash on that was free |
//! | starts | one number a token, and one | where the bytes of each rank begin, and where the last ends |
//! | bytes | | the tokens, one after the other |
//!
//! Shared by the build script, which writes it, and by `table.rs`, which reads it. Nothing else may live here.

/// FNV-1a, folded to half: tokens are a few bytes long.
pub fn hash(bytes: &[u8]) -> u32 {
    let whole = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    #[expect(clippy::cast_possible_truncation, reason = "half of it is wanted")]
    let folded = (whole ^ (whole >> 32)) as u32;
    folded
}
