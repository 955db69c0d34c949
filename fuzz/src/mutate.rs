//! Changes bytes at random, the same every time for the same seed: where no coverage guides, a little of it is had by
//! pieces that mean something.

/// Pieces that mean something to one of the readers.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n\n",
    b"\r",
    b"data:",
    b"data: ",
    b"\ndata: ",
    b"event: ",
    b": ",
    b"[DONE]",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u0065",
    b"\\\"",
    b"null",
    b"true",
    b"-1",
    b"1e3",
    b"0",
    b"9223372036854775807",
    b"\"usage\":",
    b"\"usage\":null,",
    b",\"usage\":{}",
    b"\"model\":\"m\"",
    b"\"choices\":[]",
    b"\"response\":",
    b"\"error\":",
    b"\"n\":2",
    b"\"stream\":true",
    b"\"stream_options\":{}",
    b"\"input\":[",
    b"\"type\":\"item_reference\"",
    b"--xyz",
    b"--xyz--",
    b"\r\n--xyz\r\n",
    b"Content-Disposition: form-data; ",
    b"name=\"model\"",
    b"filename=\"f\"",
    b"name*0=",
    b"\r\n\r\n",
    b"&",
    b"=",
    b";",
    b"%2d",
    b"api-version=",
    b"boundary=",
    b"multipart/form-data; ",
    b" ",
    b"\t",
    b"\0",
    b"\xff",
    b"1.5",
    b"\"total_tokens\":",
    b"\"reasoning_tokens\":3",
];

/// xorshift64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Chances of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Chances that follow from bytes (FNV-1a).
    #[must_use]
    pub fn of(data: &[u8], seed: u64) -> Self {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self::new(data.iter().fold(0xcbf2_9ce4_8422_2325 ^ seed, mix))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

/// The same with a few pieces changed, lost, doubled or put in.
#[must_use]
pub fn mutated(data: &[u8], random: &mut Random) -> Vec<u8> {
    let mut changed = data.to_vec();
    for _ in 0..=random.below(5) {
        let at = random.below(changed.len() + 1);
        let until = (at + 1 + random.below(12)).min(changed.len());
        match random.below(6) {
            0 => drop(changed.drain(at..until)),
            1 => {
                let piece = changed[at..until].to_vec();
                let to = random.below(changed.len() + 1);
                drop(changed.splice(to..to, piece));
            }
            2 if at < changed.len() => changed[at] ^= 1 << random.below(8),
            3 if random.below(8) == 0 => changed.truncate(at),
            4 => {
                let piece = PIECES[random.below(PIECES.len())];
                drop(changed.splice(at..until, piece.iter().copied()));
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                drop(changed.splice(at..at, piece.iter().copied()));
            }
        }
    }
    changed
}
