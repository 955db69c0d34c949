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
use crate::fate::Cut;
use crate::plain::Plain;
use crate::replay::{Recorded, Replay};
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
    /// A document.
    Plain(Plain),
    /// Server-sent events.
    Stream(Box<Stream>),
    /// A recorded answer, and its length where that is told.
    Replay(Replay, Option<u64>),
}

impl Script {
    fn next(&mut self) -> Option<Step> {
        match self {
            Self::Plain(plain) => plain.next(),
            Self::Stream(stream) => stream.next(),
            Self::Replay(replay, _) => replay.next(),
        }
    }

    fn len_bytes(&self) -> Option<u64> {
        match self {
            Self::Plain(plain) => plain.len_bytes(),
            Self::Stream(_) => None,
            Self::Replay(_, len_bytes) => *len_bytes,
        }
    }

    fn rhythm(&self) -> Rhythm {
        match self {
            Self::Plain(_) => Rhythm::Blocks,
            Self::Stream(_) | Self::Replay(..) => Rhythm::Flushed,
        }
    }
}

/// How steps that hand over bytes become writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rhythm {
    /// As the connection likes: documents.
    Blocks,
    /// Each is flushed: events, and pieces of recorded answers.
    Flushed,
    /// Those that need no waiting share a write.
    Coalesced,
}

/// The body of any answer.
#[derive(Debug)]
pub(crate) enum SimBody {
    /// Short and whole.
    Whole(Option<Bytes>, Option<Box<AnswerGuard>>),
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
    rhythm: Rhythm,
    wait: Option<Pin<Box<Sleep>>>,
    /// Let the connection flush before the next step.
    flush: bool,
    next: Option<Step>,
    over: bool,
}

impl SimBody {
    /// A short body; the guard, if any, ends when the body is taken.
    pub(crate) fn whole(bytes: impl Into<Bytes>, guard: Option<AnswerGuard>) -> Self {
        Self::Whole(Some(bytes.into()), guard.map(Box::new))
    }

    pub(crate) fn scripted(
        mut script: Script,
        guard: AnswerGuard,
        flags: Arc<ConnectionFlags>,
        coalesce: bool,
    ) -> Self {
        let len_bytes = script.len_bytes();
        let rhythm = if coalesce {
            Rhythm::Coalesced
        } else {
            script.rhythm()
        };
        let next = script.next();
        let body = Scripted {
            script,
            guard,
            flags,
            len_bytes,
            rhythm,
            wait: None,
            flush: false,
            next,
            over: false,
        };
        Self::Scripted(Box::new(body))
    }

    /// A recorded answer, cut as it is ordered or as it was recorded.
    pub(crate) fn replay(
        recorded: Arc<Recorded>,
        cut: Option<Cut>,
        mut guard: AnswerGuard,
        flags: Arc<ConnectionFlags>,
    ) -> Self {
        // An empty body is never asked for its frames.
        if recorded.body.is_empty() && !recorded.reset {
            guard.finish(End::Complete);
            return Self::whole(Bytes::new(), None);
        }
        let len_bytes = recorded.body.len() as u64;
        let script = Script::Replay(Replay::new(recorded, cut), Some(len_bytes));
        Self::scripted(script, guard, flags, false)
    }

    /// The length is not told, even where it is known.
    pub(crate) fn without_length(mut self) -> Self {
        if let Self::Scripted(body) = &mut self {
            body.len_bytes = None;
        }
        self
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
        let bytes = if self.rhythm == Rhythm::Coalesced {
            self.gather(bytes)
        } else {
            bytes
        };
        match &self.next {
            None => self.end(End::Complete),
            Some(Step::ErrorEnd) => self.end(End::Error),
            // Whatever precedes a wait or a fault is flushed too.
            Some(Step::Data { .. }) => self.flush = self.rhythm == Rhythm::Flushed,
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
