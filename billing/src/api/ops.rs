//! The operators' door: `/livez`, `/readyz` and `/metrics`, on a port of its own, open until the very end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use store::StoreError;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::api::service::Service;

/// How long the store may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);
/// Needs the store, its database, its tables and the right to read them.
const PROBE: &str = "SELECT count() FROM cuts WHERE 0";

#[derive(Clone)]
struct Ops {
    service: Arc<Service>,
    registry: Arc<Registry>,
}

/// Serves until the last answer of the service has ended.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>, registry: Arc<Registry>) {
    let stop = service.hurry.clone();
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Ops { service, registry });
    runtime::operators::serve(listener, stop, move |request| {
        router.clone().oneshot(request.map(Body::new))
    })
    .await;
}

/// Ready is who can answer: not stopping, and the ledger can be read.
async fn readyz(State(ops): State<Ops>) -> (StatusCode, &'static str) {
    let unready = |text| (StatusCode::SERVICE_UNAVAILABLE, text);
    if ops.service.is_stopping() {
        return unready("stopping\n");
    }
    match probe(&ops.service).await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::debug!(%error, "not ready");
            unready("the ledger cannot be read: the store is away, or has no tables\n")
        }
    }
}

async fn probe(service: &Service) -> Result<(), StoreError> {
    let client = service.client.bounded(PATIENCE);
    client.query_bytes(PROBE, "TabSeparated").await.map(drop)
}

async fn metrics(State(ops): State<Ops>) -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &ops.registry) {
        Ok(()) => (StatusCode::OK, kind, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, kind, error.to_string()),
    }
}
