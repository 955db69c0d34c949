//! An admitted request on its way to its one record, whatever happens to it.
//!
//! Whoever holds an exchange may drop it at any time: that is how an app goes away. Dropping hands the rest
//! to a drain, or closes the record on the spot; nothing depends on a future being polled to its end.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use journal::Ticket;
use schemas::{Durability, Micros, Units, UsageEvent};

use crate::conclude::{Call, Ending, Facts, conclude};
use crate::config::OnClientGone;
use crate::drain;
use crate::estimate::Question;
use crate::gate::Gate;
use crate::ledger::OpenRequest;
use crate::meter::findings::{Findings, TextTally};
use crate::meter::reader::Reader;
use crate::snapshot::{Route, Snapshot};

/// A call that has not been answered yet.
pub type Calling = BoxFuture<'static, Result<reqwest::Response, reqwest::Error>>;

/// How far the call to the provider has come.
pub enum Stage {
    /// Not begun.
    Admitted,
    /// Sent, not answered.
    Calling(Calling),
    /// Being answered.
    Answering(Pin<Box<reqwest::Body>>),
    /// Over, or in other hands.
    Over,
}

/// An admitted request.
pub struct Exchange {
    state: Option<Box<State>>,
}

/// Everything about an admitted request.
pub struct State {
    /// What all requests share.
    pub gate: Arc<Gate>,
    /// The configuration it was admitted under.
    pub snapshot: Arc<Snapshot>,
    /// How it is served.
    pub route: Arc<Route>,
    /// The record to be closed.
    open: Option<OpenRequest>,
    /// Its body, for counting where the provider does not.
    body: Bytes,
    /// How far the call has come.
    pub stage: Stage,
    /// What was seen of the call.
    pub call: Call,
    /// Reads the answer.
    pub reader: Reader,
    /// What the answer said.
    pub found: Findings,
    /// What it generated.
    pub tally: TextTally,
    /// When the app got its first byte.
    pub first_byte: Option<Micros>,
    /// Bytes given to the app.
    pub response_bytes: u64,
    /// HTTP status given to the app.
    pub app_status: Option<u16>,
}

impl Exchange {
    /// An exchange for an open request.
    pub fn new(
        gate: Arc<Gate>,
        snapshot: Arc<Snapshot>,
        route: Arc<Route>,
        open: OpenRequest,
        body: Bytes,
    ) -> Self {
        let state = State {
            gate,
            snapshot,
            route,
            open: Some(open),
            body,
            stage: Stage::Admitted,
            call: Call::default(),
            reader: Reader::default(),
            found: Findings::default(),
            tally: TextTally::default(),
            first_byte: None,
            response_bytes: 0,
            app_status: None,
        };
        Self {
            state: Some(Box::new(state)),
        }
    }

    /// The request, while it is open.
    pub fn state(&mut self) -> Option<&mut State> {
        self.state.as_deref_mut()
    }

    /// Takes the request out: whoever does must close it.
    pub fn take(&mut self) -> Option<Box<State>> {
        self.state.take()
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
    if !state.wants_estimate(ending) {
        state.settle(ending, &Units::default());
        return;
    }
    let gate = state.gate.clone();
    gate.tasks.spawn_on(state.close(ending), &gate.runtime);
}

impl State {
    fn facts(&self, ending: Ending) -> Facts<'_> {
        Facts {
            ending,
            call: &self.call,
            found: &self.found,
            upstream_model: &self.route.upstream_model,
            first_byte: self.first_byte,
            now: self.gate.clock.now(),
            response_bytes: self.response_bytes,
            app_status: self.app_status,
            has_text: self.tally.bytes() > 0,
        }
    }

    /// Whether tokens must be counted before the record can be closed.
    pub fn wants_estimate(&self, ending: Ending) -> bool {
        self.facts(ending).wanted().any()
    }

    /// Closes the record with what is known now. Does nothing the second time.
    pub fn settle(&mut self, ending: Ending, estimate: &Units) -> Option<Ticket> {
        let open = self.open.take()?;
        let event = conclude(open.open_event(), &self.facts(ending), estimate);
        log_request(&event);
        // A failure is logged and counted by the ledger; the next start closes the request.
        open.close(event).ok()
    }

    /// Closes the record: counts what must be counted, and waits as long as the tenant's durability asks.
    pub async fn close(mut self: Box<Self>, ending: Ending) {
        let estimate = match self.question(ending) {
            Some(question) => self.gate.estimator.clone().count(question).await,
            None => Units::default(),
        };
        let durability = self.durability();
        let ticket = self.settle(ending, &estimate);
        wait_durable(durability, ticket).await;
    }

    /// What the tenant was promised.
    pub fn durability(&self) -> Durability {
        self.open
            .as_ref()
            .map_or(Durability::Written, |open| open.admission().durability)
    }

    /// What has to be counted, if anything has.
    fn question(&self, ending: Ending) -> Option<Question> {
        let wanted = self.facts(ending).wanted();
        wanted.any().then(|| Question {
            model: self.route.upstream_model.clone(),
            request: wanted.input.then(|| self.body.clone()),
            output: wanted.output.then(|| self.tally.text()),
        })
    }
}

/// Waits until the record is as durable as promised.
pub async fn wait_durable(durability: Durability, ticket: Option<Ticket>) {
    let Some(ticket) = ticket else { return };
    if durability == Durability::Written {
        return;
    }
    if let Err(error) = ticket.synced().await {
        tracing::error!(%error, "an outcome is written but not synced as promised");
    }
}

fn log_request(event: &UsageEvent) {
    tracing::info!(
        target: "request",
        event_id = %event.event_id,
        tenant = event.tenant.as_str(),
        key_id = event.key_id.as_str(),
        model = event.model_requested.as_str(),
        deployment = event.deployment.as_ref().map(schemas::name::Text::as_str),
        outcome = event.outcome.as_str(),
        detail = event.outcome_detail.as_ref().map(schemas::name::Text::as_str),
        status = event.status,
        usage = event.usage_source.as_str(),
        upstream_us = event.upstream_us,
        gateway_us = event.gateway_us,
    );
}
