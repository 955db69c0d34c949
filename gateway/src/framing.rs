//! Watches how the requests of a connection are framed, because the HTTP library hides it: of a head with both
//! `Transfer-Encoding` and `Content-Length` it takes the former and drops the latter before anybody sees it, and whoever
//! stands before this gateway may have read the latter.
//!
//! It follows what is ordinary and exact: heads by their lines, bodies by their length or by plain chunks. Where a
//! connection does anything else it is lost from there on, and says so; nothing is guessed. Nothing is changed, held back
//! or kept but the line of a head that has not come whole. What must not live here: what is done about it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::http::{HeaderMap, header};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A line of a head that is longer than this is not followed: the library does not take it either.
const MAX_LINE_BYTES: usize = 256 << 10;
/// No chunk's size is written with more digits.
const MAX_SIZE_DIGITS: u8 = 15;

/// Why a chunked request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its head has a length too.
    TwoLengths,
    /// Its framing, or that of a request before it on the connection, is more than could be followed.
    Lost,
}

/// What is known of the heads of a connection, shared between what reads them and what serves them.
#[derive(Debug)]
pub struct Heads {
    /// How many came whole and were followed.
    seen: AtomicU64,
    /// How many were served.
    served: AtomicU64,
    /// The number of the one with two lengths.
    clash: AtomicU64,
}

const NONE: u64 = u64::MAX;

impl Heads {
    fn new() -> Self {
        Self {
            seen: AtomicU64::new(0),
            served: AtomicU64::new(0),
            clash: AtomicU64::new(NONE),
        }
    }

    /// Takes the next request, in the order of their heads, and says what is wrong with it.
    pub fn take(&self, headers: &HeaderMap) -> Option<Fault> {
        let number = self.served.fetch_add(1, Ordering::Relaxed);
        if !headers.contains_key(header::TRANSFER_ENCODING) {
            return None;
        }
        if self.clash.load(Ordering::Relaxed) == number {
            return Some(Fault::TwoLengths);
        }
        (number >= self.seen.load(Ordering::Relaxed)).then_some(Fault::Lost)
    }
}

/// A connection that is watched.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    follower: Follower,
}

impl<S> Watched<S> {
    /// Watches a new connection.
    pub fn new(stream: S) -> (Self, Arc<Heads>) {
        let heads = Arc::new(Heads::new());
        let follower = Follower::new(heads.clone());
        (Self { stream, follower }, heads)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.follower.follow(&buf.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where in its requests a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a head, or in it.
    Head,
    /// So many bytes of a body are still to come.
    Body(u64),
    /// In a body of chunks.
    Chunks(Chunk),
    /// Something was not followed.
    Lost,
}

/// Where in its chunks a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// In the size.
    Size { size: u64, digits: u8 },
    /// Behind the size.
    SizeEnd(u64),
    /// In the data.
    Data(u64),
    /// Behind the data.
    DataEnd,
    /// Behind that.
    DataEnded,
    /// Behind the last size.
    Last,
    /// Behind that.
    LastEnded,
}

const SIZE: Chunk = Chunk::Size { size: 0, digits: 0 };

/// What a head says of its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    Other,
}

/// A head's first length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Number(u64),
    NoNumber,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_begun: bool,
    coding: Coding,
    length: Length,
}

#[derive(Debug)]
struct Follower {
    place: Place,
    head: Head,
    /// The line of a head that has not come whole.
    line: Vec<u8>,
    heads: Arc<Heads>,
}

impl Follower {
    fn new(heads: Arc<Heads>) -> Self {
        Self {
            place: Place::Head,
            head: Head::default(),
            line: Vec::new(),
            heads,
        }
    }

    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Head => self.in_head(bytes),
                Place::Body(left) => self.in_body(bytes, left),
                Place::Chunks(Chunk::Data(left)) => self.in_data(bytes, left),
                Place::Chunks(chunk) => {
                    self.place = after(chunk, bytes[0]);
                    &bytes[1..]
                }
                Place::Lost => return,
            }
        }
    }

    fn in_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = memchr(b'\n', bytes) else {
            if self.line.len() + bytes.len() > MAX_LINE_BYTES {
                self.place = Place::Lost;
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(bytes);
            }
            return &[];
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        if self.line.is_empty() {
            self.take_line(line);
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(line);
            self.take_line(&whole);
        }
        rest
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line.is_empty(), self.head.is_begun) {
            // Empty lines before a request are passed over.
            (true, false) => {}
            (true, true) => self.end_head(),
            (false, false) => self.head.is_begun = true,
            (false, true) => self.head.take_field(line),
        }
    }

    fn end_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.place = match (head.coding, head.length) {
            (Coding::None, Length::Absent | Length::Number(0)) => Place::Head,
            (Coding::None, Length::Number(length)) => Place::Body(length),
            (Coding::None, Length::NoNumber) | (Coding::Other, Length::Absent) => Place::Lost,
            (Coding::Chunked, Length::Absent) => Place::Chunks(SIZE),
            (_, Length::Number(_) | Length::NoNumber) => {
                let number = self.heads.seen.load(Ordering::Relaxed);
                self.heads.clash.store(number, Ordering::Relaxed);
                Place::Lost
            }
        };
        if self.place != Place::Lost {
            self.heads.seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn in_body<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let (rest, left) = skip(bytes, left);
        self.place = if left == 0 {
            Place::Head
        } else {
            Place::Body(left)
        };
        rest
    }

    fn in_data<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let (rest, left) = skip(bytes, left);
        let chunk = if left == 0 {
            Chunk::DataEnd
        } else {
            Chunk::Data(left)
        };
        self.place = Place::Chunks(chunk);
        rest
    }
}

impl Head {
    fn take_field(&mut self, line: &[u8]) {
        // Nearly all fields are told by the length of their name.
        let name = memchr(b':', line).unwrap_or(line.len());
        let (name, value) = (&line[..name], line.get(name + 1..).unwrap_or_default());
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = std::str::from_utf8(value.trim_ascii()).ok();
            let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let number = number.and_then(|text| text.parse().ok());
            if self.length == Length::Absent {
                self.length = number.map_or(Length::NoNumber, Length::Number);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_plain = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            self.coding = if is_plain && self.coding == Coding::None {
                Coding::Chunked
            } else {
                Coding::Other
            };
        }
    }
}

/// What is left of some bytes and of a length when one is taken from the other.
fn skip(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (&bytes[here..], left - here as u64)
}

/// Where one byte of a chunk's frame leads. Extensions and trailers are not followed.
fn after(chunk: Chunk, byte: u8) -> Place {
    let next = match (chunk, byte) {
        (Chunk::Size { size, digits }, _)
            if digits < MAX_SIZE_DIGITS && byte.is_ascii_hexdigit() =>
        {
            let digit = char::from(byte).to_digit(16).unwrap_or_default();
            Chunk::Size {
                size: size << 4 | u64::from(digit),
                digits: digits + 1,
            }
        }
        (Chunk::Size { size, digits: 1.. }, b'\r') => Chunk::SizeEnd(size),
        (Chunk::SizeEnd(0), b'\n') => Chunk::Last,
        (Chunk::SizeEnd(size), b'\n') => Chunk::Data(size),
        (Chunk::DataEnd, b'\r') => Chunk::DataEnded,
        (Chunk::DataEnded, b'\n') => SIZE,
        (Chunk::Last, b'\r') => Chunk::LastEnded,
        (Chunk::LastEnded, b'\n') => return Place::Head,
        _ => return Place::Lost,
    };
    Place::Chunks(next)
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
