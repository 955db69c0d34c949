//! The body of an answer while it is sent: paces, breaks and ends it, and tells the truth about each.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::connection::ConnectionFlags;
use crate::plain::Plain;
use crate::stream::Stream;
use crate::truth::{AnswerGuard, End};

/// Coalesced events are handed over in blocks of about this size.
const BLOCK_BYTES: usize = 16_384;

/// What an answer does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Hand over bytes that hold so many tokens, and perhaps the usage.
    Data {
        bytes: Bytes,
        tokens: u64,
        usage: bool,
    },
    /// Wait, as an unhurried provider does.
    Pause(u64),
    /// Wait, as a broken one does.
    Stall(u64),
    /// Reset the connection.
    Reset,
    /// The stream ends here, with an error event as its last.
    ErrorEnd,
}

/// Where the steps come from.
#[derive(Debug)]
pub(crate) enum Script {
    /// One JSON object.
    Plain(Plain),
    /// Server-sent events.
    Stream(Box<Stream>),
}

impl Script {
    fn next(&mut self) -> Option<Step> {
        match self {
            Self::Plain(plain) => plain.next(),
            Self::Stream(stream) => stream.next(),
        }
    }
}

/// The body of any answer.
#[derive(Debug)]
pub(crate) enum SimBody {
    /// Short and whole.
    Whole(Option<Bytes>, Option<AnswerGuard>),
    /// Made while it is sent.
    Scripted(Box<Scripted>),
}

/// A body that follows a script.
#[derive(Debug)]
pub(crate) struct Scripted {
    script: Script,
    guard: AnswerGuard,
    flags: Arc<ConnectionFlags>,
    len_bytes: Option<u64>,
    coalesce: bool,
    wait: Option<Pin<Box<Sleep>>>,
    /// Let the connection flush before the next step.
    flush: bool,
    next: Option<Step>,
    over: bool,
}

impl SimBody {
    /// A short body; the guard, if any, ends when the body is taken.
    pub(crate) fn whole(bytes: impl Into<Bytes>, guard: Option<AnswerGuard>) -> Self {
        Self::Whole(Some(bytes.into()), guard)
    }

    pub(crate) fn scripted(
        mut script: Script,
        guard: AnswerGuard,
        flags: Arc<ConnectionFlags>,
        coalesce: bool,
    ) -> Self {
        let len_bytes = match &script {
            Script::Plain(plain) => Some(plain.len_bytes()),
            Script::Stream(_) => None,
        };
        let next = script.next();
        let body = Scripted {
            script,
            guard,
            flags,
            len_bytes,
            coalesce,
            wait: None,
            flush: false,
            next,
            over: false,
        };
        Self::Scripted(Box::new(body))
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes, guard) => {
                if let Some(mut guard) = guard.take() {
                    guard.finish(End::Complete);
                }
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Scripted(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes, _) => bytes.is_none(),
            Self::Scripted(body) => body.over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes, _) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Scripted(body) => body
                .len_bytes
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Scripted {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
                self.guard.set_stalled(false);
            }
            if std::mem::take(&mut self.flush) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.next.take() {
                None => {
                    self.end(End::Complete);
                    return Poll::Ready(None);
                }
                Some(Step::ErrorEnd) => {
                    self.end(End::Error);
                    return Poll::Ready(None);
                }
                Some(Step::Reset) => {
                    self.end(End::Reset);
                    self.flags.order_reset();
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
                }
                Some(Step::Pause(ms)) => self.wait(ms, false),
                Some(Step::Stall(ms)) => self.wait(ms, true),
                Some(Step::Data {
                    bytes,
                    tokens,
                    usage,
                }) => {
                    return Poll::Ready(Some(Ok(Frame::data(
                        self.hand_over(bytes, tokens, usage),
                    ))));
                }
            }
        }
    }

    fn wait(&mut self, ms: u64, stalled: bool) {
        self.guard.set_stalled(stalled);
        self.wait = Some(Box::pin(tokio::time::sleep(Duration::from_millis(ms))));
        self.next = self.script.next();
    }

    /// Accounts for the data before it leaves, so that whoever has the answer finds its line in the truth.
    fn hand_over(&mut self, bytes: Bytes, tokens: u64, usage: bool) -> Bytes {
        self.guard.sent(tokens, usage);
        self.next = self.script.next();
        let bytes = if self.coalesce {
            self.gather(bytes)
        } else {
            bytes
        };
        match &self.next {
            None => self.end(End::Complete),
            Some(Step::ErrorEnd) => self.end(End::Error),
            // Bounded bodies need no flush between blocks; events, and whatever precedes a fault, do.
            Some(Step::Data { .. }) => self.flush = !self.coalesce && self.len_bytes.is_none(),
            Some(_) => self.flush = true,
        }
        bytes
    }

    fn gather(&mut self, first: Bytes) -> Bytes {
        let mut block = BytesMut::from(first);
        while block.len() < BLOCK_BYTES {
            match self.next.take() {
                Some(Step::Data {
                    bytes,
                    tokens,
                    usage,
                }) => {
                    self.guard.sent(tokens, usage);
                    block.extend_from_slice(&bytes);
                    self.next = self.script.next();
                }
                other => {
                    self.next = other;
                    break;
                }
            }
        }
        block.freeze()
    }

    fn end(&mut self, end: End) {
        self.over = end != End::Reset;
        self.guard.finish(end);
    }
}
