//! The way of a chat call: arrive, read, admit, call, answer.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::{HeaderMap, Response, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use schemas::event::Throttle;
use schemas::name::Text;
use schemas::{Admission, Api, AuthMethod, RouteReason, WIRE_VERSION};
use tokio::time::{Instant, sleep_until};

use crate::arrival::Arrival;
use crate::body::MeteredBody;
use crate::conclude::{ENCODED, Ending, JSON_FOR_STREAM, NOT_JSON};
use crate::door::{self, ChatRequest};
use crate::estimate::reserve;
use crate::exchange::{Exchange, Stage, State};
use crate::gate::{Gate, set_request_id};
use crate::headers::{to_app, to_provider};
use crate::meter::reader::Reader;
use crate::meter::scan::Scan;
use crate::meter::stream::{StreamMeter, UsageFor};
use crate::refusal::{Refusal, error_response};
use crate::snapshot::Route;

/// Records a request that goes away before it is admitted.
struct AtTheDoor {
    gate: Arc<Gate>,
    arrival: Option<Arrival>,
}

impl Drop for AtTheDoor {
    fn drop(&mut self) {
        if let Some(arrival) = self.arrival.take() {
            drop(self.gate.refuse(&arrival, &Refusal::BodyAborted));
        }
    }
}

/// `POST /v1/chat/completions`
pub async fn chat(
    Shared(gate): Shared<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let arrival = gate.arrive(peer.ip(), Api::Chat);
    let request_id = arrival.request_id.clone();
    let mut at_the_door = AtTheDoor {
        gate: gate.clone(),
        arrival: Some(arrival),
    };
    let (parts, body) = request.into_parts();
    let admitted = admit(&mut at_the_door, &parts.headers, body).await;
    let mut response = match admitted {
        Ok((exchange, sending)) => call(exchange, sending).await,
        Err(refusal) => match at_the_door.arrival.take() {
            Some(arrival) => gate.refuse(&arrival, &refusal),
            None => refusal.response(),
        },
    };
    set_request_id(&mut response, &request_id);
    response
}

/// What goes to the provider.
struct Sending {
    headers: HeaderMap,
    body: Bytes,
    wants_stream: bool,
    usage_for: UsageFor,
    whole_until: Instant,
}

async fn admit(
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
    let body = read_body(arrival, headers, body).await?;
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
    // From here on the exchange answers for the request.
    door.arrival = None;
    let mut exchange = Exchange::new(gate, snapshot, route, open, request.body);
    if durability != schemas::Durability::Written && ticket.synced().await.is_err() {
        close_now(&mut exchange, Ending::NotRecorded, 503);
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
    let reading = collect(arrival, body, limit);
    tokio::time::timeout_at(until, reading)
        .await
        .map_err(|_| Refusal::BodyTimeout(time_ms))?
}

async fn collect(arrival: &mut Arrival, mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
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

/// Calls the provider and answers the app.
async fn call(mut exchange: Exchange, sending: Sending) -> Response<Body> {
    let Some(state) = exchange.state() else {
        return broken_gateway();
    };
    let first_byte = Duration::from_millis(state.snapshot.settings.first_byte_timeout_ms);
    let until = (Instant::now() + first_byte).min(sending.whole_until);
    let request = state
        .gate
        .upstream
        .post(state.route.backend.chat_url.clone())
        .headers(sending.headers)
        .body(sending.body);
    state.call.started = Some(state.gate.clock.now());
    state.call.reached = true;
    state.reader = expected_reader(sending.wants_stream, sending.usage_for);
    state.stage = Stage::Calling(Box::pin(request.send()));
    let answered = tokio::select! {
        answered = poll_fn(|cx| match &mut state.stage {
            Stage::Calling(calling) => calling.as_mut().poll(cx),
            _ => std::task::Poll::Pending,
        }) => answered,
        () = sleep_until(until) => return timed_out(&mut exchange),
    };
    match answered {
        Ok(response) => answer(exchange, response, sending.whole_until),
        Err(error) => unreachable_provider(&mut exchange, &error),
    }
}

fn expected_reader(wants_stream: bool, usage_for: UsageFor) -> Reader {
    if wants_stream {
        Reader::Stream(Box::new(StreamMeter::new(usage_for)))
    } else {
        Reader::Document(Box::default())
    }
}

/// The head of the provider's answer: notes what it says and makes the exchange one that is being answered.
pub fn read_head(state: &mut State, response: reqwest::Response) -> http::response::Parts {
    let (parts, body) = Response::from(response).into_parts();
    let text = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    state.call.head = Some(state.gate.clock.now());
    state.call.status = Some(parts.status.as_u16());
    state.call.provider_request_id = text("x-request-id")
        .or_else(|| text("apim-request-id"))
        .map(Text::cut);
    let remaining = text("x-ratelimit-remaining-tokens").and_then(|count| count.parse().ok());
    state.call.throttle = remaining.map(|count| Throttle {
        remaining: Some(count),
        reset_us: None,
    });
    let kind = text("content-type").unwrap_or_default();
    let wanted_stream = state.reader.is_stream();
    if kind.starts_with("text/event-stream") {
        if !wanted_stream {
            state.reader = expected_reader(true, UsageFor::Client);
        }
    } else if kind.starts_with("application/json") {
        if wanted_stream {
            state.reader = Reader::Document(Box::<Scan>::default());
            state.call.unexpected_content = Some(JSON_FOR_STREAM);
        }
    } else {
        state.reader = Reader::Opaque;
        state.call.unexpected_content = Some(NOT_JSON);
    }
    if text("content-encoding").is_some_and(|encoding| encoding != "identity") {
        state.reader = Reader::Opaque;
        state.call.unexpected_content = Some(ENCODED);
    }
    state.stage = Stage::Answering(Box::pin(body));
    parts
}

fn answer(
    mut exchange: Exchange,
    response: reqwest::Response,
    whole_until: Instant,
) -> Response<Body> {
    let Some(state) = exchange.state() else {
        return broken_gateway();
    };
    let parts = read_head(state, response);
    state.app_status = Some(parts.status.as_u16());
    // A stream may lose its usage on the way, so its length is not known.
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .filter(|_| !state.reader.is_stream());
    let mut headers = to_app(&parts.headers);
    if state.reader.is_stream() {
        headers.remove(header::CONTENT_LENGTH);
    }
    let Some(body) = MeteredBody::new(exchange, length, whole_until) else {
        return broken_gateway();
    };
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    response
}

fn timed_out(exchange: &mut Exchange) -> Response<Body> {
    close_now(exchange, Ending::TimedOut("first_byte_timeout"), 504);
    let message = "the provider did not begin to answer in time; try again";
    error_response(
        StatusCode::GATEWAY_TIMEOUT,
        "first_byte_timeout",
        message,
        None,
    )
}

fn unreachable_provider(exchange: &mut Exchange, error: &reqwest::Error) -> Response<Body> {
    let connecting = error.is_connect();
    if let Some(state) = exchange.state() {
        state.call.reached = !connecting;
        // The URL names the provider's host: it stays out of the log's text.
        tracing::warn!(deployment = %state.route.backend.id, connecting, timeout = error.is_timeout(), "call to the provider failed");
    }
    if connecting && error.is_timeout() {
        close_now(exchange, Ending::TimedOut("connect_timeout"), 504);
        let message = "the provider could not be reached in time; try again";
        return error_response(
            StatusCode::GATEWAY_TIMEOUT,
            "connect_timeout",
            message,
            None,
        );
    }
    let code = if connecting {
        "upstream_unreachable"
    } else {
        "upstream_reset"
    };
    close_now(exchange, Ending::Broken(code), 502);
    let message = "the provider could not be reached or closed the connection; try again";
    error_response(StatusCode::BAD_GATEWAY, code, message, None)
}

fn close_now(exchange: &mut Exchange, ending: Ending, status: u16) {
    let Some(mut state) = exchange.take() else {
        return;
    };
    state.stage = Stage::Over;
    state.app_status = Some(status);
    // Without an answer there is nothing to count.
    drop(state.settle(ending, &schemas::Units::default()));
}

fn broken_gateway() -> Response<Body> {
    let message = "the gateway lost track of this request; its record says `unknown`";
    error_response(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        message,
        None,
    )
}
