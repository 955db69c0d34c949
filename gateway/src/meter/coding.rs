//! Answers that come compressed though they were asked for as they are: unpacked on the side, so that their figures are
//! read; what passes on stays packed, unless something must be taken out of it.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};

use super::findings::{Findings, TextTally};
use super::reader::{ENCODED, Reader};
use super::sniff::Sniff;
use super::stream::Passing;

/// More than this of one answer is not unpacked.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;
/// Nor more than this of one read: no answer's text is packed so tightly, and the app may have to take all of it.
const MAX_UNPACKED_AT_ONCE_BYTES: u64 = 32 << 20;

/// The check sum at the end of `deflate` (RFC 1950, 2.2).
const ADLER_BYTES: usize = 4;

/// A content coding that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `deflate`
    Deflate,
}

impl Coding {
    /// The coding of this name (RFC 9110, 8.4.1).
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
    /// What came was not packed so, or too large.
    Broken,
}

/// A packed answer.
#[derive(Debug)]
pub struct Coded {
    decoder: Decoder,
    inner: Reader,
    passes_unpacked: bool,
    unpacked: u64,
}

impl Coded {
    /// Reads what is unpacked as `sniff` says; passes that on if it may change it, else what came.
    #[must_use]
    pub fn new(coding: Coding, sniff: Sniff, passes_unpacked: bool) -> Self {
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(Vec::new())),
            Coding::Deflate => Decoder::Deflate(ZlibDecoder::new(Vec::new())),
        };
        Self {
            decoder,
            inner: Reader::Sniff(Box::new(sniff.of_unpacked())),
            passes_unpacked,
            unpacked: 0,
        }
    }

    /// Whether the app gets it unpacked.
    #[must_use]
    pub fn passes_unpacked(&self) -> bool {
        self.passes_unpacked
    }

    /// What is unpacked is read so.
    pub(super) fn inner(&self) -> &Reader {
        &self.inner
    }

    pub(super) fn feed(
        &mut self,
        chunk: Bytes,
        found: &mut Findings,
        tally: &mut TextTally,
    ) -> Passing {
        // What was unpacked together with a wrong check sum would be lost: the sum of `deflate` is looked at apart.
        let (data, sum) = chunk.split_at(chunk.len().saturating_sub(ADLER_BYTES));
        let (mut read, mut room) = (Passing::new(), MAX_UNPACKED_AT_ONCE_BYTES);
        let is_whole = [data, sum].into_iter().all(|packed| {
            let (passing, is_whole) = self.unpack(packed, &mut room, found, tally);
            read.extend(passing);
            is_whole
        });
        if !is_whole {
            read.extend(self.give_up(found));
        }
        if self.passes_unpacked {
            return read;
        }
        Passing::from_iter([chunk])
    }

    pub(super) fn finish(&mut self, found: &mut Findings) -> Passing {
        let (rest, is_whole) = self.decoder.finish();
        // Everything was flushed as it came: no text is left.
        let mut read = self.read(rest, found, &mut TextTally::default());
        read.extend(self.inner.finish(found));
        // Of a stream that is over, the end of its packing need not have come.
        found.is_odd |= !is_whole && !found.done;
        if self.passes_unpacked {
            return read;
        }
        Passing::new()
    }

    /// Reads what is packed, piece by piece: never much of it is in memory. Says whether it is packed as it should be and
    /// within bounds, and gives what passes on unpacked.
    fn unpack(
        &mut self,
        mut packed: &[u8],
        room: &mut u64,
        found: &mut Findings,
        tally: &mut TextTally,
    ) -> (Passing, bool) {
        let mut read = Passing::new();
        loop {
            let is_last = packed.is_empty();
            let (piece, is_whole) = self.decoder.unpack(&mut packed);
            let bytes = piece.len() as u64;
            self.unpacked += bytes;
            let passing = self.read(piece, found, tally);
            if self.passes_unpacked {
                read.extend(passing);
            }
            if !is_whole || self.unpacked > MAX_UNPACKED_BYTES || bytes > *room {
                return (read, false);
            }
            *room -= bytes;
            if is_last {
                return (read, true);
            }
        }
    }

    fn read(&mut self, bytes: Vec<u8>, found: &mut Findings, tally: &mut TextTally) -> Passing {
        if bytes.is_empty() {
            return Passing::new();
        }
        self.inner.feed(bytes.into(), found, tally)
    }

    /// Nothing more is unpacked. What was, is read to its end, but need not be what was packed.
    fn give_up(&mut self, found: &mut Findings) -> Passing {
        self.decoder = Decoder::Broken;
        let held = self.inner.finish(found);
        self.inner = Reader::Opaque;
        found.unexpected = Some(ENCODED);
        found.is_odd |= !found.done;
        held
    }
}

impl Decoder {
    /// The next piece of what these bytes hold, or the last where there are none; takes from them those that were
    /// needed. Says whether they are packed as they should be. A piece is what the decoder's own buffer holds.
    fn unpack(&mut self, packed: &mut &[u8]) -> (Vec<u8>, bool) {
        match self {
            Self::Gzip(decoder) => {
                let written = write_some(decoder, packed);
                (std::mem::take(decoder.get_mut()), written.is_ok())
            }
            Self::Deflate(decoder) => {
                let written = write_some(decoder, packed);
                (std::mem::take(decoder.get_mut()), written.is_ok())
            }
            Self::Broken => {
                *packed = &[];
                (Vec::new(), true)
            }
        }
    }

    /// What is left, and whether all has come and its check sum is right.
    fn finish(&mut self) -> (Vec<u8>, bool) {
        match self {
            Self::Gzip(decoder) => {
                let finished = decoder.try_finish();
                (std::mem::take(decoder.get_mut()), finished.is_ok())
            }
            Self::Deflate(decoder) => {
                // It takes no byte more only once its check sum was read.
                let has_ended = matches!(decoder.write(&[0]), Ok(0));
                (std::mem::take(decoder.get_mut()), has_ended)
            }
            Self::Broken => (Vec::new(), true),
        }
    }
}

/// Writes as many bytes as are taken at once, or makes the decoder give what it holds.
fn write_some(decoder: &mut impl Write, bytes: &mut &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return decoder.flush();
    }
    let taken = decoder.write(bytes)?;
    if taken == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    *bytes = &bytes[taken..];
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::reader::JSON_FOR_STREAM;
    use crate::meter::sniff::{Declared, Expects};
    use crate::meter::stream::UsageFor;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n";
    const STRIPPED: &str =
        "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n";

    fn packed(coding: Coding) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(STREAM.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(STREAM.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn read(coding: Coding, body: &[u8], size: usize, usage_for: UsageFor) -> (Vec<u8>, Findings) {
        let expects = Expects {
            stream: true,
            usage_for,
        };
        let sniff = Sniff::new(Declared::Events, expects);
        let may_change = sniff.may_change();
        let mut coded = Coded::new(coding, sniff, may_change);
        let (mut found, mut tally) = (Findings::default(), TextTally::default());
        let mut passed = Vec::new();
        for part in body.chunks(size) {
            let passing = coded.feed(Bytes::copy_from_slice(part), &mut found, &mut tally);
            passing
                .iter()
                .for_each(|bytes| passed.extend_from_slice(bytes));
        }
        let passing = coded.finish(&mut found);
        passing
            .iter()
            .for_each(|bytes| passed.extend_from_slice(bytes));
        (passed, found)
    }

    #[test]
    fn a_packed_stream_is_read_at_any_cutting_and_unpacked_only_to_take_something_out() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let body = packed(coding);
            for size in [1, 2, 5, 17, 10_000] {
                let (passed, found) = read(coding, &body, size, UsageFor::Client);
                assert_eq!(passed, body);
                assert_eq!(found.usage.as_deref(), Some(&b"{\"prompt_tokens\":3}"[..]));
                assert!(found.done);
                let (passed, found) = read(coding, &body, size, UsageFor::UsOnly);
                assert_eq!(String::from_utf8_lossy(&passed), STRIPPED);
                assert_eq!(found.usage.as_deref(), Some(&b"{\"prompt_tokens\":3}"[..]));
            }
        }
    }

    #[test]
    fn what_is_not_packed_as_it_says_passes_and_says_so() {
        let (passed, found) = read(Coding::Gzip, b"data: {}\n\n", 3, UsageFor::Client);
        assert_eq!(passed, b"data: {}\n\n");
        assert_eq!(found.unexpected, Some(ENCODED));
    }

    #[test]
    fn names_of_codings_have_no_case() {
        assert_eq!(Coding::of(" GZIP"), Some(Coding::Gzip));
        assert_eq!(Coding::of("x-gzip"), Some(Coding::Gzip));
        assert_eq!(Coding::of("deflate"), Some(Coding::Deflate));
        assert_eq!(Coding::of("br"), None);
    }

    /// A document of usage, packed.
    fn document(coding: Coding) -> Vec<u8> {
        let body = b"{\"usage\":{\"prompt_tokens\":3}}";
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn figures_that_came_damaged_are_told_as_such() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let whole = document(coding);
            let mut wrong_sum = whole.clone();
            let at = whole.len() - if coding == Coding::Gzip { 8 } else { 4 };
            wrong_sum[at] ^= 1;
            let garbage = [&whole[..], b"garbage after it"].concat();
            for size in [1, 7, 10_000] {
                let odd = |body: &[u8]| {
                    let (passed, found) = read(coding, body, size, UsageFor::Client);
                    assert_eq!(passed, body);
                    let usage = found.usage.as_deref();
                    let wanted = Some(&b"{\"prompt_tokens\":3}"[..]);
                    assert_eq!(usage, wanted, "{coding:?} {size}");
                    found.contradicts_itself()
                };
                assert!(!odd(&whole), "{coding:?} {size}");
                assert!(odd(&wrong_sum), "{coding:?} {size}: the sum");
                assert!(odd(&whole[..at]), "{coding:?} {size}: no sum");
                assert!(odd(&whole[..whole.len() - 1]), "{coding:?} {size}: cut");
                assert!(odd(&garbage), "{coding:?} {size}: garbage");
            }
        }
    }

    /// White space that is followed by figures.
    fn swollen(coding: Coding, blanks: usize) -> Vec<u8> {
        let body = [
            &b"{\"usage\":{\"prompt_tokens\":3}"[..],
            &vec![b' '; blanks],
            b"}",
        ]
        .concat();
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(&body).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(&body).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn what_swells_is_read_in_small_pieces() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let body = swollen(coding, 3 << 20);
            let mut decoder = Coded::new(
                coding,
                Sniff::new(Declared::Json, Expects::default()),
                false,
            )
            .decoder;
            let (mut rest, mut bytes) = (&body[..], 0);
            while !rest.is_empty() {
                let (piece, is_whole) = decoder.unpack(&mut rest);
                assert!(is_whole && piece.len() <= 64 << 10, "{}", piece.len());
                bytes += piece.len();
            }
            let (rest, is_whole) = decoder.finish();
            assert!(is_whole && bytes + rest.len() > 3 << 20);
        }
    }

    #[test]
    fn one_read_has_a_bound() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            for (blanks, unexpected) in [(24 << 20, None), (40 << 20, Some(ENCODED))] {
                let body = swollen(coding, blanks);
                let (passed, found) = read(coding, &body, body.len(), UsageFor::Client);
                assert!(passed == body);
                // A document for a stream is odd too, but read.
                let unexpected = unexpected.or(Some(JSON_FOR_STREAM));
                assert_eq!(found.unexpected, unexpected);
                assert_eq!(found.contradicts_itself(), blanks > 32 << 20);
                let (_, found) = read(coding, &body, 16 << 10, UsageFor::Client);
                assert_eq!(found.unexpected, Some(JSON_FOR_STREAM));
            }
        }
    }

    #[test]
    fn a_packed_stream_that_is_over_needs_no_more_of_its_packing() {
        let body = packed(Coding::Gzip);
        for cut in [&body[..body.len() - 8], &body[..body.len() - 1]] {
            let (_, found) = read(Coding::Gzip, cut, 5, UsageFor::Client);
            assert!(found.done && !found.contradicts_itself());
        }
    }
}
