//! One form, sent once or several times: each call reads it from its beginning, first what is kept, then what still comes.
//!
//! Only the latest call is given anything. One that was given up is told so, and its connection closes; so is one that was
//! held for another call which then was not made.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use parking_lot::Mutex;

use super::kept::Kept;
use super::room::Room;
use crate::upload::{Facts, NotSent, Upload};

/// A form that can be sent again, while it is kept.
#[derive(Debug)]
pub struct Replay {
    source: Mutex<Source>,
    facts: Arc<Facts>,
}

#[derive(Debug)]
struct Source {
    upload: Upload,
    kept: Option<Kept>,
    /// Bytes that were given to a call.
    given: u64,
    /// The upload has given its last byte.
    is_over: bool,
    /// The latest call's number.
    latest: u32,
    /// The latest call gets nothing more: another one follows.
    is_held: bool,
    waiting: Option<Waker>,
}

/// The latest call gets nothing more, while this is there. Dropped before another one begins, it gives that call up: nobody
/// else would ever wake it, and its connection and the form would stay.
#[derive(Debug)]
#[must_use = "a call is held no longer than this"]
pub struct Hold {
    replay: Arc<Replay>,
    number: u32,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut source = self.replay.source.lock();
        // Another call has begun: that gave this one up.
        if source.latest == self.number {
            source.begin_next();
        }
    }
}

/// What one call sends.
#[derive(Debug)]
pub struct Pass {
    replay: Arc<Replay>,
    number: u32,
    at: u64,
}

impl Replay {
    /// A form that passes, kept where there is room.
    #[must_use]
    pub fn new(upload: Upload, room: Room) -> Arc<Self> {
        let facts = upload.facts();
        let source = Source {
            upload,
            kept: Some(Kept::new(room)),
            given: 0,
            is_over: false,
            latest: 0,
            is_held: false,
            waiting: None,
        };
        Arc::new(Self {
            source: Mutex::new(source),
            facts,
        })
    }

    /// Whether it can be sent from its beginning, as far as it has come.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.source.lock().kept.is_some() && self.facts.fault().is_none()
    }

    /// Gives the latest call nothing more, so that what can be sent again now still can when the next one begins. Nothing
    /// changes where it cannot be sent again.
    pub fn hold(self: &Arc<Self>) -> Option<Hold> {
        let mut source = self.source.lock();
        if source.kept.is_none() || self.facts.fault().is_some() {
            return None;
        }
        source.is_held = true;
        Some(Hold {
            replay: self.clone(),
            number: source.latest,
        })
    }

    /// Sends it from its beginning. A call before this one gets nothing more.
    #[must_use]
    pub fn pass(self: &Arc<Self>) -> Pass {
        let mut source = self.source.lock();
        source.begin_next();
        self.facts.mark_unsent();
        Pass {
            replay: self.clone(),
            number: source.latest,
            at: 0,
        }
    }
}

impl Source {
    /// No call before this moment gets anything more: the latest is woken to be told so.
    fn begin_next(&mut self) {
        self.latest += 1;
        self.is_held = false;
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// The next bytes from `at`, and whether they are the last.
    fn poll_from(&mut self, at: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, NotSent>>> {
        if at < self.given {
            return Poll::Ready(Some(self.kept_from(at)));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        self.waiting = Some(cx.waker().clone());
        let next = ready!(self.upload.poll_piece(cx));
        self.is_over = next.is_none() || self.upload.is_given();
        if let Some(Ok(piece)) = &next {
            self.given += piece.len() as u64;
            self.keep(piece);
        }
        Poll::Ready(next)
    }

    fn kept_from(&self, at: u64) -> Result<Bytes, NotSent> {
        let kept = self.kept.as_ref().ok_or(NotSent)?;
        kept.piece(at).map_err(|error| {
            tracing::error!(%error, "a kept form could not be read");
            NotSent
        })
    }

    fn keep(&mut self, piece: &[u8]) {
        let Some(kept) = &mut self.kept else { return };
        if let Err(error) = kept.push(piece) {
            tracing::warn!(%error, "a form is not kept: its call will not be made again");
            self.kept = None;
        }
    }
}

impl Pass {
    /// The next bytes for the provider.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, NotSent>>> {
        let mut source = self.replay.source.lock();
        if source.latest != self.number {
            return Poll::Ready(Some(Err(NotSent)));
        }
        if source.is_held {
            source.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let next = ready!(source.poll_from(self.at, cx));
        if let Some(Ok(piece)) = &next {
            self.at += piece.len() as u64;
        }
        if source.is_over && self.at == source.given && !matches!(next, Some(Err(_))) {
            self.replay.facts.mark_whole();
        }
        Poll::Ready(next)
    }

    /// Bytes that this call still has to send, where the app said how many there are.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        let source = self.replay.source.lock();
        let more = source.upload.left()?;
        Some((source.given + more).saturating_sub(self.at))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
