//! Ways to cut bytes into chunks, the same every time for the same bytes.

use crate::mutate::Random;

/// Bytes up to this long are cut in two at every byte.
const SMALL_BYTES: usize = 48;

/// Longer ones are not fed byte by byte, which costs most of the time and shows nothing more.
const MIDDLE_BYTES: usize = 1_024;

/// Byte by byte, twice at random, and small ones in two at every byte.
pub(crate) fn cuttings(data: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut all = Vec::new();
    if data.len() <= MIDDLE_BYTES {
        all.push(data.chunks(1).collect());
    }
    for (seed, longest) in [(1, 5), (2, 40)] {
        all.push(at_random(data, Random::of(data, seed), longest));
    }
    if data.len() <= SMALL_BYTES {
        all.extend((1..data.len()).map(|at| vec![&data[..at], &data[at..]]));
    }
    all
}

fn at_random(data: &[u8], mut random: Random, longest: usize) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        // Now and then nothing comes.
        let (part, after) = rest.split_at(random.below(longest + 1).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts
}
