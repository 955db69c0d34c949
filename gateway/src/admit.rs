//! The way of a call up to its admission: who sends it, what it asks, where it goes, the book.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::Full;
use schemas::name::Text;
use schemas::{Admission, AuthMethod, RouteReason, Unit, Units, WIRE_VERSION};
use tokio::time::Instant;

use crate::arrival::Arrival;
use crate::conclude::Ending;
use crate::door::{Asked, Changes, DoorError, read_json};
use crate::endpoint::{BodyKind, Endpoint};
use crate::exchange::Exchange;
use crate::gate::Gate;
use crate::headers::to_provider;
use crate::limits::{self, Limited};
use crate::meter::stream::UsageFor;
use crate::refusal::Refusal;
use crate::replay::{Replay, Room};
use crate::request_body::{Form, open_form, read_whole};
use crate::retry::{Again, Outgoing, Resend};
use crate::snapshot::{Query, Route};
use crate::state::Asking;
use crate::upload::{self, Sent, Upload};

/// Records a request that goes away before it is admitted.
pub struct AtTheDoor {
    /// What all requests share.
    pub gate: Arc<Gate>,
    /// The request, until it is admitted or refused.
    pub arrival: Option<Arrival>,
    /// What has not been read of its body.
    pub body: Option<Body>,
}

impl Drop for AtTheDoor {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            drop(self.gate.note_refusal(&arrival, &Refusal::BodyAborted));
        }
    }
}

/// Where a request was sent.
#[derive(Clone, Debug)]
pub struct Address {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The deployment that the path names, as Azure's does.
    pub deployment: Option<String>,
    /// The rest of it.
    pub query: Query,
}

/// What goes to the provider.
pub struct Sending {
    /// The first call, and on most routes the only one.
    pub outgoing: Outgoing,
    /// What further calls need, where the route may make some.
    pub again: Option<Box<Again>>,
    /// Whether a stream is asked for.
    pub wants_stream: bool,
    /// Who asked for usage in it.
    pub usage_for: UsageFor,
    /// The limit of the whole.
    pub whole_until: Instant,
}

/// A body that has been read as far as it must be.
#[expect(
    clippy::large_enum_variant,
    reason = "the larger one is the usual one, and lives on the stack for moments"
)]
enum Came {
    Whole(Bytes, Asked),
    Form(Box<Form>),
}

impl Came {
    fn asked_model(&self) -> Option<&str> {
        match self {
            Self::Whole(_, asked) => asked.model.as_deref(),
            Self::Form(form) => form.scan.model().map(|(model, _)| model),
        }
    }

    fn stream(&self) -> bool {
        match self {
            Self::Whole(_, asked) => asked.stream,
            Self::Form(form) => form.scan.stream(),
        }
    }
}

/// Reads the request, says who sends it and where it goes, and enters it into the book.
pub async fn admit(
    door: &mut AtTheDoor,
    address: &Address,
    head: &Parts,
) -> Result<(Exchange, Sending), Refusal> {
    let gate = door.gate.clone();
    let Some(arrival) = &mut door.arrival else {
        return Err(Refusal::BodyAborted);
    };
    let body = &mut door.body;
    let principal = arrival.identify(head)?;
    arrival.labels = gate
        .pseudonyms
        .labels(&principal, &head.headers, arrival.received)
        .map_err(|error| unwritable(&error))?;
    let mut came = read(&gate, arrival, address.endpoint, &head.headers, body).await?;
    arrival.stream = came.stream();
    let model = named_model(address, &came)?;
    arrival.model = Text::cut(model);
    let route = find_route(arrival, model)?;
    refuse_other_model(arrival, address, &came, &route)?;
    if let Came::Form(form) = &mut came {
        form.hold_to(&route.limits);
    }
    // A whole body has come, whatever stands for it here.
    let is_coming = matches!(came, Came::Form(_)) && body.is_some();
    let coming = (&came, is_coming);
    let limited = limited(&gate, arrival, address.endpoint, coming, &route).await?;
    let admission = admission(&gate, arrival, &route, &limited);
    let durability = admission.durability;
    let (open, ticket) = gate
        .ledger
        .admit(admission)
        .map_err(|error| unwritable(&error))?;
    runtime::failpoint::hit("gateway.after_admission");
    let request = Asking {
        endpoint: address.endpoint,
        body: kept_body(&came),
        room: arrival.room.take(),
        upload: None,
        counted: counted(&came),
        trace: None,
    };
    let came = (came, body.take());
    let (sending, upload) = sending(&gate, arrival, address, head, &route, came, &limited);
    let (snapshot, trace) = (arrival.snapshot.clone(), arrival.trace.take());
    // From here on the exchange answers for the request.
    door.arrival = None;
    let request = Asking {
        upload,
        trace,
        ..request
    };
    let mut exchange = Exchange::new(gate.clone(), snapshot, route, open, request);
    if !gate.wait_durable(durability, &ticket).await {
        // Its admission was waited for in vain; its record is not waited for as long again.
        drop(exchange.close_unanswered(Ending::NotRecorded, Some(503)));
        return Err(Refusal::MeteringUnavailable);
    }
    Ok((exchange, sending))
}

fn unwritable(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "request refused: nothing can be recorded");
    Refusal::MeteringUnavailable
}

async fn read(
    gate: &Gate,
    arrival: &mut Arrival,
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: &mut Option<Body>,
) -> Result<Came, Refusal> {
    match endpoint.body() {
        BodyKind::Json => {
            let depth = arrival.snapshot.settings.max_json_depth;
            let body = read_whole(arrival, &gate.bodies, headers, body).await?;
            let asked = read_json(endpoint, &body, depth)?;
            Ok(Came::Whole(body, asked))
        }
        BodyKind::Form => {
            let form = open_form(arrival, &gate.bodies, headers, body).await?;
            Ok(Came::Form(Box::new(form)))
        }
    }
}

/// The model asked for: the path's, the body's, or the endpoint's usual one.
fn named_model<'a>(address: &'a Address, came: &'a Came) -> Result<&'a str, Refusal> {
    let named = address.deployment.as_deref().or(came.asked_model());
    let named = named.or(address.endpoint.default_model());
    Ok(named.ok_or(DoorError::Missing("model"))?)
}

fn find_route(arrival: &Arrival, model: &str) -> Result<Arc<Route>, Refusal> {
    let shown = || model.chars().take(64).collect::<String>();
    let route = arrival
        .snapshot
        .route(model)
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

/// Where the path decides, a body that names another model is not sent: whoever reads the body would serve that one.
fn refuse_other_model(
    arrival: &Arrival,
    address: &Address,
    came: &Came,
    route: &Arc<Route>,
) -> Result<(), Refusal> {
    let (Some(deployment), Some(named)) = (&address.deployment, came.asked_model()) else {
        return Ok(());
    };
    let is_same = named == deployment
        || arrival
            .snapshot
            .route(named)
            .is_some_and(|other| Arc::ptr_eq(other, route));
    if is_same {
        return Ok(());
    }
    Err(DoorError::OtherModel.into())
}

/// The body, where it may have to be counted.
fn kept_body(came: &Came) -> Option<Bytes> {
    match came {
        Came::Whole(body, _) => Some(body.clone()),
        Came::Form(_) => None,
    }
}

/// What the request itself counts.
fn counted(came: &Came) -> Units {
    let mut units = Units::default();
    if let Came::Whole(_, asked) = came
        && let Some(characters) = asked.characters
    {
        // A count of characters is never below 0.
        drop(units.set(Unit::Characters, characters));
    }
    units
}

/// Holds a request to its route's bounds. Takes what it needs of the body beforehand: a body that still comes cannot
/// be shared while something is waited for.
fn limited<'a>(
    gate: &'a Gate,
    arrival: &Arrival,
    endpoint: Endpoint,
    (came, is_coming): (&Came, bool),
    route: &'a Route,
) -> impl Future<Output = Result<Limited, Refusal>> + use<'a> {
    let (asked, body) = match came {
        Came::Whole(body, asked) => (asked.unnamed(), Some(body.clone())),
        Came::Form(form) => (form.scan.asked(), None),
    };
    let request = limits::Request {
        endpoint,
        asked,
        body,
        body_bytes: arrival.body_bytes,
        is_coming,
        default_output: arrival.snapshot.settings.default_max_output_tokens,
    };
    async move { limits::apply(&request, route, &gate.estimator).await }
}

fn admission(gate: &Gate, arrival: &Arrival, route: &Route, limited: &Limited) -> Admission {
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
        stream: arrival.stream,
        model_requested: arrival.model.clone(),
        route: route.model.clone(),
        deployment: backend.id.clone(),
        provider: backend.provider.clone(),
        region: backend.region.clone(),
        data_zone: backend.data_zone.clone(),
        capacity: backend.capacity,
        priced_as: Some(Text::cut(&route.priced_as)),
        route_reason: RouteReason::Primary,
        received_us: arrival.received,
        admitted_us: gate.clock.now(),
        request_bytes: i64::try_from(arrival.body_bytes).unwrap_or(i64::MAX),
        estimated_units: limited.estimate.clone(),
        calls: most_calls(route),
        scopes: Vec::new(),
        leases: Text::default(),
        policies: limited.policies(),
        price_version: None,
        config_digest: arrival.snapshot.digest.clone(),
        durability: route.durability(who.map_or(schemas::Durability::Written, |p| p.durability)),
        synthetic: backend.synthetic,
    }
}

fn most_calls(route: &Route) -> u8 {
    let retry = route.retry.as_ref();
    retry.map_or(1, |policy| u8::try_from(policy.calls).unwrap_or(u8::MAX))
}

fn sending(
    gate: &Gate,
    arrival: &Arrival,
    address: &Address,
    head: &Parts,
    route: &Route,
    (came, rest): (Came, Option<Body>),
    limited: &Limited,
) -> (Sending, Option<Arc<upload::Facts>>) {
    let endpoint = address.endpoint;
    let total = Duration::from_millis(arrival.snapshot.settings.total_timeout_ms);
    let model = Some(route.upstream_model.as_str())
        .filter(|_| came.asked_model().is_some() || !route.url_names_model(endpoint));
    let wants_stream = came.stream();
    let stream_usage = route.backend.stream_usage;
    let ask_usage = stream_usage.is_some() && endpoint.has_stream_options();
    let mut usage_for = UsageFor::Client;
    let (body, facts) = match came {
        Came::Whole(body, asked) => {
            if asked.stream && ask_usage && !asked.asks_usage {
                usage_for = stream_usage.unwrap_or(usage_for);
            }
            let changes = Changes {
                model,
                ask_usage,
                counts: &limited.set,
            };
            let body = asked.upstream_body(&body, &changes);
            (ToSend::Whole(body), None)
        }
        Came::Form(form) => {
            let upload = form.into_upload(model, rest, gate.tasks.clone());
            let facts = upload.facts();
            (ToSend::Form(Box::new(upload)), Some(facts))
        }
    };
    let mut headers = to_provider(
        &head.headers,
        &arrival.request_id,
        route.backend.credential.as_ref(),
    );
    if let Some(trace) = &arrival.trace {
        trace.stamp(&mut headers, 0);
    }
    let (url, whole_until) = (route.url(endpoint, &address.query), arrival.started + total);
    let (body, again) = if route.retry.is_none() {
        (body.once(), None)
    } else {
        let body = body.repeatable(&gate.replays);
        let first = body.body();
        let (url, headers) = (url.clone(), headers.clone());
        let again = Again {
            url,
            headers,
            body,
            whole_until,
        };
        (first, Some(Box::new(again)))
    };
    let sending = Sending {
        outgoing: Outgoing { url, headers, body },
        again,
        wants_stream,
        usage_for,
        whole_until,
    };
    (sending, facts)
}

/// A body for the provider.
enum ToSend {
    Whole(Bytes),
    Form(Box<Upload>),
}

impl ToSend {
    fn once(self) -> Sent {
        match self {
            Self::Whole(body) => Sent::Whole(Full::new(body)),
            Self::Form(upload) => Sent::Passing(upload),
        }
    }

    fn repeatable(self, room: &Room) -> Resend {
        match self {
            Self::Whole(body) => Resend::Whole(body),
            Self::Form(upload) => Resend::Form(Replay::new(*upload, room.clone())),
        }
    }
}
