//! The paths that are served. Everything else is refused: no route without a meter.
//!
//! What nearly every request is, a `POST` to a path that is written in its usual way, is found in a table; all the rest of HTTP
//! (other methods, escaped names, lists of models, what is refused) is the router's. Whatever the table knows the router knows too.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{Method, Response};
use axum::routing::{get, post};
use rustc_hash::FxHashMap;
use tower::ServiceExt as _;

use crate::endpoint::Endpoint;
use crate::gate::Gate;
use crate::{forward, models};

/// Before the name of a deployment, in Azure's paths.
const DEPLOYMENTS: &str = "/openai/deployments/";

/// What serves a path.
pub struct Paths {
    gate: Arc<Gate>,
    table: Table,
    router: Router,
}

/// The usual paths.
struct Table {
    whole: FxHashMap<String, Endpoint>,
    below_deployment: FxHashMap<&'static str, Endpoint>,
}

impl Paths {
    /// Those of all endpoints.
    pub fn new(gate: Arc<Gate>) -> Self {
        Self {
            table: Table::new(),
            router: router(gate.clone()),
            gate,
        }
    }

    /// Answers a request.
    pub async fn answer(&self, peer: SocketAddr, mut request: Request) -> Response<Body> {
        if let Some((endpoint, deployment)) =
            self.table.find(request.method(), request.uri().path())
        {
            let gate = self.gate.clone();
            return match deployment {
                None => forward::by_body(endpoint, gate, peer, request).await,
                named => forward::by_deployment(endpoint, named, gate, peer, request).await,
            };
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        let Ok(response) = self.router.clone().oneshot(request).await;
        response
    }
}

impl Table {
    fn new() -> Self {
        let whole =
            Endpoint::all().flat_map(|endpoint| endpoint.paths().map(move |path| (path, endpoint)));
        let below_deployment = Endpoint::all()
            .filter(|endpoint| endpoint.is_by_deployment())
            .map(|endpoint| (endpoint.path(), endpoint));
        Self {
            whole: whole.collect(),
            below_deployment: below_deployment.collect(),
        }
    }

    /// The endpoint of an ordinary request, and the deployment that its path names.
    fn find(&self, method: &Method, path: &str) -> Option<(Endpoint, Option<String>)> {
        if method != Method::POST {
            return None;
        }
        if let Some(endpoint) = self.whole.get(path) {
            return Some((*endpoint, None));
        }
        let (deployment, rest) = path.strip_prefix(DEPLOYMENTS)?.split_once('/')?;
        let endpoint = self.below_deployment.get(rest)?;
        let is_plain = !deployment.is_empty() && !deployment.contains('%');
        is_plain.then(|| (*endpoint, Some(deployment.to_owned())))
    }
}

fn router(gate: Arc<Gate>) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::all() {
        let by_body = post(
            move |State(gate), ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
                forward::by_body(endpoint, gate, peer, request)
            },
        );
        let by_body = by_body.fallback(models::wrong_method);
        for path in endpoint.paths() {
            router = router.route(&path, by_body.clone());
        }
        if let Some(path) = endpoint.deployment_path() {
            let by_deployment = post(
                move |deployment: Result<Path<String>, PathRejection>,
                      State(gate),
                      ConnectInfo(peer): ConnectInfo<SocketAddr>,
                      request: Request| {
                    let deployment = deployment.ok().map(|Path(name)| name);
                    forward::by_deployment(endpoint, deployment, gate, peer, request)
                },
            );
            router = router.route(&path, by_deployment.fallback(models::wrong_method));
        }
    }
    let list = get(models::list).fallback(models::wrong_method);
    let one = get(models::one).fallback(models::wrong_method);
    for base in ["/v1", "/openai/v1", "/openai"] {
        router = router
            .route(&format!("{base}/models"), list.clone())
            .route(&format!("{base}/models/{{*model}}"), one.clone());
    }
    router.fallback(models::unmetered).with_state(gate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_path_in_its_usual_form() {
        let table = Table::new();
        for endpoint in Endpoint::all() {
            for path in endpoint.paths() {
                assert_eq!(table.find(&Method::POST, &path), Some((endpoint, None)));
                assert_eq!(table.find(&Method::GET, &path), None);
            }
            if let Some(path) = endpoint.deployment_path() {
                let path = path.replace("{deployment}", "gpt-4.1");
                let named = Some("gpt-4.1".to_owned());
                assert_eq!(table.find(&Method::POST, &path), Some((endpoint, named)));
            }
        }
    }

    #[test]
    fn what_is_written_in_another_way_is_left_to_the_router() {
        let table = Table::new();
        for path in [
            "/v1/chat/completions/",
            "//v1/chat/completions",
            "/v1/chat%2Fcompletions",
            "/v1/models",
            "/v1/files",
            "/openai/deployments//chat/completions",
            "/openai/deployments/a/b/chat/completions",
            "/openai/deployments/a%20b/chat/completions",
            "/openai/deployments/a/responses",
            "/openai/deployments/a",
        ] {
            assert_eq!(table.find(&Method::POST, path), None, "{path}");
        }
    }
}
