//! What all requests share: the book, the configuration in force, the bounded pools.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response};
use journal::{AppendError, Ticket};
use schemas::name::Text;
use schemas::{Api, Clock, EventId, Outcome, ProducerState, UsageEvent};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::arrival::Arrival;
use crate::backends::Backends;
use crate::estimate::Estimator;
use crate::labels::Pseudonyms;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::publish::Replicas;
use crate::refusal::Refusal;
use crate::replay::Room;
use crate::request_log;
use crate::snapshot::Snapshot;
use crate::strangers::Strangers;
use crate::trace::{Target, TraceContext, Tracer};
use crate::upstream::Upstream;

/// What all requests share.
pub struct Gate {
    /// The book.
    pub ledger: Arc<Ledger>,
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Counting tokens.
    pub estimator: Estimator,
    /// Names for claims.
    pub pseudonyms: Pseudonyms,
    /// Memory for request bodies, in KiB.
    pub bodies: Arc<Semaphore>,
    /// Room for forms that may have to be sent again.
    pub replays: Room,
    /// Places for reading on after an app has gone.
    pub drains: Arc<Semaphore>,
    /// Work that outlives its connection; waited for at the end.
    pub tasks: TaskTracker,
    /// Cancelled when running work must end now.
    pub hurry: CancellationToken,
    /// The runtime, for work that begins where a future is dropped.
    pub runtime: tokio::runtime::Handle,
    /// Calls to providers.
    pub upstream: Upstream,
    /// Refusals of the unknown.
    pub strangers: Strangers,
    /// Whether providers answer.
    pub backends: Backends,
    /// Traces requests, where that is asked.
    pub tracer: Option<Tracer>,
    /// How far the journal is in Kafka, where it is published.
    pub replicas: Option<Replicas>,
}

impl Gate {
    /// A request has arrived.
    pub fn arrive<B>(&self, peer: IpAddr, api: Api, request: &Request<B>) -> Arrival {
        let received = self.clock.now();
        let event_id = EventId::mint(received, rand::random());
        Arrival {
            event_id,
            request_id: request_id(event_id),
            received,
            started: tokio::time::Instant::now(),
            peer,
            api,
            snapshot: self.snapshot.load_full(),
            principal: None,
            labels: schemas::event::Labels::new(),
            model: Text::default(),
            stream: false,
            body_bytes: 0,
            room: None,
            trace: self
                .tracer
                .as_ref()
                .map(|tracer| tracer.begin(event_id, request)),
        }
    }

    /// Writes what this producer is from now on. Nothing depends on it that the heartbeats would not say later.
    pub fn say(&self, state: ProducerState) {
        if let Err(error) = self.ledger.live(state, self.clock.now()) {
            tracing::warn!(%error, ?state, "the producer's state was not written");
        }
    }

    /// Records a refusal and answers it, once its record is as durable as a tenant was promised.
    pub async fn refuse(&self, arrival: &Arrival, refusal: &Refusal) -> Response<Body> {
        if let Some(ticket) = self.note_refusal(arrival, refusal) {
            self.wait_durable(arrival.durability(), &ticket).await;
        }
        let mut response = refusal.response();
        set_request_id(&mut response, &arrival.request_id);
        response
    }

    /// Records a refusal; nothing if it is folded.
    pub fn note_refusal(&self, arrival: &Arrival, refusal: &Refusal) -> Option<Ticket> {
        let status = if matches!(refusal, Refusal::BodyAborted) {
            0
        } else {
            refusal.status().as_u16()
        };
        let now = self.clock.now();
        let mut event = arrival.local_event(&self.ledger, now, refusal.outcome(), status);
        event.outcome_detail = Some(Text::cut(refusal.code()));
        // Whatever the reason: who has shown no key can cause it as often as he likes.
        let is_stranger = arrival.principal.is_none();
        let limit = arrival.snapshot.settings.stranger_records_per_second;
        let to_write = if is_stranger {
            self.strangers.take(arrival.peer, event, limit)
        } else {
            Some(event)
        };
        self.write_refusal(arrival.peer, to_write?, arrival.trace.as_deref())
    }

    /// Writes the record of a refusal; where its lane is full it is folded and tried again.
    fn write_refusal(
        &self,
        peer: IpAddr,
        event: UsageEvent,
        trace: Option<&TraceContext>,
    ) -> Option<Ticket> {
        let written = self.ledger.refuse(event.clone());
        let ticket = self.refusal_is_written(&event, written, trace);
        if ticket.is_none() {
            self.strangers.fold(peer, event);
        }
        ticket
    }

    /// Writes what was folded since the last time.
    pub fn flush_strangers(&self) {
        self.strangers.flush(|event| {
            let written = self.ledger.refuse(event.clone());
            self.refusal_is_written(event, written, None).is_some()
        });
    }

    /// Writes what is still folded at the end. There is no later flush, so it does not wait for room in the refusals' lane.
    pub fn write_last_strangers(&self) {
        self.strangers.flush(|event| {
            let written = self.ledger.record(event.clone());
            self.refusal_is_written(event, written, None).is_some()
        });
    }

    /// Counts what the journal has not taken to the last: nobody writes it any more.
    pub fn give_up_strangers(&self) {
        let count = self.strangers.give_up();
        if count > 0 {
            self.metrics.unrecorded_refusals.inc_by(count);
            tracing::error!(count, "folded refusals are given up: they are in no record");
        }
    }

    fn refusal_is_written(
        &self,
        event: &UsageEvent,
        written: Result<Ticket, AppendError>,
        trace: Option<&TraceContext>,
    ) -> Option<Ticket> {
        let ticket = written
            .inspect_err(|error| tracing::warn!(%error, count = event.count, "refusal folded"))
            .ok()?;
        self.tell(event, trace, &[]);
        if event.count > 1 {
            let count = u64::try_from(event.count).unwrap_or(0);
            self.metrics.folded_refusals.inc_by(count);
        }
        Some(ticket)
    }

    /// Tells the log and the trace of a closed record; neither is asked whether it may be closed.
    pub fn tell(&self, event: &UsageEvent, trace: Option<&TraceContext>, targets: &[Target<'_>]) {
        request_log::line(event, trace);
        if let (Some(tracer), Some(trace)) = (&self.tracer, trace) {
            tracer.record(event, trace, targets);
        }
    }

    /// Records an answer that the gateway gives itself, as durably as its tenant was promised.
    pub async fn record_local(&self, arrival: &Arrival, status: u16) -> Result<(), Refusal> {
        let event = arrival.local_event(&self.ledger, self.clock.now(), Outcome::Completed, status);
        let ticket = self
            .ledger
            .record(event.clone())
            .map_err(|_| Refusal::MeteringUnavailable)?;
        self.wait_durable(arrival.durability(), &ticket).await;
        self.tell(&event, arrival.trace.as_deref(), &[]);
        Ok(())
    }
}

/// What a request is called where its app sees it.
fn request_id(event_id: EventId) -> Text {
    const PREFIX: &[u8] = b"req_";
    let mut buffer = [0; PREFIX.len() + uuid::fmt::Simple::LENGTH];
    buffer[..PREFIX.len()].copy_from_slice(PREFIX);
    event_id
        .as_uuid()
        .simple()
        .encode_lower(&mut buffer[PREFIX.len()..]);
    // Digits and letters.
    Text::cut(std::str::from_utf8(&buffer).unwrap_or_default())
}

/// Gives the request's id back.
pub fn set_request_id(response: &mut Response<Body>, id: &Text) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("x-request-id", value);
    }
}
