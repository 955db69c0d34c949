//! A request's body on its way to the provider: whole, or passed on while it comes, read and bounded on its way.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::Body as AppBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::{Instant, Sleep};
use tokio_util::task::TaskTracker;

use crate::door::{Bound, DoorError, FormScan};
use crate::linger;
use crate::refusal::Refusal;
use crate::replay::Pass;

/// A body for the provider.
#[derive(Debug)]
pub enum Sent {
    /// It was read whole.
    Whole(Full<Bytes>),
    /// It passes while it comes.
    Passing(Box<Upload>),
    /// The same, and it may have to be sent again.
    Kept(Pass),
}

/// The body is not sent on: see [`Facts::fault`].
#[derive(Debug, thiserror::Error)]
#[error("the request's body ended early")]
pub struct NotSent;

/// What is known of a body that passes, for whoever closes its record.
#[derive(Debug, Default)]
pub struct Facts {
    bytes: AtomicU64,
    is_whole: AtomicBool,
    streams: AtomicBool,
    fault: OnceLock<Refusal>,
}

impl Facts {
    /// Bytes that have come.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whether it came to its end and was given on.
    pub fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }

    /// Whether it asks for a stream, as far as it has come.
    pub fn streams(&self) -> bool {
        self.streams.load(Ordering::Acquire)
    }

    /// It was given on to its end.
    pub fn mark_whole(&self) {
        self.is_whole.store(true, Ordering::Release);
    }

    /// It is given from its beginning again.
    pub fn mark_unsent(&self) {
        self.is_whole.store(false, Ordering::Release);
    }

    /// Why it was not sent on.
    pub fn fault(&self) -> Option<&Refusal> {
        self.fault.get()
    }
}

/// A form that passes while it comes.
#[derive(Debug)]
pub struct Upload {
    /// What has come before its provider was known, with the model's name there.
    ready: VecDeque<Bytes>,
    rest: Option<AppBody>,
    scan: FormScan,
    limit: usize,
    /// The most answers that it may ask for.
    most_n: Option<i64>,
    /// Time for the whole body, in milliseconds, and its end.
    time_ms: u64,
    until: Pin<Box<Sleep>>,
    /// Bytes that are still to be given, where the app said how many there are.
    left: Option<u64>,
    facts: Arc<Facts>,
    tasks: TaskTracker,
}

/// The bounds of a body that passes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes.
    pub limit: usize,
    /// Milliseconds.
    pub time_ms: u64,
    /// When they have passed.
    pub until: Instant,
    /// Answers.
    pub n: Option<i64>,
}

impl Upload {
    /// A body of which `came` bytes were read by `scan`; `first` is given for them, then the rest as it comes.
    pub fn new(
        first: Vec<Bytes>,
        came: u64,
        rest: Option<AppBody>,
        scan: FormScan,
        bounds: Bounds,
        tasks: TaskTracker,
    ) -> Self {
        let facts = Facts::default();
        facts.bytes.store(came, Ordering::Release);
        facts.streams.store(scan.stream(), Ordering::Release);
        let ready: u64 = first.iter().map(|bytes| bytes.len() as u64).sum();
        let left = match &rest {
            None => Some(ready),
            Some(rest) => rest.size_hint().exact().map(|rest| ready + rest),
        };
        Self {
            ready: first.into(),
            rest,
            scan,
            limit: bounds.limit,
            most_n: bounds.n,
            time_ms: bounds.time_ms,
            until: Box::pin(tokio::time::sleep_until(bounds.until)),
            left,
            facts: Arc::new(facts),
            tasks,
        }
    }

    /// What becomes known of it.
    pub fn facts(&self) -> Arc<Facts> {
        self.facts.clone()
    }

    /// Bytes that are still to be given, where the app said how many there are.
    pub fn left(&self) -> Option<u64> {
        self.left
    }

    /// Whether its last byte was given.
    pub fn is_given(&self) -> bool {
        self.facts.is_whole()
    }

    /// The next bytes; with the last it is known to be whole.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Next {
        let next = std::task::ready!(self.poll_next(cx));
        if let (Some(Ok(bytes)), Some(left)) = (&next, &mut self.left) {
            *left = left.saturating_sub(bytes.len() as u64);
            if *left == 0 && self.rest.is_none() {
                self.facts.mark_whole();
            }
        }
        Poll::Ready(next)
    }

    fn fail(&mut self, fault: Refusal) -> NotSent {
        // The app sends on: what it has not sent yet must not cost it the answer.
        linger::read_away(&self.tasks, self.rest.take());
        // The first is the reason.
        let _is_first = self.facts.fault.set(fault);
        NotSent
    }

    fn take(&mut self, chunk: &Bytes) -> Result<(), NotSent> {
        let came = self.facts.bytes() + chunk.len() as u64;
        self.facts.bytes.store(came, Ordering::Release);
        if came > self.limit as u64 {
            return Err(self.fail(Refusal::TooLarge(self.limit)));
        }
        self.scan
            .feed(chunk)
            .map_err(|error| self.fail(Refusal::Door(error)))?;
        self.hold_n()?;
        self.facts
            .streams
            .store(self.scan.stream(), Ordering::Release);
        Ok(())
    }

    /// A count may come long after the model's name.
    fn hold_n(&mut self) -> Result<(), NotSent> {
        let given = self.scan.asked().count(Bound::N);
        match (given, self.most_n) {
            (Some(given), Some(bound)) if given > bound => {
                let name = "n";
                let error = DoorError::OverBound { name, given, bound };
                Err(self.fail(Refusal::Door(error)))
            }
            _ => Ok(()),
        }
    }

    /// The app's last byte has come.
    fn end(&mut self) -> Result<(), NotSent> {
        self.rest = None;
        self.scan
            .finish()
            .map_err(|error: DoorError| self.fail(Refusal::Door(error)))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Next {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if self.facts.fault().is_some() {
                return Poll::Ready(Some(Err(NotSent)));
            }
            let Some(rest) = &mut self.rest else {
                self.facts.mark_whole();
                return Poll::Ready(None);
            };
            let frame = match Pin::new(rest).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending if self.until.as_mut().poll(cx).is_ready() => {
                    let fault = Refusal::BodyTimeout(self.time_ms);
                    return Poll::Ready(Some(Err(self.fail(fault))));
                }
                Poll::Pending => return Poll::Pending,
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(chunk) = frame.into_data() else {
                        continue;
                    };
                    if let Err(error) = self.take(&chunk) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    // The form's end is known with its last bytes; they go only if it is one.
                    let is_last = self.rest.as_ref().is_some_and(AppBody::is_end_stream);
                    if is_last && let Err(error) = self.end() {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.ready.push_back(chunk);
                }
                Some(Err(error)) => {
                    let fault = Refusal::of_body(&error);
                    return Poll::Ready(Some(Err(self.fail(fault))));
                }
                None => {
                    if let Err(error) = self.end() {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = NotSent;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NotSent>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Passing(upload) => data(upload.poll_piece(cx)),
            Self::Kept(pass) => data(pass.poll_next(cx)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Passing(_) | Self::Kept(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let left = match self {
            Self::Whole(body) => return body.size_hint(),
            Self::Passing(upload) => upload.left(),
            Self::Kept(pass) => pass.left(),
        };
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

type Next = Poll<Option<Result<Bytes, NotSent>>>;

fn data(next: Next) -> Poll<Option<Result<Frame<Bytes>, NotSent>>> {
    next.map(|next| next.map(|next| next.map(Frame::data)))
}
