//! Routes: how a public model name is served, and where each endpoint of it is.

use std::sync::Arc;

use axum::http::Uri;
use rustc_hash::FxHashMap;
use schemas::Durability;

use super::{Backend, BadConfig, Route, bad, retries, text};
use crate::config::Config;
use crate::endpoint::Endpoint;

pub(super) type Routes = (FxHashMap<String, Arc<Route>>, Vec<String>);

pub(super) fn routes(
    config: &Config,
    backends: &FxHashMap<String, Arc<Backend>>,
) -> Result<Routes, BadConfig> {
    let mut routes = FxHashMap::default();
    for route in &config.routes {
        let Some(backend) = backends.get(&route.deployment) else {
            let message = format!(
                "route `{}`: there is no deployment `{}`",
                route.model, route.deployment
            );
            return Err(bad(&route.deployment, message));
        };
        if route.durability == Some(Durability::Replicated) && config.kafka.is_none() {
            let message = format!(
                "route `{}`: durability `replicated` needs a Kafka log: configure `[log] kafka` and run `tollgate gateway`, or use written or synced",
                route.model
            );
            return Err(bad(&route.model, message));
        }
        let upstream_model = route.upstream_model.as_ref().unwrap_or(&route.model);
        let urls = urls(backend, upstream_model).map_err(|message| {
            bad(
                upstream_model,
                format!("route `{}`: {message}", route.model),
            )
        })?;
        let served = Arc::new(Route {
            model: text(&route.model)?,
            upstream_model: upstream_model.clone(),
            priced_as: route.priced_as.as_ref().unwrap_or(upstream_model).clone(),
            backend: backend.clone(),
            on_client_gone: route.on_client_gone,
            durability: route.durability.unwrap_or(Durability::Written),
            limits: route.limits.clone(),
            retry: retries::policy(route)?,
            urls,
        });
        for name in std::iter::once(&route.model).chain(&route.aliases) {
            if routes.insert(name.clone(), served.clone()).is_some() {
                return Err(bad(
                    name,
                    format!("model name `{name}` is given to two routes"),
                ));
            }
        }
    }
    Ok((
        routes,
        config
            .routes
            .iter()
            .map(|route| route.model.clone())
            .collect(),
    ))
}

/// Where each endpoint of a model is, in the order of their numbers.
fn urls(backend: &Backend, upstream_model: &str) -> Result<Vec<Uri>, String> {
    Endpoint::all()
        .map(|endpoint| {
            let version = backend.api_version.as_deref();
            url(backend, upstream_model, endpoint, version)
                .parse()
                .map_err(|error| format!("its address is none: {error}"))
        })
        .collect()
}

/// The address of an endpoint of a model. Azure's versioned API names the deployment in the path, which there is the
/// model; everything else has one path an endpoint.
pub(super) fn url(
    backend: &Backend,
    upstream_model: &str,
    endpoint: Endpoint,
    api_version: Option<&str>,
) -> String {
    let (base, path) = (&backend.base_url, endpoint.path());
    let Some(version) = api_version else {
        return format!("{base}/{path}");
    };
    if !endpoint.is_by_deployment() {
        return format!("{base}/openai/{path}?api-version={version}");
    }
    let deployment = percent_encoding::utf8_percent_encode(upstream_model, SEGMENT);
    format!("{base}/openai/deployments/{deployment}/{path}?api-version={version}")
}

/// What a segment of a path must not have as it is.
const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
