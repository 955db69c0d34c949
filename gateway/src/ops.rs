//! The operators' door: `/livez`, `/readyz`, `/backends`, `/metrics`, `/coverage`, on a port of its own; and `/gaps`, where
//! another part of the process looks for missing records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use parking_lot::RwLock;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::gate::Gate;
use crate::publish::Replicas;

/// What the operators' door shows.
pub struct Ops {
    /// Whether new requests are welcome.
    pub ready: AtomicBool,
    /// All metrics of the process, a registry for each part.
    pub registries: RwLock<Vec<Arc<Registry>>>,
    /// For the journal's state.
    pub gate: Arc<Gate>,
    /// What the part that looks for missing records says, as JSON.
    pub gaps: RwLock<Option<Page>>,
}

/// What another part of the process shows.
pub type Page = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, ops: Arc<Ops>, stop: CancellationToken) {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .route("/backends", get(backends))
        .route("/metrics", get(metrics))
        .route("/coverage", get(coverage))
        .route("/gaps", get(gaps))
        .with_state(ops);
    runtime::operators::serve(listener, stop, move |request| {
        router.clone().oneshot(request.map(Body::new))
    })
    .await;
}

fn readyz(ops: &Ops) -> (StatusCode, &'static str) {
    if ops.gate.ledger.journal().stats().poisoned {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the journal is poisoned: restart\n",
        );
    }
    if !ops.gate.ledger.journal().has_room() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the journal is full: free disk space or raise journal.capacity_mib\n",
        );
    }
    if !ops.ready.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if ops.gate.backends.none_answers() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "no provider can be reached\n",
        );
    }
    (StatusCode::OK, "ok\n")
}

/// How the log goes, beside the word: without Kafka requests are served and records wait in the journal.
async fn readiness(ops: State<Arc<Ops>>) -> impl IntoResponse {
    let log = ops.gate.replicas.as_ref().map(Replicas::state);
    let (status, word) = readyz(&ops.0);
    (
        status,
        log.map_or(word.to_owned(), |log| format!("{word}{log}\n")),
    )
}

async fn backends(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    axum::Json(ops.gate.backends.all())
}

/// Answers that the tests read, by endpoint, dialect and mode; written by the tests themselves.
const COVERAGE: &str = include_str!("../corpus/coverage.json");

async fn coverage() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], COVERAGE)
}

async fn gaps(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let page = ops.gaps.read().clone();
    let kind = [(header::CONTENT_TYPE, "application/json")];
    match page {
        Some(page) => (StatusCode::OK, kind, page()),
        None => (
            StatusCode::NOT_FOUND,
            kind,
            r#"{"error":"the consumer looks for missing records; ask it"}"#.to_owned(),
        ),
    }
}

async fn metrics(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    match encode(&ops.registries.read()) {
        Ok(text) => (StatusCode::OK, kind, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, kind, error.to_string()),
    }
}

/// One text of several registries: each ends with an end mark of its own, and only the last may.
fn encode(registries: &[Arc<Registry>]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for registry in registries {
        prometheus_client::encoding::text::encode_registry(&mut text, registry)?;
    }
    prometheus_client::encoding::text::encode_eof(&mut text)?;
    Ok(text)
}
