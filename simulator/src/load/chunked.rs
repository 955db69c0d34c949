//! Decoding `Transfer-Encoding: chunked` as it arrives, in pieces of any size.

/// The encoding was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadChunk;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataEnd,
    /// In a trailer line; the flag says whether it is empty so far.
    Trailer {
        empty: bool,
    },
    End,
}

/// A decoder for one body.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self {
            at: At::Size {
                value: 0,
                digits: 0,
            },
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == At::End
    }

    /// Decodes what it can; gives back how much of the input was used (all of it, unless the body ended).
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<usize, BadChunk> {
        let mut used = 0;
        while used < input.len() && !self.is_done() {
            if let At::Data { left } = self.at {
                let len = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(input.len() - used);
                data(&input[used..used + len]);
                used += len;
                let left = left - len as u64;
                self.at = if left == 0 {
                    At::DataEnd
                } else {
                    At::Data { left }
                };
            } else {
                self.at = step(self.at, input[used])?;
                used += 1;
            }
        }
        Ok(used)
    }
}

fn step(at: At, byte: u8) -> Result<At, BadChunk> {
    match (at, byte) {
        (At::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
            let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
            if digits == 15 {
                return Err(BadChunk);
            }
            Ok(At::Size {
                value: value * 16 + digit,
                digits: digits + 1,
            })
        }
        (At::Size { digits: 0, .. }, _) => Err(BadChunk),
        (At::Size { value, .. } | At::Extension { value }, b'\n') => Ok(after_size(value)),
        (At::Size { value, .. }, b'\r' | b';' | b' ') | (At::Extension { value }, _) => {
            Ok(At::Extension { value })
        }
        (At::DataEnd, b'\r') => Ok(At::DataEnd),
        (At::DataEnd, b'\n') => Ok(At::Size {
            value: 0,
            digits: 0,
        }),
        (At::Trailer { empty: true }, b'\n') => Ok(At::End),
        (At::Trailer { .. }, b'\n') => Ok(At::Trailer { empty: true }),
        (At::Trailer { empty }, b'\r') => Ok(At::Trailer { empty }),
        (At::Trailer { .. }, _) => Ok(At::Trailer { empty: false }),
        (At::Size { .. } | At::DataEnd | At::Data { .. } | At::End, _) => Err(BadChunk),
    }
}

fn after_size(value: u64) -> At {
    if value == 0 {
        At::Trailer { empty: true }
    } else {
        At::Data { left: value }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadChunk, Chunked};

    const WIRE: &[u8] = b"5\r\nhello\r\n1;x=y\r\n \r\n00A\r\n0123456789\r\n0\r\nT: v\r\n\r\nNEXT";

    #[test]
    fn pieces_of_any_size_decode_to_the_same_body() {
        for size in 1..=WIRE.len() {
            let (mut decoder, mut body, mut used) = (Chunked::new(), Vec::new(), 0);
            for piece in WIRE.chunks(size) {
                used += decoder
                    .feed(piece, |data| body.extend_from_slice(data))
                    .unwrap();
            }
            assert_eq!(
                (body.as_slice(), &WIRE[used..]),
                (&b"hello 0123456789"[..], &b"NEXT"[..]),
                "pieces of {size}"
            );
            assert!(decoder.is_done());
        }
    }

    #[test]
    fn what_is_not_chunked_is_an_error() {
        for wire in [
            &b"zz\r\n"[..],
            b"\r\n",
            b"1\r\nabc",
            b"fffffffffffffffff\r\n",
        ] {
            assert_eq!(Chunked::new().feed(wire, |_| {}), Err(BadChunk), "{wire:?}");
        }
    }

    #[test]
    fn a_body_that_is_cut_off_is_not_done() {
        let mut decoder = Chunked::new();
        decoder.feed(b"5\r\nhel", |_| {}).unwrap();
        assert!(!decoder.is_done());
    }
}
