//! A request that is being written.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::Request;
use bytes::Bytes;
use http_body::Body as _;
use hyper::rt::{Read, Write};

use super::head::{self, Length};
use crate::patient::WayOut;
use crate::upload::Sent;

/// A body that is no longer is written from the same buffer as the head: sooner copied than written apart.
const SHORT_BYTES: usize = 2 << 10;

/// A connection, whatever it goes over.
pub(super) trait Io: Read + Write + Unpin + Send {}

impl<S: Read + Write + Unpin + Send> Io for S {}

/// Why a request was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The connection took no whole write of it.
    Nothing,
    /// Not all of it, and no more can be.
    Part,
    /// Its body ended early, or is another than was said.
    Body,
}

/// What is still to be written, in this order.
#[derive(Debug, Default)]
struct Out {
    /// A head, or the size of a chunk.
    before: Vec<u8>,
    written: usize,
    body: Bytes,
    after: &'static [u8],
}

impl Out {
    fn is_empty(&self) -> bool {
        self.written == self.before.len() && self.body.is_empty() && self.after.is_empty()
    }

    fn advance(&mut self, mut bytes: usize) {
        let of_before = bytes.min(self.before.len() - self.written);
        self.written += of_before;
        bytes -= of_before;
        let of_body = bytes.min(self.body.len());
        drop(self.body.split_to(of_body));
        self.after = self.after.get(bytes - of_body..).unwrap_or_default();
    }

    /// What is given next.
    fn set(&mut self, before: Vec<u8>, body: Bytes, after: &'static [u8]) {
        *self = Self {
            before,
            written: 0,
            body,
            after,
        };
    }

    fn poll_write(&self, io: &mut dyn Io, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let before = self.before.get(self.written..).unwrap_or_default();
        let slices = [before, &self.body, self.after].map(IoSlice::new);
        let io = Pin::new(io);
        match (
            before.is_empty(),
            self.body.is_empty(),
            self.after.is_empty(),
        ) {
            (false, true, true) => io.poll_write(cx, before),
            (true, false, true) => io.poll_write(cx, &self.body),
            _ => {
                let begin = usize::from(before.is_empty());
                io.poll_write_vectored(cx, slices.get(begin..).unwrap_or_default())
            }
        }
    }
}

fn flush(io: &mut dyn Io, cx: &mut Context<'_>) -> Result<Poll<()>, Unsent> {
    match Pin::new(io).poll_flush(cx) {
        Poll::Pending => Ok(Poll::Pending),
        Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
        Poll::Ready(Err(_)) => Err(Unsent::Part),
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Come {
    Nowhere,
    /// Something of it was written.
    Begun,
    /// All of it is out.
    Out,
}

/// A request that is being written.
#[derive(Debug)]
pub(super) struct Sending {
    out: Out,
    /// What has not been asked for all its bytes; none when the last are out.
    body: Option<Sent>,
    length: Length,
    come: Come,
    /// Everything is written, and may lie in the connection's own buffer.
    must_flush: bool,
    /// It asks for the end of the connection.
    pub closes: bool,
    /// Another connection may take it where this one takes nothing. One that was just made may still have an answer.
    pub may_go_elsewhere: bool,
}

impl Sending {
    pub(super) fn new(request: Request<Sent>) -> Self {
        let length = request.body().size_hint().exact();
        let length = length.map_or(Length::Chunked, Length::Known);
        let more = match length {
            Length::Known(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            Length::Chunked => usize::MAX,
        };
        let is_short = more <= SHORT_BYTES && matches!(request.body(), Sent::Whole(_));
        let (mut head, closes) = head::write(&request, length, if is_short { more } else { 0 });
        let mut out = Out::default();
        let body = match request.into_body() {
            Sent::Whole(whole) => {
                let whole = whole.into_inner().unwrap_or_default();
                if is_short {
                    head.extend_from_slice(&whole);
                } else {
                    out.body = whole;
                }
                None
            }
            passing => Some(passing),
        };
        out.before = head;
        Self {
            out,
            body,
            length,
            come: Come::Nowhere,
            must_flush: true,
            closes,
            may_go_elsewhere: false,
        }
    }

    /// Whether all of it is out.
    pub(super) fn is_done(&self) -> bool {
        self.come == Come::Out
    }

    /// Whether its body passes while it comes, and has not come to its end.
    pub(super) fn passes(&self) -> bool {
        self.body.is_some()
    }

    /// Writes what can be written. `Ready` when all of it is.
    pub(super) fn poll(
        &mut self,
        io: &mut dyn Io,
        way_out: &WayOut,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent>> {
        while !self.is_done() {
            while !self.out.is_empty() {
                let written = ready!(self.out.poll_write(io, cx));
                if self.come == Come::Nowhere && self.may_go_elsewhere && way_out.is_deaf() {
                    return Poll::Ready(Err(Unsent::Nothing));
                }
                let written = written.ok().filter(|bytes| *bytes > 0);
                self.out.advance(written.ok_or(Unsent::Part)?);
                self.come = Come::Begun;
                self.must_flush = true;
            }
            match self.poll_piece(cx) {
                Poll::Ready(Some(next)) => next?,
                Poll::Ready(None) => {
                    if self.must_flush {
                        ready!(flush(io, cx)?);
                    }
                    self.out = Out::default();
                    self.come = Come::Out;
                }
                // What is written goes, whenever more may come.
                Poll::Pending => {
                    if self.must_flush {
                        self.must_flush = flush(io, cx)?.is_pending();
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece of a body that passes, ready to be written; none when it is over.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), Unsent>>> {
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            if self.length == Length::Known(0) {
                self.body = None;
                continue;
            }
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                // Who reads the record says why.
                Some(Err(_)) => return Poll::Ready(Some(Err(Unsent::Body))),
                None => return Poll::Ready(Some(self.end())),
            };
            // An empty chunk would be the last one.
            if let Some(piece) = frame.into_data().ok().filter(|piece| !piece.is_empty()) {
                return Poll::Ready(Some(self.give(piece)));
            }
        }
    }

    fn give(&mut self, piece: Bytes) -> Result<(), Unsent> {
        match &mut self.length {
            Length::Known(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(Unsent::Body)?;
                self.out.set(Vec::new(), piece, b"");
            }
            Length::Chunked => {
                let size = format!("{:x}\r\n", piece.len()).into_bytes();
                self.out.set(size, piece, b"\r\n");
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unsent> {
        self.body = None;
        match self.length {
            Length::Known(_) => Err(Unsent::Body),
            Length::Chunked => {
                self.out.set(b"0\r\n\r\n".to_vec(), Bytes::new(), b"");
                Ok(())
            }
        }
    }
}
