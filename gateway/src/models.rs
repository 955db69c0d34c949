//! `GET /v1/models`: the models that this key may use. And every other path: refused, for it has no meter.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Response, header};
use schemas::Api;

use crate::gate::{Gate, set_request_id};
use crate::refusal::Refusal;

/// The longest path that an error repeats.
const MAX_SHOWN_PATH: usize = 64;

/// `GET /v1/models`
pub async fn list(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let mut arrival = gate.arrive(peer.ip(), Api::Models);
    let answer = match arrival.authenticate(request.headers()) {
        Ok(principal) => {
            let snapshot = &arrival.snapshot;
            let models: Vec<_> = snapshot
                .models
                .iter()
                .filter(|model| principal.may_use(model))
                .collect();
            gate.record_local(&arrival, 200)
                .map(|()| models_response(&models))
        }
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(mut response) => {
            set_request_id(&mut response, &arrival.request_id);
            response
        }
        Err(refusal) => gate.refuse(&arrival, &refusal),
    }
}

fn models_response(models: &[&String]) -> Response<Body> {
    let data: Vec<_> = models
        .iter()
        .map(|id| serde_json::json!({"id": id, "object": "model", "created": 0, "owned_by": "tollgate"}))
        .collect();
    let body = serde_json::json!({"object": "list", "data": data}).to_string();
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A metered path, by a method that it does not take.
pub async fn wrong_method(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let takes = if request.uri().path() == "/v1/models" {
        "GET"
    } else {
        "POST"
    };
    refuse(&gate, peer, &request, Refusal::WrongMethod(takes))
}

/// Every path without a meter.
pub async fn unmetered(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let refusal = Refusal::Unmetered {
        method: request.method().as_str().chars().take(16).collect(),
        path: request.uri().path().chars().take(MAX_SHOWN_PATH).collect(),
    };
    refuse(&gate, peer, &request, refusal)
}

fn refuse(gate: &Gate, peer: SocketAddr, request: &Request, refusal: Refusal) -> Response<Body> {
    let mut arrival = gate.arrive(peer.ip(), Api::Unmetered);
    let refusal = arrival
        .authenticate(request.headers())
        .err()
        .unwrap_or(refusal);
    gate.refuse(&arrival, &refusal)
}
