//! A call: admitted, sent to its provider, answered.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use tokio::time::{Instant, sleep_until};

use crate::admit::{Address, AtTheDoor, Sending, admit};
use crate::body::MeteredBody;
use crate::conclude::Ending;
use crate::endpoint::Endpoint;
use crate::exchange::Exchange;
use crate::gate::{Gate, set_request_id};
use crate::head::read_head;
use crate::headers::to_app;
use crate::linger;
use crate::meter::sniff::Expects;
use crate::refusal::{Refusal, error_response};
use crate::retry::{Again, Next, Outgoing};
use crate::state::Stage;
use crate::upstream::{Answer, CallError};
use crate::{models, query};

/// A call of an endpoint, by a path without a deployment.
pub async fn by_body(
    endpoint: Endpoint,
    gate: Arc<Gate>,
    peer: SocketAddr,
    request: Request,
) -> Response<Body> {
    serve(endpoint, None, &gate, peer, request).await
}

/// A call of an endpoint, by Azure's path with a deployment; without one where its name is not UTF-8.
pub async fn by_deployment(
    endpoint: Endpoint,
    deployment: Option<String>,
    gate: Arc<Gate>,
    peer: SocketAddr,
    request: Request,
) -> Response<Body> {
    if deployment.is_none() {
        return models::bad_path(&gate, peer, request).await;
    }
    serve(endpoint, deployment, &gate, peer, request).await
}

async fn serve(
    endpoint: Endpoint,
    deployment: Option<String>,
    gate: &Arc<Gate>,
    peer: SocketAddr,
    request: Request,
) -> Response<Body> {
    let arrival = gate.arrive(peer.ip(), endpoint.api(), &request);
    let request_id = arrival.request_id.clone();
    let (parts, body) = request.into_parts();
    let mut at_the_door = AtTheDoor {
        gate: gate.clone(),
        arrival: Some(arrival),
        body: Some(body),
    };
    let admitted = match query::read(parts.uri.query()) {
        Ok(query) => {
            let address = Address {
                endpoint,
                deployment,
                query,
            };
            admit(&mut at_the_door, &address, &parts).await
        }
        Err(refusal) => Err(refusal),
    };
    let mut response = match admitted {
        Ok((exchange, sending)) => call(exchange, sending).await,
        Err(refusal) => {
            linger::read_away(&gate.tasks, at_the_door.body.take());
            match at_the_door.arrival.take() {
                Some(arrival) => gate.refuse(&arrival, &refusal).await,
                None => refusal.response(),
            }
        }
    };
    set_request_id(&mut response, &request_id);
    response
}

/// Calls the provider, again where its route says so, and answers the app.
async fn call(mut exchange: Exchange, sending: Sending) -> Response<Body> {
    let Some(state) = exchange.state() else {
        return broken_gateway();
    };
    state.expects = Expects {
        stream: sending.wants_stream,
        usage_for: sending.usage_for,
    };
    let whole_until = sending.whole_until;
    let mut called = reach(&mut exchange, sending.outgoing, whole_until).await;
    if let Some(again) = sending.again {
        // Apart, so that a request with one call is none the larger.
        called = Box::pin(repeat(&mut exchange, *again, called)).await;
    }
    match called {
        Ok(response) => answer(exchange, response, whole_until).await,
        Err(error) => unreachable_provider(&mut exchange, error).await,
    }
}

/// Calls again while the route says so. Gives what goes to the app.
async fn repeat(
    exchange: &mut Exchange,
    again: Again,
    mut called: Result<Answer, CallError>,
) -> Result<Answer, CallError> {
    loop {
        match again.after(exchange, called).await {
            Next::Call(next) => called = reach(exchange, next, again.whole_until).await,
            Next::Give(called) => return called,
        }
    }
}

/// Makes one call; ends with the head of its answer.
async fn reach(
    exchange: &mut Exchange,
    outgoing: Outgoing,
    whole_until: Instant,
) -> Result<Answer, CallError> {
    let state = exchange.state().ok_or(CallError::Broken)?;
    let first_byte = Duration::from_millis(state.snapshot.settings.first_byte_timeout_ms);
    let until = (Instant::now() + first_byte).min(whole_until);
    let Outgoing { url, headers, body } = outgoing;
    let (calling, line) = state.gate.upstream.post(url, headers, body);
    state.line = Some(line);
    state.call.started = Some(state.gate.clock.now());
    state.call.reached = true;
    state.stage = Stage::Calling(calling);
    tokio::select! {
        answered = poll_fn(|cx| match &mut state.stage {
            Stage::Calling(calling) => calling.as_mut().poll(cx),
            _ => std::task::Poll::Pending,
        }) => answered,
        () = sleep_until(until) => Err(CallError::Silent),
    }
}

async fn answer(mut exchange: Exchange, response: Answer, whole_until: Instant) -> Response<Body> {
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
        .filter(|_| !state.reader.may_change());
    let mut headers = to_app(parts.headers);
    if state.reader.may_change() {
        headers.remove(header::CONTENT_LENGTH);
    }
    if state.reader.unpacks() {
        headers.remove(header::CONTENT_ENCODING);
    }
    let Some(mut body) = MeteredBody::new(exchange, length, whole_until) else {
        return broken_gateway();
    };
    if length == Some(0) || has_no_body(parts.status) {
        body.finish_empty().await;
    }
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    response
}

/// Whether HTTP gives answers of this status no body, whatever their head says.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

async fn unreachable_provider(exchange: &mut Exchange, error: CallError) -> Response<Body> {
    if error != CallError::Silent
        && let Some(response) = unsent(exchange).await
    {
        return response;
    }
    let Some(state) = exchange.state() else {
        return broken_gateway();
    };
    let ending = state.note_failure(error);
    let (status, message) = match error {
        CallError::Silent => (
            504,
            "the provider did not begin to answer in time; try again",
        ),
        CallError::ConnectTimeout => (504, "the provider could not be reached in time; try again"),
        CallError::Unreachable | CallError::Broken => (
            502,
            "the provider could not be reached or closed the connection; try again",
        ),
    };
    if let Some(closed) = exchange.close_unanswered(ending, Some(status)) {
        closed.durable().await;
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    error_response(status, error.code(), message, None)
}

/// The call failed because the request's body did not come as it must.
async fn unsent(exchange: &mut Exchange) -> Option<Response<Body>> {
    let upload = exchange.state()?.asking.upload.clone()?;
    let fault = upload.fault()?;
    let closed = if matches!(fault, Refusal::BodyAborted) {
        exchange.close_unanswered(Ending::Cancelled(fault.code()), None)
    } else {
        let status = fault.status().as_u16();
        exchange.close_unanswered(Ending::Refused(fault.code()), Some(status))
    };
    if let Some(closed) = closed {
        closed.durable().await;
    }
    Some(fault.response())
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
