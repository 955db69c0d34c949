//! The body of an answer, and what becomes of its connection.
//!
//! Whoever reads the body writes what is left of its request, too. Only a form that still comes from its app goes on in a task: the
//! app may want to send all of it before it reads. And what is left of a request when its answer is whole is written by a task.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Answer;
use super::decode::Decoder;
use super::pool::{Key, Pool};
use super::sending::{Sending, Unsent};
use super::wire::{BadAnswer, Started, Wire};

/// A connection and the pool that it goes back to.
pub(super) struct Held {
    pub wire: Box<Wire>,
    pub pool: Arc<Pool>,
    pub key: Key,
}

impl Held {
    /// Back into the pool, if it may take another request.
    fn put_back(self) {
        if self.wire.may_serve_again() {
            self.pool.clone().put(self.key, self.wire);
        }
    }

    /// Writes what is left of a request in a task, as long as the other side has nothing against it, and goes back into the pool then.
    fn finish_apart(mut self, mut sending: Sending) {
        let (runtime, most) = (self.pool.runtime().clone(), self.pool.most_rest());
        runtime.spawn(async move {
            let sent = poll_fn(|cx| match self.wire.poll_send(&mut sending, cx) {
                Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
                Poll::Pending => self.wire.poll_news(cx).map(|()| false),
            });
            if timeout(most, sent).await == Ok(true) {
                self.put_back();
            }
        });
    }

    /// Lets a task write the rest of a form, as long as the other side has nothing against it.
    fn watch(mut self, upload: Upload) {
        let (runtime, most) = (self.pool.runtime().clone(), self.pool.most_rest());
        runtime.spawn(async move {
            let ended = poll_fn(|cx| {
                if upload.told.poll_ended(cx).is_ready() {
                    return Poll::Ready(());
                }
                self.wire.poll_news(cx)
            });
            // Either way it is over.
            drop(timeout(most, ended).await);
            upload.task.abort();
        });
    }
}

/// What became of a form that went on in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Written, or not to be written.
    Over,
    /// It is none: its app ended it early, or it is not what it said.
    NoForm,
}

/// What is known of it.
#[derive(Debug, Default)]
struct Told {
    end: OnceLock<End>,
    reader: AtomicWaker,
}

impl Told {
    fn ended(&self, end: End) {
        // There is one end.
        let _is_first = self.end.set(end);
        self.reader.wake();
    }

    fn poll_ended(&self, cx: &Context<'_>) -> Poll<End> {
        self.reader.register(cx.waker());
        self.end
            .get()
            .map_or(Poll::Pending, |end| Poll::Ready(*end))
    }
}

/// A form that goes on in a task.
struct Upload {
    told: Arc<Told>,
    task: AbortHandle,
}

/// The body of an answer.
pub struct AnswerBody {
    /// What has come and was not given.
    piece: Bytes,
    decoder: Decoder,
    /// The connection; none after an error.
    held: Option<Held>,
    /// What is left of the request, unless a task writes it.
    sending: Option<Box<Sending>>,
    upload: Option<Upload>,
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").finish_non_exhaustive()
    }
}

impl AnswerBody {
    /// An answer that has begun, whose request may still be being written.
    pub(super) fn begin(started: Started, sending: Sending, held: Held) -> Answer {
        let mut body = Self {
            piece: started.piece,
            decoder: started.body,
            held: None,
            sending: None,
            upload: None,
        };
        if sending.is_done() {
            body.held = Some(held);
        } else if sending.passes() {
            let (held, upload) = send_apart(held, sending);
            body.held = Some(held);
            body.upload = Some(upload);
        } else {
            body.held = Some(held);
            body.sending = Some(Box::new(sending));
        }
        started.response.map(|()| body)
    }

    /// Writes on, and reads.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BadAnswer>> {
        if !self.piece.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.piece))));
        }
        let Some(held) = &mut self.held else {
            return Poll::Ready(Err(BadAnswer::Closed));
        };
        let wire = &mut held.wire;
        if let Some(sending) = &mut self.sending
            && let Poll::Ready(sent) = wire.poll_send(sending, cx)
        {
            // Who does not take the rest of a request may still answer it.
            if sent.is_err() {
                wire.give_up();
            }
            self.sending = None;
        }
        let piece = wire.poll_piece(&mut self.decoder, cx);
        // What has come has come, whatever became of the form.
        let upload = self.upload.as_ref().filter(|_| piece.is_pending());
        match upload.map(|upload| upload.told.poll_ended(cx)) {
            Some(Poll::Ready(End::NoForm)) => Poll::Ready(Err(BadAnswer::NotSent)),
            _ => piece,
        }
    }
}

/// Writes the rest of a form in a task.
fn send_apart(held: Held, mut sending: Sending) -> (Held, Upload) {
    let way_out = held.wire.way_out();
    let (wire, mut io) = held.wire.shared();
    let told = Arc::new(Told::default());
    let teller = told.clone();
    let task = held.pool.runtime().spawn(async move {
        let sent = poll_fn(|cx| sending.poll(&mut io, &way_out, cx)).await;
        teller.ended(match sent {
            Err(Unsent::Body) => End::NoForm,
            Ok(()) | Err(Unsent::Nothing | Unsent::Part) => End::Over,
        });
    });
    let upload = Upload {
        told,
        task: task.abort_handle(),
    };
    let wire = Box::new(wire);
    (Held { wire, ..held }, upload)
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BadAnswer;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BadAnswer>>> {
        let piece = ready!(self.poll_piece(cx));
        if piece.is_err() {
            self.stop();
        }
        Poll::Ready(piece.transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.decoder.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.decoder.left();
        left.map_or_else(SizeHint::default, |left| {
            SizeHint::with_exact(left + self.piece.len() as u64)
        })
    }
}

impl AnswerBody {
    /// Nobody wants the rest of an answer that is not whole: its connection is closed, and what is left of its request is not sent.
    fn stop(&mut self) {
        self.held = None;
        if let Some(upload) = self.upload.take() {
            upload.task.abort();
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if !self.decoder.is_at_end() {
            // Its end may have come already, and lie in the connection.
            let quiet = &mut Context::from_waker(Waker::noop());
            let last = self.held.as_mut();
            let last = last.map(|held| held.wire.poll_piece(&mut self.decoder, quiet));
            if !matches!(last, Some(Poll::Ready(Ok(_)))) || !self.decoder.is_at_end() {
                self.stop();
            }
        }
        let Some(held) = self.held.take() else {
            return;
        };
        match (self.sending.take(), self.upload.take()) {
            (_, Some(upload)) => held.watch(upload),
            // What serves no other call needs no end of this one.
            (Some(sending), None) if held.wire.may_go_on() => held.finish_apart(*sending),
            (Some(_), None) => {}
            (None, None) => held.put_back(),
        }
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
