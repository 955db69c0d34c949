//! The sound that the audio APIs take and give, by its length alone. The rates are the simulator's own.

/// Bytes of a file of sound in a millisecond: 16 kHz, 16 bits, one channel.
const IN_BYTES_PER_MS: u64 = 32;
/// Sound that came in, a token.
const IN_MS_PER_TOKEN: u64 = 100;
/// Sound that goes out, a token.
const OUT_MS_PER_TOKEN: u64 = 50;
/// Speech for a character.
const MS_PER_CHARACTER: u64 = 60;
/// Bytes of speech in a millisecond.
const OUT_BYTES_PER_MS: u64 = 4;

/// How long a file of sound is.
pub(super) fn in_ms(file_bytes: usize) -> u64 {
    (file_bytes as u64).div_ceil(IN_BYTES_PER_MS)
}

pub(super) fn in_tokens(ms: u64) -> u64 {
    ms.div_ceil(IN_MS_PER_TOKEN)
}

/// How long it takes to say a text.
pub(super) fn out_ms(characters: u64) -> u64 {
    characters * MS_PER_CHARACTER
}

pub(super) fn out_tokens(ms: u64) -> u64 {
    ms.div_ceil(OUT_MS_PER_TOKEN)
}

pub(super) fn out_bytes(ms: u64) -> u64 {
    ms * OUT_BYTES_PER_MS
}
