//! An admitted request on its way to its one record, whatever happens to it.
//!
//! Whoever holds an exchange may drop it at any time: that is how an app goes away. Dropping hands the rest
//! to a drain, or closes the record on the spot; nothing depends on a future being polled to its end.

use std::sync::Arc;

use journal::Ticket;
use schemas::{Durability, Units};

use crate::conclude::Ending;
use crate::config::OnClientGone;
use crate::drain;
use crate::gate::Gate;
use crate::ledger::OpenRequest;
use crate::snapshot::{Route, Snapshot};
use crate::state::{Asking, Stage, State};

/// An admitted request.
pub struct Exchange {
    state: Option<Box<State>>,
}

impl Exchange {
    /// An exchange for an open request.
    pub fn new(
        gate: Arc<Gate>,
        snapshot: Arc<Snapshot>,
        route: Arc<Route>,
        open: OpenRequest,
        asking: Asking,
    ) -> Self {
        let state = State::new(gate, snapshot, route, open, asking);
        Self {
            state: Some(Box::new(state)),
        }
    }

    /// The request, while it is open.
    pub fn state(&mut self) -> Option<&mut State> {
        self.state.as_deref_mut()
    }

    /// Closes a request that gets no answer from a provider; `status` is what its app gets, if it is still there. Without an
    /// answer there is nothing to count. Whoever answers the app waits for the record first; a failure to write it is logged
    /// and counted by the ledger.
    pub fn close_unanswered(&mut self, ending: Ending, status: Option<u16>) -> Option<Unanswered> {
        let mut state = self.take()?;
        state.stage = Stage::Over;
        state.app_status = status;
        let durability = state.durability();
        let ticket = state.settle(ending, &Units::default())?;
        Some(Unanswered {
            gate: state.gate.clone(),
            durability,
            ticket,
        })
    }

    /// Takes the request out: whoever does must close it.
    pub fn take(&mut self) -> Option<Box<State>> {
        self.state.take()
    }
}

/// The record of a request that gets no answer from a provider.
#[must_use = "an answer of ours waits until its record is as durable as promised"]
pub struct Unanswered {
    gate: Arc<Gate>,
    durability: Durability,
    ticket: Ticket,
}

impl Unanswered {
    /// Waits until it is as durable as its tenant was promised, within a bound.
    pub async fn durable(self) {
        self.gate.wait_durable(self.durability, &self.ticket).await;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            client_gone(state);
        }
    }
}

/// The app has gone: reads on, or closes.
fn client_gone(mut state: Box<State>) {
    if matches!(state.stage, Stage::Admitted) {
        state.settle(Ending::NeverCalled, &Units::default());
        return;
    }
    // Nothing runs: the calls that failed are on the record, and none follows.
    if matches!(state.stage, Stage::Between) {
        state.settle(Ending::Cancelled("client_gone"), &Units::default());
        return;
    }
    if state.route.on_client_gone == OnClientGone::Cancel {
        close_apart(state, Ending::Cancelled("client_gone"));
        return;
    }
    let gate = state.gate.clone();
    match gate.drains.clone().try_acquire_owned() {
        Ok(place) => {
            let drain = drain::run(state, place);
            gate.tasks.spawn_on(drain, &gate.runtime);
        }
        Err(_) => close_apart(state, Ending::Cancelled("drain_cap_concurrency")),
    }
}

/// Closes where nothing can wait: at once, or in a task of its own if tokens must be counted.
fn close_apart(mut state: Box<State>, ending: Ending) {
    state.stage = Stage::Over;
    if state.settle_at_once(ending).is_ok() {
        return;
    }
    let gate = state.gate.clone();
    gate.tasks.spawn_on(state.close(ending), &gate.runtime);
}
