//! The body of an answer out of the bytes of its connection (RFC 9112, 6 and 7): by its length, in chunks, or up to the end of the
//! connection. Pure: it holds no bytes, and what it gives are pieces of what it was given.

/// Chunk extensions and trailers, which nobody reads, may take so many bytes in all of a body.
const MOST_SURPLUS_BYTES: u32 = 16 << 10;
/// The digits of a chunk's size, with the white space behind them: some servers fill them up to a length.
const MOST_SIZE_BYTES: u8 = 64;

/// The bytes of a body are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A body, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks, which say how long they are.
    Chunked(Chunked),
    /// Whatever comes; the end of the connection is its end.
    UntilClose,
    /// What came last is none.
    Broken,
}

/// Where in a chunked body the next byte stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    at: At,
    /// The size that is being read, then the bytes of the chunk that are still to come.
    left: u64,
    /// Bytes of the size.
    size: u8,
    surplus: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the first digit of a size.
    Start,
    Size,
    /// White space between a size and what may follow it.
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk.
    Trailers,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl Chunked {
    fn new() -> Self {
        Self {
            at: At::Start,
            left: 0,
            size: 0,
            surplus: 0,
        }
    }

    fn count_size(&mut self) -> Result<(), Malformed> {
        self.size += 1;
        if self.size > MOST_SIZE_BYTES {
            return Err(Malformed);
        }
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<At, Malformed> {
        self.count_size()?;
        let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
        let left = self.left.checked_mul(16).ok_or(Malformed)?;
        self.left = left + u64::from(digit);
        Ok(At::Size)
    }

    fn count(&mut self) -> Result<(), Malformed> {
        self.surplus += 1;
        if self.surplus > MOST_SURPLUS_BYTES {
            return Err(Malformed);
        }
        Ok(())
    }

    /// One byte of what is between the chunks' own bytes.
    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        let next = match (self.at, byte) {
            (At::Size | At::Space | At::Extension, b'\r') => At::SizeLf,
            (At::Size | At::Space, b'\t' | b' ') => {
                self.count_size()?;
                At::Space
            }
            (At::Size | At::Space, b';') => At::Extension,
            (At::Start | At::Size, digit) => self.digit(digit)?,
            (At::Extension, b'\n') | (At::Space, _) => return Err(Malformed),
            (At::Extension, _) => {
                self.count()?;
                At::Extension
            }
            (At::SizeLf, b'\n') if self.left > 0 => {
                self.size = 0;
                At::Data
            }
            (At::SizeLf | At::TrailerLf, b'\n') => At::Trailers,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Start,
            (At::Trailers, b'\r') => At::EndLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::Trailers | At::Trailer, _) => {
                self.count()?;
                At::Trailer
            }
            (At::EndLf, b'\n') => At::End,
            (
                At::SizeLf
                | At::Data
                | At::DataCr
                | At::DataLf
                | At::TrailerLf
                | At::EndLf
                | At::End,
                _,
            ) => return Err(Malformed),
        };
        self.at = next;
        Ok(())
    }

    fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
        while self.at != At::End {
            if self.at == At::Data {
                let taken = take(input, self.left);
                self.left -= taken.len() as u64;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                return Ok((!taken.is_empty()).then_some(taken));
            }
            let Some((byte, rest)) = input.split_first() else {
                break;
            };
            *input = rest;
            self.step(*byte)?;
        }
        Ok(None)
    }
}

/// Up to so many bytes of the input.
fn take<'a>(input: &mut &'a [u8], most: u64) -> &'a [u8] {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (taken, rest) = input.split_at(input.len().min(most));
    *input = rest;
    taken
}

impl Decoder {
    /// A body in chunks.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked::new())
    }

    /// The next bytes of the body in what has come, which are taken from it; nothing where that is used up, the body at its end, or
    /// no more of it to be had.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<&'a [u8]> {
        let next = self.try_next(input);
        next.unwrap_or_else(|Malformed| {
            *self = Self::Broken;
            None
        })
    }

    fn try_next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
        let taken = match self {
            Self::Length(left) => {
                let taken = take(input, *left);
                *left -= taken.len() as u64;
                taken
            }
            Self::UntilClose => take(input, u64::MAX),
            Self::Chunked(chunked) => return chunked.next(input),
            Self::Broken => return Ok(None),
        };
        Ok((!taken.is_empty()).then_some(taken))
    }

    /// Whether the last byte has come.
    pub(super) fn is_at_end(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.at == At::End,
            Self::UntilClose | Self::Broken => false,
        }
    }

    /// Whether what came last is none: what was given before was the body's.
    pub(super) fn is_broken(&self) -> bool {
        *self == Self::Broken
    }

    /// Nothing comes any more. Whether that is the end of the body.
    pub(super) fn close(&mut self) -> bool {
        if *self == Self::UntilClose {
            *self = Self::Length(0);
        }
        self.is_at_end()
    }

    /// How many bytes are still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(chunked) => (chunked.at == At::End).then_some(0),
            Self::UntilClose | Self::Broken => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a body gives that comes in pieces which end at the cuts, and what was left of the input after its end.
    fn read(
        mut decoder: Decoder,
        input: &[u8],
        cuts: &[usize],
    ) -> (Vec<u8>, Result<usize, Malformed>) {
        let mut body = Vec::new();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(input.len());
        let mut begun = 0;
        for end in ends {
            let mut piece = &input[begun.min(end)..end];
            while let Some(data) = decoder.next(&mut piece) {
                assert!(!data.is_empty(), "a piece has something in it");
                body.extend_from_slice(data);
            }
            begun = end - piece.len();
            if decoder.is_at_end() {
                return (body, Ok(input.len() - begun));
            }
            if decoder.is_broken() {
                break;
            }
            assert!(piece.is_empty(), "all is used while more is to come");
        }
        (body, Err(Malformed))
    }

    fn decoded(
        decoder: Decoder,
        input: &[u8],
        cuts: &[usize],
    ) -> Result<(Vec<u8>, usize), Malformed> {
        let (body, left) = read(decoder, input, cuts);
        Ok((body, left?))
    }

    fn chunked(input: &str) -> Result<(Vec<u8>, usize), Malformed> {
        decoded(Decoder::chunked(), input.as_bytes(), &[])
    }

    #[test]
    fn chunks_are_read_as_they_may_be_written() {
        for (input, body, left) in [
            ("0\r\n\r\n", "", 0),
            ("2\r\n{}\r\n0\r\n\r\n", "{}", 0),
            ("002\r\n{}\r\n00\r\n\r\nmore", "{}", 4),
            (
                "a\r\n0123456789\r\nA \t\r\n0123456789\r\n0\r\n\r\n",
                "01234567890123456789",
                0,
            ),
            ("1;name=\"a;b\"\r\nx\r\n1 ; y\r\ny\r\n0;z\r\n\r\n", "xy", 0),
            ("1\r\nx\r\n0\r\nDigest: a\r\nb: \r\n\r\n", "x", 0),
        ] {
            assert_eq!(
                chunked(input),
                Ok((body.as_bytes().to_vec(), left)),
                "{input:?}"
            );
        }
        // A server that fills its sizes up may do so for as long as it likes.
        let filled = "1       \r\nx\r\n".repeat(10_000) + "0\r\n\r\n";
        assert_eq!(chunked(&filled), Ok((vec![b'x'; 10_000], 0)));
    }

    #[test]
    fn what_is_no_chunk_is_refused_and_what_came_before_it_is_given() {
        for (input, given) in [
            ("\r\n", ""),
            ("x\r\n", ""),
            ("-1\r\nx\r\n0\r\n\r\n", ""),
            ("+1\r\nx\r\n0\r\n\r\n", ""),
            ("1\nx\r\n0\r\n\r\n", ""),
            ("1 1\r\nx\r\n0\r\n\r\n", ""),
            ("0x1\r\nx\r\n0\r\n\r\n", ""),
            ("1;a\nb\r\nx\r\n0\r\n\r\n", ""),
            ("1\r\nxy\r\n0\r\n\r\n", "x"),
            ("1\r\nx\n0\r\n\r\n", "x"),
            ("1\r\nx\r\n0\n\n", "x"),
            ("10000000000000000\r\nx", ""),
            ("1\r\nx\r\n0\r\n\rx", "x"),
            ("1\r\nx\r\n0\r\na: b\rx", "x"),
            ("1\r\nx\r\n0\r\n", "x"),
            ("2\r\nx", "x"),
            ("", ""),
        ] {
            let bytes = input.as_bytes();
            for cut in 0..=bytes.len() {
                let was = read(Decoder::chunked(), bytes, &[cut]);
                assert_eq!(
                    was,
                    (given.as_bytes().to_vec(), Err(Malformed)),
                    "{input:?}"
                );
            }
        }
        for endless in [
            format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(17 << 10)),
            format!("0\r\n{}\r\n", "a: b\r\n".repeat(5 << 10)),
            "0".repeat(65),
            format!("1{}", " ".repeat(64)),
        ] {
            let (_, left) = read(Decoder::chunked(), endless.as_bytes(), &[]);
            assert_eq!(left, Err(Malformed), "{}", &endless[..20]);
        }
    }

    #[test]
    fn a_length_is_an_end_and_a_close_is_one_only_where_nothing_else_was_said() {
        let of = |length| decoded(Decoder::Length(length), b"0123", &[2]);
        assert_eq!(of(0), Ok((Vec::new(), 4)));
        assert_eq!(of(3), Ok((b"012".to_vec(), 1)));
        assert_eq!(of(4), Ok((b"0123".to_vec(), 0)));
        assert_eq!(of(5), Err(Malformed));
        for (mut decoder, is_end, left) in [
            (Decoder::UntilClose, true, Some(0)),
            (Decoder::Length(0), true, Some(0)),
            (Decoder::Length(1), false, Some(1)),
            (Decoder::chunked(), false, None),
        ] {
            assert_eq!(decoder.close(), is_end, "{decoder:?}");
            assert_eq!(decoder.left(), left, "{decoder:?}");
        }
    }

    proptest! {
        #[test]
        fn however_a_body_is_chunked_and_cut_it_is_the_same(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            extension in "(|;[a-z=]{1,9})",
            trailers in proptest::collection::vec("[a-z]{1,5}: [a-z ]{0,5}", 0..3),
            more in proptest::collection::vec(any::<u8>(), 0..9),
            cuts in proptest::collection::vec(any::<usize>(), 0..9),
        ) {
            let mut input = Vec::new();
            for chunk in &chunks {
                input.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                input.extend_from_slice(chunk);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(format!("0{extension}\r\n").as_bytes());
            for trailer in &trailers {
                input.extend_from_slice(format!("{trailer}\r\n").as_bytes());
            }
            input.extend_from_slice(b"\r\n");
            input.extend_from_slice(&more);
            prop_assert_eq!(
                decoded(Decoder::chunked(), &input, &cuts),
                Ok((chunks.concat(), more.len()))
            );
        }

        /// Nothing that comes makes more of it than came, or a panic; cut elsewhere it is the same.
        #[test]
        fn whatever_comes_is_no_more_than_that(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'0'), Just(b';'), any::<u8>()], 0..60),
            cuts in proptest::collection::vec(any::<usize>(), 0..9),
        ) {
            let (body, left) = read(Decoder::chunked(), &input, &[]);
            prop_assert!(body.len() + left.unwrap_or(0) <= input.len());
            prop_assert_eq!(read(Decoder::chunked(), &input, &cuts), (body, left));
        }
    }
}
