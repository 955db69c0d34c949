//! `GET /v1/models`: the models that this key may use. And every other path: refused, for it has no meter.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, Response, header};
use schemas::Api;
use serde_json::Value;

use crate::gate::{Gate, set_request_id};
use crate::linger;
use crate::refusal::Refusal;
use crate::snapshot::{Principal, Snapshot};

/// The longest path that an error repeats.
const MAX_SHOWN_PATH: usize = 64;

/// `GET /v1/models` and Azure's forms of it.
pub async fn list(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    answer(&gate, peer, request, |snapshot, principal| {
        let models = snapshot.models.iter();
        let usable = models.filter(|model| principal.may_use(model));
        let data: Vec<_> = usable.map(|model| shown(model)).collect();
        Ok(serde_json::json!({"object": "list", "data": data}))
    })
    .await
}

/// `GET /v1/models/{model}`
pub async fn one(
    model: Result<Path<String>, PathRejection>,
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let Ok(Path(model)) = model else {
        return bad_path(&gate, peer, request).await;
    };
    answer(&gate, peer, request, |snapshot, principal| {
        let name = || model.chars().take(MAX_SHOWN_PATH).collect();
        let route = snapshot
            .route(&model)
            .ok_or_else(|| Refusal::NoSuchModel(name()))?;
        if !principal.may_use(route.model.as_str()) {
            return Err(Refusal::ModelForbidden(name()));
        }
        Ok(shown(&model))
    })
    .await
}

fn shown(model: &str) -> Value {
    serde_json::json!({"id": model, "object": "model", "created": 0, "owned_by": "tollgate"})
}

async fn answer(
    gate: &Gate,
    peer: SocketAddr,
    request: Request,
    find: impl FnOnce(&Snapshot, &Principal) -> Result<Value, Refusal>,
) -> Response<Body> {
    let mut arrival = gate.arrive(peer.ip(), Api::Models, &request);
    let (head, body) = request.into_parts();
    linger::read_away(&gate.tasks, Some(body));
    let found = arrival
        .identify(&head)
        .and_then(|principal| find(&arrival.snapshot, &principal));
    let found = match found {
        Ok(found) => gate.record_local(&arrival, 200).await.map(|()| found),
        Err(refusal) => Err(refusal),
    };
    match found {
        Ok(found) => {
            let mut response = Response::new(Body::from(found.to_string()));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            set_request_id(&mut response, &arrival.request_id);
            response
        }
        Err(refusal) => gate.refuse(&arrival, &refusal).await,
    }
}

/// A metered path, by a method that it does not take.
pub async fn wrong_method(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let takes = if is_models(request.uri().path()) {
        "GET"
    } else {
        "POST"
    };
    refuse(&gate, peer, request, Refusal::WrongMethod(takes)).await
}

/// Every path without a meter.
pub async fn unmetered(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let method = request.method().as_str().chars().take(16).collect();
    let path = request.uri().path();
    let shown = path.chars().take(MAX_SHOWN_PATH).collect();
    let refusal = if is_provider_state(path) {
        Refusal::ProviderState {
            method,
            path: shown,
        }
    } else {
        Refusal::Unmetered {
            method,
            path: shown,
        }
    };
    refuse(&gate, peer, request, refusal).await
}

/// A path whose parts are not UTF-8.
pub async fn bad_path(gate: &Gate, peer: SocketAddr, request: Request) -> Response<Body> {
    refuse(gate, peer, request, Refusal::BadPath).await
}

async fn refuse(
    gate: &Gate,
    peer: SocketAddr,
    request: Request,
    refusal: Refusal,
) -> Response<Body> {
    let mut arrival = gate.arrive(peer.ip(), Api::Unmetered, &request);
    let (head, body) = request.into_parts();
    linger::read_away(&gate.tasks, Some(body));
    let refusal = arrival.identify(&head).err().unwrap_or(refusal);
    gate.refuse(&arrival, &refusal).await
}

/// A path of the API without what stands before it.
fn below_the_api(path: &str) -> Option<&str> {
    ["/v1/", "/openai/v1/", "/openai/"]
        .iter()
        .find_map(|base| path.strip_prefix(base))
}

fn is_models(path: &str) -> bool {
    below_the_api(path).is_some_and(|path| path.split('/').next() == Some("models"))
}

/// What the API keeps for its users: stored responses and chats, conversations, files and what is made of them.
const PROVIDER_STATE: &[&str] = &[
    "assistants",
    "batches",
    "containers",
    "conversations",
    "evals",
    "files",
    "fine_tuning",
    "fine-tunes",
    "skills",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];

fn is_provider_state(path: &str) -> bool {
    let Some(path) = below_the_api(path) else {
        return false;
    };
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    PROVIDER_STATE.contains(&first)
        || (first == "responses" && !rest.is_empty())
        || (first == "chat" && rest.starts_with("completions/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_at_the_provider_is_told_apart_from_what_is_unknown() {
        for path in [
            "/v1/responses/resp_1",
            "/v1/responses/resp_1/cancel",
            "/v1/chat/completions/chatcmpl-1",
            "/v1/files",
            "/openai/files",
            "/openai/v1/vector_stores/vs_1",
        ] {
            assert!(is_provider_state(path), "{path}");
        }
        for path in [
            "/v1/rerank",
            "/v1/chat/completions",
            "/files",
            "/v1/filesystem",
        ] {
            assert!(!is_provider_state(path), "{path}");
        }
    }
}
