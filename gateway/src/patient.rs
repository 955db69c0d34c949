//! A connection to a provider that is still read when nothing can be written to it any more.
//!
//! A provider that refuses a long body may answer at once, close, and reset the connection while the body is still being
//! sent. Its answer is there to be read, though a write fails. So from that write on everything written is dropped, and what has
//! come decides: the answer, or the end of the connection. A reset ends what can come, so neither is waited for. An answer that the
//! reset overtook, or that the other side never sent, is gone.
//! What was dropped, or still waited when the reset was read, reached nobody: who sent it can ask, and no other call gets such a
//! connection.
//! What must not live here: when a connection is made.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// What is known of a connection's way out, by whoever holds it.
#[derive(Debug, Default)]
pub struct WayOut {
    is_deaf: AtomicBool,
    is_writing: AtomicBool,
}

impl WayOut {
    /// Not all that was to be written got to the other side, and no more will.
    pub fn is_deaf(&self) -> bool {
        self.is_deaf.load(Ordering::Acquire)
    }

    /// Something could not be written yet.
    pub fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Acquire)
    }
}

/// See the file.
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    /// What is written is dropped.
    drops: bool,
    way_out: Arc<WayOut>,
}

impl<S> Patient<S> {
    /// A connection that was just made.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            drops: false,
            way_out: Arc::default(),
        }
    }

    /// What is known of its way out, now and later.
    pub fn way_out(&self) -> Arc<WayOut> {
        self.way_out.clone()
    }

    fn note_deaf(&self) {
        self.way_out.is_deaf.store(true, Ordering::Release);
    }

    /// What a write gave, where `all` is what was to be written.
    fn written(&mut self, given: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        let is_written = matches!(&given, Poll::Ready(Ok(written)) if *written >= all);
        self.way_out
            .is_writing
            .store(!is_written, Ordering::Release);
        match given {
            Poll::Ready(Err(error)) if is_closed(&error) => {
                self.drops = true;
                self.note_deaf();
                // What is dropped waits for nobody.
                self.way_out.is_writing.store(false, Ordering::Release);
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
        if self.way_out.is_writing() && matches!(&read, Poll::Ready(Err(error)) if is_closed(error))
        {
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

#[cfg(test)]
#[path = "patient_tests.rs"]
mod tests;
