//! One connection to a provider, and how far the answer on it has come. HTTP/1.1, one call after the other.
//!
//! Nobody reads a connection but whoever waits for its answer: there is no task of its own that would be woken for every
//! piece, to wake the one that wants it. So a connection that waits in the pool is looked at when it is taken out, and by
//! the pool now and then. What comes is read into the stack of whoever reads and copied out to its size: a connection on which
//! nothing happens holds no buffer.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::Response;
use bytes::Bytes;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use parking_lot::Mutex;

use super::READ_BYTES;
use super::decode::{Decoder, Malformed};
use super::head::{self, Begun, Head};
use super::sending::{Io, Sending, Unsent};
use crate::patient::{Patient, WayOut};

/// A connection. Drop closes it.
pub(crate) struct Wire {
    io: Box<dyn Io>,
    way_out: Arc<WayOut>,
    beginning: Beginning,
    /// It takes no other request.
    is_over: bool,
}

/// An answer that has begun.
#[derive(Debug)]
pub(super) struct Started {
    pub response: Response<()>,
    /// What has come of its body already.
    pub piece: Bytes,
    pub body: Decoder,
}

/// Why there is no more of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The connection took no whole write of the request: it can not have been served.
    #[error("the connection was closed before the call")]
    Untouched,
    /// The connection ended before the answer did.
    #[error("the provider closed the connection")]
    Closed,
    /// What came is no HTTP, or its head is too long.
    #[error("the provider's answer is not HTTP/1.1")]
    Malformed,
    /// The request's body ended early.
    #[error("the request was not sent to its end")]
    NotSent,
}

impl From<Malformed> for BadAnswer {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Unsent> for BadAnswer {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Nothing => Self::Untouched,
            Unsent::Part => Self::Closed,
            Unsent::Body => Self::NotSent,
        }
    }
}

/// Reads once, and hands on what came: nothing at the end of the connection.
fn poll_read<T>(
    io: &mut dyn Io,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    let mut room = [const { MaybeUninit::uninit() }; READ_BYTES];
    let mut read = ReadBuf::uninit(&mut room);
    ready!(Pin::new(io).poll_read(cx, read.unfilled()))?;
    Poll::Ready(Ok(take(read.filled())))
}

/// What of a body is in what came, in one piece however it was cut; and whether there was more than the body. What came before a fault
/// is given first: the fault is found again.
fn piece_of(decoder: &mut Decoder, mut came: &[u8]) -> (Bytes, bool) {
    let Some(first) = decoder.next(&mut came) else {
        return (Bytes::new(), !came.is_empty());
    };
    let piece = match decoder.next(&mut came) {
        None => Bytes::copy_from_slice(first),
        Some(second) => {
            let mut all = Vec::with_capacity(first.len() + second.len() + came.len());
            all.extend_from_slice(first);
            all.extend_from_slice(second);
            while let Some(more) = decoder.next(&mut came) {
                all.extend_from_slice(more);
            }
            Bytes::from(all)
        }
    };
    (piece, !came.is_empty())
}

impl Wire {
    /// A connection that was just made.
    pub(crate) fn over<S>(stream: Patient<S>) -> Self
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        Self {
            way_out: stream.way_out(),
            io: Box::new(stream),
            beginning: Beginning::default(),
            is_over: false,
        }
    }

    pub(super) fn way_out(&self) -> Arc<WayOut> {
        self.way_out.clone()
    }

    /// Whether it may take another request when this one is out and its answer has come.
    pub(super) fn may_go_on(&self) -> bool {
        !self.is_over && !self.way_out.is_deaf()
    }

    /// The same now.
    pub(super) fn may_serve_again(&self) -> bool {
        self.may_go_on() && !self.way_out.is_writing()
    }

    /// Ready when the other side says something that nobody waits for, or nothing any more.
    pub(super) fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [MaybeUninit::uninit(); 1];
        let mut read = ReadBuf::uninit(&mut room);
        Pin::new(&mut self.io)
            .poll_read(cx, read.unfilled())
            .map(drop)
    }

    /// Whether it can take a request. Looks at what the other side did meanwhile.
    pub(super) fn is_good(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.may_serve_again() {
            return false;
        }
        self.is_over = self.poll_news(cx).is_ready();
        !self.is_over
    }

    /// Writes what can be written of a request and reads what has come. `Ready` with the head of the answer.
    pub(super) fn poll_answer(
        &mut self,
        sending: &mut Sending,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Started, BadAnswer>> {
        let sent = self.poll_send(sending, cx);
        if let Poll::Ready(Err(error @ (BadAnswer::Untouched | BadAnswer::NotSent))) = sent {
            return Poll::Ready(Err(error));
        }
        loop {
            let beginning = &mut self.beginning;
            let read = poll_read(&mut *self.io, cx, |read| beginning.take(read));
            let begun = match read {
                // What could not be written, and has no answer, gets none.
                Poll::Pending if matches!(sent, Poll::Ready(Err(_))) => {
                    return Poll::Ready(Err(BadAnswer::Closed));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(begun) => begun.map_err(|_| BadAnswer::Closed)??,
            };
            if let Some((head, piece, has_more)) = begun {
                self.is_over = !head.keeps || sending.closes || has_more;
                return Poll::Ready(Ok(Started {
                    response: head.response,
                    piece,
                    body: head.body,
                }));
            }
        }
    }

    /// Writes what can be written of a request. `Ready` when that is all of it.
    pub(super) fn poll_send(
        &mut self,
        sending: &mut Sending,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BadAnswer>> {
        let sent = ready!(sending.poll(&mut *self.io, &self.way_out, cx));
        Poll::Ready(sent.map_err(BadAnswer::from))
    }

    /// The next piece of a body that is not at its end; none is its end.
    pub(super) fn poll_piece(
        &mut self,
        decoder: &mut Decoder,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BadAnswer>> {
        while !decoder.is_at_end() {
            if decoder.is_broken() {
                return Poll::Ready(Err(BadAnswer::Malformed));
            }
            let read = poll_read(&mut *self.io, cx, |came| {
                if !came.is_empty() {
                    return Ok(piece_of(decoder, came));
                }
                let is_end = decoder.close();
                is_end
                    .then_some((Bytes::new(), true))
                    .ok_or(BadAnswer::Closed)
            });
            let (piece, has_more) = ready!(read.map_err(|_| BadAnswer::Closed))??;
            self.is_over |= has_more;
            if !piece.is_empty() {
                return Poll::Ready(Ok(Some(piece)));
            }
        }
        Poll::Ready(Ok(None))
    }

    /// It takes no other request.
    pub(super) fn give_up(&mut self) {
        self.is_over = true;
    }

    /// The same connection, and another handle on it for whoever writes while this one is read. It takes no other request.
    pub(super) fn shared(self) -> (Self, SharedIo) {
        let shared = SharedIo(Arc::new(Mutex::new(self.io)));
        let wire = Self {
            io: Box::new(shared.clone()),
            is_over: true,
            ..self
        };
        (wire, shared)
    }
}

/// A connection that is read by one and written by another. Nobody waits while it is locked.
#[derive(Clone)]
pub(super) struct SharedIo(Arc<Mutex<Box<dyn Io>>>);

impl Read for SharedIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(cx, room)
    }
}

impl Write for SharedIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(cx)
    }
}

/// A head, what came of the body behind it, and whether more came than that.
type Begins = (Box<Head>, Bytes, bool);

/// What has come before the head of an answer is whole.
#[derive(Debug, Default)]
struct Beginning {
    /// The beginning of a head.
    came: Vec<u8>,
    /// Bytes of answers that say nothing of the answer.
    interim: usize,
}

impl Beginning {
    /// The head of an answer, as soon as it is whole.
    fn take(&mut self, read: &[u8]) -> Result<Option<Begins>, BadAnswer> {
        if read.is_empty() {
            return Err(BadAnswer::Closed);
        }
        // What has begun is looked at again only when an empty line has come: a provider that says a byte at a time takes no more work
        // than one that says all at once.
        if !self.came.is_empty() {
            let is_news = has_empty_line(&self.came, read);
            self.came.extend_from_slice(read);
            if !is_news {
                return self.may_go_on();
            }
        }
        let kept = std::mem::take(&mut self.came);
        let mut rest = if kept.is_empty() { read } else { &kept[..] };
        while !rest.is_empty() {
            match head::parse(rest)? {
                Begun::Whole(length, mut head) => {
                    self.interim = 0;
                    let (piece, has_more) = piece_of(&mut head.body, &rest[length..]);
                    return Ok(Some((head, piece, has_more)));
                }
                Begun::Interim(length) => {
                    self.interim += length;
                    rest = &rest[length..];
                }
                Begun::Part => break,
            }
        }
        self.came = rest.to_vec();
        self.may_go_on()
    }

    fn may_go_on(&self) -> Result<Option<Begins>, BadAnswer> {
        if self.came.len() + self.interim >= READ_BYTES {
            return Err(BadAnswer::Malformed);
        }
        Ok(None)
    }
}

/// Whether there is an empty line that ends in what was just read.
fn has_empty_line(came: &[u8], read: &[u8]) -> bool {
    // Two ends of lines stand at most two bytes apart.
    let before = &came[came.len().saturating_sub(2)..];
    let mut last = None;
    for (at, byte) in before.iter().chain(read).enumerate() {
        match byte {
            b'\n' if last.is_some_and(|last| last + 1 == at) => return true,
            b'\n' => last = Some(at),
            b'\r' if last.is_some_and(|last| last + 1 == at) => last = Some(at),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
