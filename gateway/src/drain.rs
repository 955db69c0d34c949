//! Reading on after the app has gone: to the provider's usage figure, within time, tokens and places.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http_body::Body as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::conclude::{BROKE_OFF, Ending};
use crate::head::read_head;
use crate::state::{Stage, State};

/// Reads the answer to its end or a bound, and closes the record.
pub async fn run(mut state: Box<State>, place: OwnedSemaphorePermit) {
    state.gate.metrics.drains.inc();
    let gate = state.gate.clone();
    let bounds = state.snapshot.settings.drain;
    let deadline = Instant::now() + Duration::from_secs(bounds.seconds);
    let ending = tokio::select! {
        ending = read_on(&mut state, deadline, bounds.tokens) => ending,
        () = gate.hurry.cancelled() => Ending::Cancelled("gateway_stopping"),
    };
    state.stage = Stage::Over;
    drop(place);
    state.close(ending).await;
    gate.metrics.drains.dec();
}

async fn read_on(state: &mut State, deadline: Instant, tokens: u64) -> Ending {
    if let Stage::Calling(calling) = &mut state.stage {
        let response = match timeout_at(deadline, calling).await {
            Err(_) => return Ending::Cancelled("drain_cap_time"),
            Ok(Err(error)) => {
                state.call.reached = error.may_have_reached();
                return Ending::Cancelled(BROKE_OFF);
            }
            Ok(Ok(response)) => response,
        };
        drop(read_head(state, response));
    }
    let before = state.tally.rough_tokens();
    loop {
        let Stage::Answering(body) = &mut state.stage else {
            return Ending::Cancelled(BROKE_OFF);
        };
        let frame = timeout_at(deadline, poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await;
        match frame {
            Err(_) => return Ending::Cancelled("drain_cap_time"),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Ending::Cancelled(BROKE_OFF),
            Ok(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    drop(state.reader.feed(chunk, &mut state.found, &mut state.tally));
                }
            }
        }
        if state.found.done {
            break;
        }
        if state.tally.rough_tokens().saturating_sub(before) > tokens {
            return Ending::Cancelled("drain_cap_tokens");
        }
    }
    drop(state.reader.finish(&mut state.found));
    match state.lacks() {
        Some(_) => Ending::Cancelled(BROKE_OFF),
        None => Ending::Drained,
    }
}
