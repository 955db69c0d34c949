//! The way of a chat call up to its admission: who sends it, what it asks, where it goes, the book.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use schemas::name::Text;
use schemas::{Admission, AuthMethod, RouteReason, WIRE_VERSION};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::arrival::Arrival;
use crate::conclude::Ending;
use crate::door::{self, ChatRequest};
use crate::estimate::reserve;
use crate::exchange::Exchange;
use crate::gate::Gate;
use crate::headers::to_provider;
use crate::meter::stream::UsageFor;
use crate::refusal::Refusal;
use crate::snapshot::Route;
use crate::state::wait_durable;

/// Records a request that goes away before it is admitted.
pub struct AtTheDoor {
    /// What all requests share.
    pub gate: Arc<Gate>,
    /// The request, until it is admitted or refused.
    pub arrival: Option<Arrival>,
}

impl Drop for AtTheDoor {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            drop(self.gate.refuse(&arrival, &Refusal::BodyAborted));
        }
    }
}

/// What goes to the provider.
pub struct Sending {
    /// The headers of the call.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether a stream is asked for.
    pub wants_stream: bool,
    /// Who asked for usage in it.
    pub usage_for: UsageFor,
    /// The limit of the whole.
    pub whole_until: Instant,
}

/// Reads the request, says who sends it and where it goes, and enters it into the book.
pub async fn admit(
    door: &mut AtTheDoor,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Exchange, Sending), Refusal> {
    let gate = door.gate.clone();
    let Some(arrival) = &mut door.arrival else {
        return Err(Refusal::BodyAborted);
    };
    let principal = arrival.authenticate(headers)?;
    arrival.labels = gate
        .pseudonyms
        .labels(&principal, headers, arrival.received)
        .map_err(|error| unwritable(&error))?;
    let body = read_body(arrival, &gate.bodies, headers, body).await?;
    let request = door::read_chat(&body, arrival.snapshot.settings.max_json_depth)?;
    arrival.model = Text::cut(&request.model);
    arrival.stream = request.stream;
    let route = find_route(arrival, &request)?;
    let admission = admission(&gate, arrival, &route, &request);
    let durability = admission.durability;
    let (open, ticket) = gate
        .ledger
        .admit(admission)
        .map_err(|error| unwritable(&error))?;
    runtime::failpoint::hit("gateway.after_admission");
    let sending = sending(arrival, headers, &route, &request);
    let snapshot = arrival.snapshot.clone();
    let room = arrival.room.take();
    // From here on the exchange answers for the request.
    door.arrival = None;
    let mut exchange = Exchange::new(gate, snapshot, route, open, (request.body, room));
    if !wait_durable(durability, &ticket).await {
        exchange.close_unanswered(Ending::NotRecorded, 503);
        return Err(Refusal::MeteringUnavailable);
    }
    Ok((exchange, sending))
}

fn unwritable(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "request refused: nothing can be recorded");
    Refusal::MeteringUnavailable
}

async fn read_body(
    arrival: &mut Arrival,
    bodies: &Arc<Semaphore>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Refusal> {
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(header::HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::Compressed);
    }
    let limit = arrival.snapshot.settings.max_body_bytes;
    let time_ms = arrival.snapshot.settings.body_timeout_ms;
    let announced = http_body::Body::size_hint(&body).lower();
    if announced > limit as u64 {
        return Err(Refusal::TooLarge(limit));
    }
    let until = arrival.started + Duration::from_millis(time_ms);
    let reading = collect(arrival, bodies, body, limit);
    tokio::time::timeout_at(until, reading)
        .await
        .map_err(|_| Refusal::BodyTimeout(time_ms))?
}

/// Takes so much of all bodies' memory as the body has by now; gives it back with the request.
fn take_room(arrival: &mut Arrival, bodies: &Arc<Semaphore>) -> Result<(), Refusal> {
    let has = arrival
        .room
        .as_ref()
        .map_or(0, OwnedSemaphorePermit::num_permits);
    let needs = arrival.body_bytes.div_ceil(1 << 10).saturating_sub(has);
    if needs == 0 {
        return Ok(());
    }
    let needs = u32::try_from(needs).map_err(|_| Refusal::Busy)?;
    let more = bodies
        .clone()
        .try_acquire_many_owned(needs)
        .map_err(|_| Refusal::Busy)?;
    match &mut arrival.room {
        Some(room) => room.merge(more),
        None => arrival.room = Some(more),
    }
    Ok(())
}

async fn collect(
    arrival: &mut Arrival,
    bodies: &Arc<Semaphore>,
    mut body: Body,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Refusal::BodyAborted)?.into_data() else {
            continue;
        };
        arrival.body_bytes += chunk.len();
        if arrival.body_bytes > limit {
            return Err(Refusal::TooLarge(limit));
        }
        take_room(arrival, bodies)?;
        match first.take() {
            None if more.is_empty() => first = Some(chunk),
            None => more.extend_from_slice(&chunk),
            Some(whole) => {
                more.reserve(
                    usize::try_from(http_body::Body::size_hint(&body).lower()).unwrap_or(0),
                );
                more.extend_from_slice(&whole);
                more.extend_from_slice(&chunk);
            }
        }
    }
    Ok(first.unwrap_or_else(|| more.freeze()))
}

fn find_route(arrival: &Arrival, request: &ChatRequest) -> Result<Arc<Route>, Refusal> {
    let shown = || request.model.chars().take(64).collect::<String>();
    let route = arrival
        .snapshot
        .route(&request.model)
        .ok_or_else(|| Refusal::NoSuchModel(shown()))?;
    let allowed = arrival
        .principal
        .as_ref()
        .is_some_and(|p| p.may_use(route.model.as_str()));
    if !allowed {
        return Err(Refusal::ModelForbidden(shown()));
    }
    Ok(route.clone())
}

fn admission(gate: &Gate, arrival: &Arrival, route: &Route, request: &ChatRequest) -> Admission {
    let settings = &arrival.snapshot.settings;
    let most = request
        .max_output_tokens
        .unwrap_or(settings.default_max_output_tokens);
    let who = arrival.principal.as_deref();
    let backend = &route.backend;
    Admission {
        wire: Text::cut(WIRE_VERSION),
        event_id: arrival.event_id,
        request_id: arrival.request_id.clone(),
        tenant: who.map(|p| p.tenant.clone()).unwrap_or_default(),
        project: who.map(|p| p.project.clone()).unwrap_or_default(),
        key_id: who.map(|p| p.key_id.clone()).unwrap_or_default(),
        principal: None,
        auth_method: AuthMethod::Key,
        conversation: None,
        labels: arrival.labels.clone(),
        api: arrival.api,
        stream: request.stream,
        model_requested: arrival.model.clone(),
        route: route.model.clone(),
        deployment: backend.id.clone(),
        provider: backend.provider.clone(),
        region: backend.region.clone(),
        data_zone: backend.data_zone.clone(),
        capacity: backend.capacity,
        route_reason: RouteReason::Primary,
        received_us: arrival.received,
        admitted_us: gate.clock.now(),
        request_bytes: i64::try_from(arrival.body_bytes).unwrap_or(i64::MAX),
        estimated_units: reserve(arrival.body_bytes, most, request.n),
        price_version: None,
        config_digest: arrival.snapshot.digest.clone(),
        durability: who.map_or(schemas::Durability::Written, |p| p.durability),
        synthetic: backend.synthetic,
    }
}

fn sending(
    arrival: &Arrival,
    headers: &HeaderMap,
    route: &Route,
    request: &ChatRequest,
) -> Sending {
    let ask_usage = route.backend.stream_usage;
    let only_we_asked = request.stream && ask_usage && !request.asks_usage;
    let total = Duration::from_millis(arrival.snapshot.settings.total_timeout_ms);
    Sending {
        headers: to_provider(
            headers,
            &arrival.request_id,
            route.backend.credential.as_ref(),
        ),
        body: request.upstream_body(&route.upstream_model, ask_usage),
        wants_stream: request.stream,
        usage_for: if only_we_asked {
            UsageFor::UsOnly
        } else {
            UsageFor::Client
        },
        whole_until: arrival.started + total,
    }
}
