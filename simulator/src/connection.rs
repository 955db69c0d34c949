//! One accepted connection: bytes in and out, with the two things that HTTP libraries do not do,
//! a reset on order and a bound on the size of a write.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Orders from the answers of a connection to its socket.
#[derive(Debug, Default)]
pub(crate) struct ConnectionFlags {
    reset: AtomicBool,
    write_bytes: AtomicU64,
}

impl ConnectionFlags {
    /// The connection ends with RST instead of FIN.
    pub(crate) fn order_reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// No write is larger from now on; 0 is no bound.
    pub(crate) fn bound_writes(&self, bytes: u64) {
        self.write_bytes.store(bytes, Ordering::Relaxed);
    }

    fn write_bound(&self) -> usize {
        match self.write_bytes.load(Ordering::Relaxed) {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    flags: Arc<ConnectionFlags>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, flags: Arc<ConnectionFlags>) -> Self {
        Self { stream, flags }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.flags.reset.load(Ordering::Relaxed)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::warn!(%error, "a reset was ordered but the socket refused");
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let len = buf.len().min(self.flags.write_bound());
        Pin::new(&mut self.stream).poll_write(cx, &buf[..len])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bound = self.flags.write_bound();
        if bound == usize::MAX {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        }
        let first = bufs
            .iter()
            .find(|buf| !buf.is_empty())
            .map_or(&[][..], |buf| buf);
        let len = first.len().min(bound);
        Pin::new(&mut self.stream).poll_write(cx, &first[..len])
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A close with FIN would overtake the reset that was ordered.
        if self.flags.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
