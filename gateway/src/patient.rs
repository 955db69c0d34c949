//! A connection to a provider that is still read when nothing can be written to it any more.
//!
//! A provider that refuses a long body may answer at once, close, and reset the connection while the body is still being
//! sent. Its answer is there to be read; but the HTTP library gives a connection up at the first write that fails. So from
//! that write on everything written is dropped, and what has come decides: the answer, or the end of the connection. A reset
//! ends what can come, so neither is waited for. An answer that the reset overtook, or that the other side never sent, is gone.
//! What was dropped, or still waited when the reset was read, reached nobody: who sent it can ask (see [`Hearing`]), and no
//! other call gets such a connection.
//! What must not live here: when a connection is made.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use axum::http::Extensions;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection};
use parking_lot::Mutex;

/// What is known of the other side of a connection. Clones share it.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// Not all that was to be written got there, and no more will.
    is_deaf: Arc<AtomicBool>,
    /// Weak, for what is in it holds this.
    pooled: Weak<Pooled>,
}

/// The connection as the pool knows it, once a call has told: the same for all of its calls.
type Pooled = Mutex<Option<CaptureConnection>>;

impl Hearing {
    /// That of the connection which a call was given, if it was given one.
    pub fn of(call: &CaptureConnection) -> Option<Self> {
        let mut extras = Extensions::new();
        call.connection_metadata().as_ref()?.get_extras(&mut extras);
        extras.remove()
    }

    /// Whether the other side takes nothing any more: what the last call on the connection wrote did not all get there.
    pub fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::Acquire)
    }

    /// Learns by a call which connection of the pool it is.
    pub fn learn(&self, call: &CaptureConnection) {
        let Some(pooled) = self.pooled.upgrade() else {
            return;
        };
        let mut pooled = pooled.lock();
        let known = pooled.get_or_insert_with(|| call.clone());
        if self.is_deaf() {
            leave_pool(known);
        }
    }
}

/// No further call gets the connection.
fn leave_pool(call: &CaptureConnection) {
    if let Some(connected) = call.connection_metadata().as_ref() {
        connected.poison();
    }
}

/// See the file.
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    /// What is written is dropped.
    drops: bool,
    /// Something could not be written yet.
    is_writing: bool,
    is_deaf: Arc<AtomicBool>,
    pooled: Arc<Pooled>,
}

impl<S> Patient<S> {
    /// A connection that was just made.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            drops: false,
            is_writing: false,
            is_deaf: Arc::default(),
            pooled: Arc::default(),
        }
    }

    /// Whichever becomes known last, this or the place in the pool, takes it out there.
    fn note_deaf(&self) {
        let pooled = self.pooled.lock();
        self.is_deaf.store(true, Ordering::Release);
        pooled.as_ref().inspect(|call| leave_pool(call));
    }

    /// What a write gave, where `all` is what was to be written.
    fn written(&mut self, given: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        self.is_writing = !matches!(&given, Poll::Ready(Ok(written)) if *written >= all);
        match given {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.drops = true;
                self.note_deaf();
                Poll::Ready(Ok(all))
            }
            given => given,
        }
    }
}

/// The other side takes nothing any more.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

impl<S: Read + Unpin> Read for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.is_writing && matches!(&read, Poll::Ready(Err(error)) if is_closed(error)) {
            self.note_deaf();
        }
        read
    }
}

impl<S: Write + Unpin> Write for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.drops {
            return Poll::Ready(Ok(bytes.len()));
        }
        let given = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(given, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bytes.iter().map(|slice| slice.len()).sum();
        if self.drops {
            return Poll::Ready(Ok(all));
        }
        let given = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(given, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drops {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(flushed.map_ok(|()| 0), 0).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drops {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Connection> Connection for Patient<S> {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(Hearing {
            is_deaf: self.is_deaf.clone(),
            pooled: Arc::downgrade(&self.pooled),
        })
    }
}

#[cfg(test)]
#[path = "patient_tests.rs"]
mod tests;
