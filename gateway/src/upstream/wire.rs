//! One connection to a provider, and the body of the answer that comes on it.
//!
//! Nobody reads a connection but whoever waits for its answer: there is no task of its own that would be woken for every
//! piece, to wake the one that wants it. So a connection that waits in the pool is looked at when it is taken out, and by
//! the pool now and then. Only where the one does not follow from the other a connection goes on in a task: while a body
//! is still being sent whose app may wait for that before it reads, and after an answer that came before its request was whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};

use super::READ_BYTES;
use super::pool::Pool;
use crate::patient::{Patient, WayOut};
use crate::pieces::on_its_own;
use crate::upload::Sent;

/// A connection. Drop closes it.
pub(crate) struct Wire {
    pub(super) sender: SendRequest<Sent>,
    /// Reads and writes. Done when the connection is over; not polled after that.
    driver: Option<BoxFuture<'static, ()>>,
    way_out: Arc<WayOut>,
}

impl Wire {
    /// HTTP/1.1 over a connection that was just made.
    pub(crate) async fn over<S>(stream: Patient<S>) -> Result<Self, hyper::Error>
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        let way_out = stream.way_out();
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_BYTES);
        let (sender, connection) = builder.handshake(stream).await?;
        let driver = async move {
            if let Err(error) = connection.await {
                // What it was for has an error of its own.
                tracing::debug!(%error, "connection to a provider ended");
            }
        };
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
            way_out,
        })
    }

    /// Reads and writes what can be; whoever waits is woken when more can.
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>) {
        let _is_over = self.drive(cx).is_ready();
    }

    /// The same. `Ready` when the connection is over.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(driver) = &mut self.driver {
            ready!(driver.as_mut().poll(cx));
            self.driver = None;
        }
        Poll::Ready(())
    }

    /// The same, and it is ready too when the connection can take a request.
    fn drive_to_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What is written last may be gone before it is said that another request is welcome: that is said when it is asked again.
        for _ in 0..2 {
            let is_at_rest = self.drive(cx).is_ready() || self.sender.is_ready();
            if self.is_over() || is_at_rest && !self.way_out.is_writing() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Whether it can take a request. Looks at what the other side did meanwhile.
    pub(super) fn is_good(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive_to_rest(cx).is_ready() && !self.is_over() && !self.way_out.is_deaf()
    }

    pub(super) fn is_over(&self) -> bool {
        self.driver.is_none()
    }

    pub(super) fn way_out(&self) -> Arc<WayOut> {
        self.way_out.clone()
    }
}

/// A connection and the pool that it goes back to.
pub(super) struct Held {
    pub wire: Box<Wire>,
    pub pool: Arc<Pool>,
    pub key: super::pool::Key,
}

impl Held {
    /// Goes on in a task until it can take a request, and back into the pool then.
    fn finish_apart(mut self) {
        let runtime = self.pool.runtime().clone();
        runtime.spawn(async move {
            std::future::poll_fn(|cx| self.wire.drive_to_rest(cx)).await;
            self.put_back(&mut Context::from_waker(Waker::noop()));
        });
    }

    /// Back into the pool, if it can take a request.
    fn put_back(mut self, cx: &mut Context<'_>) {
        if self.wire.is_good(cx) {
            self.pool.clone().put(self.key, self.wire);
        }
    }
}

/// The body of an answer.
pub struct AnswerBody {
    /// `None` only while it is dropped.
    incoming: Option<Incoming>,
    /// The connection, unless it goes on in a task.
    held: Option<Held>,
    has_ended: bool,
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").finish_non_exhaustive()
    }
}

impl AnswerBody {
    /// Of an answer whose connection is read by whoever reads the body.
    pub(super) fn on(incoming: Incoming, held: Held) -> Self {
        Self {
            incoming: Some(incoming),
            held: Some(held),
            has_ended: false,
        }
    }

    /// Of an answer whose connection goes on by itself.
    pub(super) fn apart(incoming: Incoming, held: Held) -> Self {
        held.finish_apart();
        Self {
            incoming: Some(incoming),
            held: None,
            has_ended: false,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let frame = match &mut this.held {
            None => Pin::new(incoming).poll_frame(cx),
            // What comes, comes by the connection, which is driven here: nobody else would have to wake for it.
            Some(held) => {
                let quiet = &mut Context::from_waker(Waker::noop());
                match Pin::new(&mut *incoming).poll_frame(quiet) {
                    Poll::Pending => {
                        held.wire.go_on(cx);
                        Pin::new(incoming).poll_frame(quiet)
                    }
                    ready @ Poll::Ready(_) => ready,
                }
            }
        };
        match &frame {
            Poll::Ready(None) => this.has_ended = true,
            Poll::Ready(Some(Err(_))) => this.held = None,
            _ => {}
        }
        frame.map_ok(|frame| frame.map_data(on_its_own))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        let is_whole = self.has_ended || self.is_end_stream();
        self.incoming = None;
        let Some(mut held) = self.held.take() else {
            return;
        };
        let quiet = &mut Context::from_waker(Waker::noop());
        if held.wire.drive_to_rest(quiet).is_ready() {
            held.put_back(quiet);
        } else if is_whole {
            held.finish_apart();
        }
        // Else its answer is not whole, and nobody wants the rest: it is closed.
    }
}
