//! The answer's body on its way to the app: metered, and closed with its record before its last byte.
//!
//! It ends exactly once, in one of four ways: the provider's end, the provider's failure, one of our time
//! limits, or being dropped because the app has gone.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::conclude::Ending;
use crate::exchange::Exchange;
use crate::gate::Gate;
use crate::meter::findings::{Findings, TextTally};
use crate::meter::reader::Reader;
use crate::state::{Stage, State};
use crate::upstream::AnswerBody;

/// The answer broke off: the app's connection is closed in the middle, as the provider's was.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct BrokenOff(&'static str);

/// A metered answer.
pub struct MeteredBody {
    gate: Arc<Gate>,
    exchange: Exchange,
    /// Bytes cleared to go, once no record is being written.
    queue: VecDeque<Bytes>,
    /// The record is being written; nothing goes before it is.
    closing: Option<BoxFuture<'static, ()>>,
    /// What follows `[DONE]`: it passes, its record is written.
    trailing: Option<AnswerBody>,
    /// It must be unpacked on its way.
    unpacking: Option<Reader>,
    end: Option<Result<(), BrokenOff>>,
    gave_time_to_flush: bool,
    /// Bytes still to come, where the provider said how many.
    remaining: Option<u64>,
    timer: Timer,
}

/// The limits between two chunks and of the whole.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    between_chunks: Duration,
    last_chunk: Instant,
    whole_until: Instant,
}

impl Timer {
    fn new(between_chunks: Duration, whole_until: Instant) -> Self {
        let last_chunk = Instant::now();
        let first = (last_chunk + between_chunks).min(whole_until);
        let sleep = Box::pin(tokio::time::sleep_until(first));
        Self {
            sleep,
            between_chunks,
            last_chunk,
            whole_until,
        }
    }

    /// The limit that has run out, if one has.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            if now >= self.whole_until {
                return Poll::Ready("total_timeout");
            }
            let due = self.last_chunk + self.between_chunks;
            if now >= due {
                return Poll::Ready("between_chunks_timeout");
            }
            self.sleep.as_mut().reset(due.min(self.whole_until));
        }
    }
}

impl MeteredBody {
    /// A body for an exchange that is being answered. `length` is what the provider announced, if the app
    /// gets every byte of it.
    pub fn new(mut exchange: Exchange, length: Option<u64>, whole_until: Instant) -> Option<Self> {
        let state = exchange.state()?;
        let between = Duration::from_millis(state.snapshot.settings.between_chunks_timeout_ms);
        Some(Self {
            gate: state.gate.clone(),
            queue: VecDeque::new(),
            closing: None,
            trailing: None,
            unpacking: None,
            end: None,
            gave_time_to_flush: false,
            remaining: length,
            timer: Timer::new(between, whole_until),
            exchange,
        })
    }

    /// Closes an answer that has no body: nobody would read it, so its record is written before its head goes.
    pub async fn finish_empty(&mut self) {
        self.finish();
        if let Some(closing) = &mut self.closing {
            closing.await;
            self.closing = None;
        }
    }

    /// Takes a chunk from the provider.
    fn take(&mut self, chunk: Bytes) {
        self.timer.last_chunk = Instant::now();
        let Some(state) = self.exchange.state() else {
            self.pass(chunk);
            return;
        };
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(chunk.len() as u64);
        }
        if state.first_byte.is_none() {
            state.first_byte = Some(state.gate.clock.now());
        }
        let was_done = state.found.done;
        let passing = state.reader.feed(chunk, &mut state.found, &mut state.tally);
        for bytes in passing {
            state.response_bytes += bytes.len() as u64;
            self.queue.push_back(bytes);
        }
        if state.found.done && !was_done {
            self.close(Ending::Completed);
        } else if self.remaining == Some(0) {
            self.finish();
        }
    }

    /// What follows the end of a metered answer: nothing in it counts.
    fn pass(&mut self, chunk: Bytes) {
        let Some(reader) = &mut self.unpacking else {
            self.queue.push_back(chunk);
            return;
        };
        let (mut found, mut tally) = (Findings::default(), TextTally::default());
        self.queue
            .extend(reader.feed(chunk, &mut found, &mut tally));
    }

    /// The provider's answer is whole.
    fn finish(&mut self) {
        let Some(state) = self.exchange.state() else {
            return;
        };
        for bytes in state.reader.finish(&mut state.found) {
            state.response_bytes += bytes.len() as u64;
            self.queue.push_back(bytes);
        }
        let ending = state.lacks().map_or(Ending::Completed, Ending::Broken);
        self.close(ending);
    }

    /// Writes the record, at once where nothing has to be waited for.
    fn close(&mut self, ending: Ending) {
        let Some(mut state) = self.exchange.take() else {
            return;
        };
        if let Stage::Answering(rest) = std::mem::replace(&mut state.stage, Stage::Over) {
            self.trailing = Some(rest);
        }
        if state.reader.unpacks() {
            self.unpacking = Some(std::mem::take(&mut state.reader));
        }
        let (gate, durability) = (state.gate.clone(), state.durability());
        let Ok(ticket) = state.settle_at_once(ending) else {
            self.closing = Some(Box::pin(state.close(ending)));
            return;
        };
        if durability != schemas::Durability::Written {
            self.closing = ticket.map(|ticket| {
                let waiting: BoxFuture<'static, ()> = Box::pin(async move {
                    gate.wait_durable(durability, &ticket).await;
                });
                waiting
            });
        }
    }

    /// The provider fails, or takes too long. After `[DONE]` nothing is missing: then the answer just ends.
    fn fail(&mut self, ending: Ending, why: &'static str) {
        let is_whole = self.exchange.state().is_none();
        self.close(ending);
        self.trailing = None;
        self.end = Some(if is_whole {
            Ok(())
        } else {
            Err(BrokenOff(why))
        });
    }

    fn upstream(&mut self) -> Option<Pin<&mut AnswerBody>> {
        if let Some(trailing) = &mut self.trailing {
            return Some(Pin::new(trailing));
        }
        match self.exchange.state() {
            Some(State {
                stage: Stage::Answering(body),
                ..
            }) => Some(Pin::new(body)),
            _ => None,
        }
    }

    /// Reads the provider once. `Ready` means that something has changed.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = self.upstream() else {
            self.end.get_or_insert(Ok(()));
            return Poll::Ready(());
        };
        match body.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    self.take(chunk);
                }
            }
            Poll::Ready(Some(Err(_))) => {
                self.fail(
                    Ending::Broken("upstream_reset"),
                    "the provider closed the connection",
                );
            }
            Poll::Ready(None) => {
                self.finish();
                self.trailing = None;
                self.end.get_or_insert(Ok(()));
            }
            Poll::Pending => {
                let limit = ready!(self.timer.poll(cx));
                self.fail(Ending::TimedOut(limit), "the provider took too long");
            }
        }
        Poll::Ready(())
    }
}

impl Body for MeteredBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            if let Some(closing) = &mut self.closing {
                ready!(closing.as_mut().poll(cx));
                self.closing = None;
            }
            if let Some(bytes) = self.queue.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match self.end.take() {
                Some(Ok(())) => {
                    self.end = Some(Ok(()));
                    return Poll::Ready(None);
                }
                Some(Err(error)) if self.gave_time_to_flush => {
                    self.end = Some(Ok(()));
                    return Poll::Ready(Some(Err(error)));
                }
                // An error closes the connection at once, with what is not yet written: the head and what came
                // before the break go first, as from the provider.
                Some(Err(error)) => {
                    self.gave_time_to_flush = true;
                    self.end = Some(Err(error));
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => ready!(self.poll_upstream(cx)),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let queued: usize = self.queue.iter().map(Bytes::len).sum();
        self.remaining.map_or_else(SizeHint::default, |more| {
            SizeHint::with_exact(more + queued as u64)
        })
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        // The record is being written: that goes on without the app.
        if let Some(closing) = self.closing.take() {
            self.gate.tasks.spawn_on(closing, &self.gate.runtime);
        }
    }
}
