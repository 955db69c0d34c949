//! Everything about an admitted request, and the closing of its record.
//!
//! What must not live here: what happens when its app goes away (see `exchange`), the reading of its answer
//! (see `body`, `drain`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use journal::Ticket;
use schemas::{Api, Durability, Micros, Units};

use tokio::sync::OwnedSemaphorePermit;

use crate::conclude::{Call, Ending, Facts, conclude};
use crate::estimate::Question;
use crate::gate::Gate;
use crate::ledger::OpenRequest;
use crate::meter::findings::{Findings, TextTally};
use crate::meter::reader::Reader;
use crate::request_log;
use crate::snapshot::{Route, Snapshot};
use crate::upstream::{Answer, CallError};

/// How long a record may wait for its fsync; then the answer goes on and the missed promise is logged.
const SYNC_PATIENCE: Duration = Duration::from_secs(10);
/// A larger request is not kept for counting: where the provider reports nothing its input is unknown.
const MAX_KEPT_BODY_BYTES: usize = 1 << 20;

/// A call that has not been answered yet.
pub type Calling = BoxFuture<'static, Result<Answer, CallError>>;

/// How far the call to the provider has come.
pub enum Stage {
    /// Not begun.
    Admitted,
    /// Sent, not answered.
    Calling(Calling),
    /// Being answered.
    Answering(Incoming),
    /// Over, or in other hands.
    Over,
}

/// A request's body and the room it takes, in KiB.
pub type RoomyBody = (Bytes, Option<OwnedSemaphorePermit>);

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
    /// The room that its body takes of all bodies' memory, until it is closed.
    _room: Option<OwnedSemaphorePermit>,
    /// Its body, for counting where the provider does not, unless it is too large to keep.
    body: Option<Bytes>,
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

impl State {
    /// A request that was just admitted.
    pub fn new(
        gate: Arc<Gate>,
        snapshot: Arc<Snapshot>,
        route: Arc<Route>,
        open: OpenRequest,
        (body, room): RoomyBody,
    ) -> Self {
        Self {
            gate,
            snapshot,
            route,
            open: Some(open),
            _room: room,
            body: Some(body).filter(|body| body.len() <= MAX_KEPT_BODY_BYTES),
            stage: Stage::Admitted,
            call: Call::default(),
            reader: Reader::default(),
            found: Findings::default(),
            tally: TextTally::default(),
            first_byte: None,
            response_bytes: 0,
            app_status: None,
        }
    }

    /// The API that was called; only chats are served yet.
    fn api(&self) -> Api {
        self.open
            .as_ref()
            .map_or(Api::Chat, |open| open.admission().api)
    }

    fn facts(&self, ending: Ending) -> Facts<'_> {
        Facts {
            ending,
            call: &self.call,
            found: &self.found,
            dialect: self.route.backend.dialect,
            api: self.api(),
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
        request_log::line(&event);
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
        if let Some(ticket) = ticket {
            wait_durable(durability, &ticket).await;
        }
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
            request: self.body.clone().filter(|_| wanted.input),
            output: wanted.output.then(|| self.tally.text()),
        })
    }
}

/// Waits until a record is as durable as promised, within a bound. Says whether it is.
pub async fn wait_durable(durability: Durability, ticket: &Ticket) -> bool {
    if durability == Durability::Written {
        return true;
    }
    match tokio::time::timeout(SYNC_PATIENCE, ticket.synced()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "a record is written but not synced as promised");
            false
        }
        Err(_) => {
            tracing::error!("a record is written but was not synced in time: the disk is slow");
            false
        }
    }
}
