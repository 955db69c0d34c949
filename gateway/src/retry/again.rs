//! After a call that failed: reads its answer away, waits, and gives what the next call sends.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::Full;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::policy::{Failure, Policy, Standing};
use super::told::Told;
use crate::conclude::Ending;
use crate::exchange::Exchange;
use crate::head::read_head;
use crate::replay::{Hold, Replay};
use crate::state::{Stage, State};
use crate::upload::Sent;
use crate::upstream::{Answer, CallError};

/// So much of a failed answer is read, for what it says of usage and so that its connection can be used again.
const MAX_READ_BYTES: usize = 64 << 10;
/// And so long, where the pause is shorter.
const MIN_READ_TIME: Duration = Duration::from_millis(250);

/// What a call sends.
#[derive(Debug)]
pub struct Outgoing {
    /// Where to.
    pub url: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Sent,
}

/// A body that can be sent more than once.
#[derive(Debug)]
pub enum Resend {
    /// It is in memory.
    Whole(Bytes),
    /// It passes while it comes, and is kept.
    Form(Arc<Replay>),
}

impl Resend {
    /// The body of one call, from its beginning.
    #[must_use]
    pub fn body(&self) -> Sent {
        match self {
            Self::Whole(bytes) => Sent::Whole(Full::new(bytes.clone())),
            Self::Form(replay) => Sent::Kept(replay.pass()),
        }
    }

    fn is_repeatable(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Form(replay) => replay.is_kept(),
        }
    }

    /// The call that failed takes nothing more of it: neither while its answer is read nor in the pause can it become one
    /// that is not repeatable. `None` where it already is.
    fn hold(&self) -> Option<Held> {
        match self {
            Self::Whole(_) => Some(Held(None)),
            Self::Form(replay) => replay.hold().map(|hold| Held(Some(hold))),
        }
    }
}

/// A body that stays as it is until the next call has begun. Dropped before, as when the app leaves in the pause, the call
/// that failed ends with it.
#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "held, not read")] Option<Hold>);

/// What a further call of a request needs, where its route may make one.
#[derive(Debug)]
pub struct Again {
    /// Where to.
    pub url: Uri,
    /// Its headers, but for its place in a trace.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Resend,
    /// The request's own limit.
    pub whole_until: Instant,
}

/// What follows a call.
#[derive(Debug)]
pub enum Next {
    /// Another one.
    Call(Outgoing),
    /// Its answer, or its failure, goes to the app.
    Give(Result<Answer, CallError>),
}

impl Again {
    /// Decides what follows a call. Returns after the pause if it is another one; the one that failed is noted then.
    pub async fn after(&self, exchange: &mut Exchange, called: Result<Answer, CallError>) -> Next {
        let Some(state) = exchange.state() else {
            return Next::Give(called);
        };
        let Some((pause, held)) = self.pause(state, &called) else {
            return Next::Give(called);
        };
        let now = Instant::now();
        let until = now + pause;
        let ending = match called {
            Ok(answer) => {
                let read_until = until.max(now + MIN_READ_TIME).min(self.whole_until);
                read_away(state, answer, read_until).await;
                Ending::Completed
            }
            Err(error) => state.note_failure(error),
        };
        state.end_call(ending);
        sleep_until(until).await;
        runtime::failpoint::hit("gateway.before_retry");
        let next = self.outgoing(state);
        drop(held);
        Next::Call(next)
    }

    /// The pause before the next call, if there is one; until then its body is held.
    fn pause(&self, state: &State, called: &Result<Answer, CallError>) -> Option<(Duration, Held)> {
        let policy: &Policy = state.route.retry.as_ref()?;
        let (failure, told) = failed(called)?;
        // A stop lets running calls end; it begins none.
        if !policy.covers(failure) || state.gate.tasks.is_closed() {
            return None;
        }
        let standing = Standing {
            made: state.earlier.len() + 1,
            is_repeatable: self.body.is_repeatable(),
            left: self.whole_until.saturating_duration_since(Instant::now()),
            drawn: rand::random(),
        };
        let pause = policy.pause(failure, told, standing)?;
        Some((pause, self.body.hold()?))
    }

    fn outgoing(&self, state: &State) -> Outgoing {
        let mut headers = self.headers.clone();
        if let Some(trace) = &state.asking.trace {
            trace.stamp(&mut headers, state.earlier.len());
        }
        Outgoing {
            url: self.url.clone(),
            headers,
            body: self.body.body(),
        }
    }
}

/// How a call failed, and what its answer says about another one; `None` of a call that did not.
fn failed(called: &Result<Answer, CallError>) -> Option<(Failure, Told)> {
    match called {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => {
            let failure = Failure::Status(answer.status().as_u16());
            Some((failure, Told::read(answer.headers())))
        }
        Err(CallError::Unreachable | CallError::ConnectTimeout) => {
            Some((Failure::Connect, Told::Nothing))
        }
        Err(CallError::Broken) => Some((Failure::Reset, Told::Nothing)),
        Err(CallError::Silent) => Some((Failure::Silent, Told::Nothing)),
    }
}

/// Reads an answer that nobody gets, within bounds, for what it says.
async fn read_away(state: &mut State, answer: Answer, until: Instant) {
    drop(read_head(state, answer));
    let mut left = MAX_READ_BYTES;
    while let Stage::Answering(body) = &mut state.stage {
        let frame = timeout_at(until, poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)));
        let Ok(Some(Ok(frame))) = frame.await else {
            break;
        };
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        let Some(less) = left.checked_sub(chunk.len()) else {
            break;
        };
        left = less;
        drop(state.reader.feed(chunk, &mut state.found, &mut state.tally));
    }
    drop(state.reader.finish(&mut state.found));
}
