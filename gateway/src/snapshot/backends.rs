//! Deployments: where a backend's endpoints are, how it words its usage, with what credential it is called.

use std::path::Path;
use std::sync::Arc;

use axum::http::uri::InvalidUri;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use rustc_hash::FxHashMap;

use super::{Backend, BadConfig, bad, optional, text};
use crate::config::{Deployment, UpstreamAuth};
use crate::meter::dialect::Dialect;

pub(super) fn backends(
    deployments: &[Deployment],
) -> Result<FxHashMap<String, Arc<Backend>>, BadConfig> {
    let mut backends = FxHashMap::default();
    for deployment in deployments {
        let backend = Arc::new(backend(deployment)?);
        if backends.insert(deployment.id.clone(), backend).is_some() {
            return Err(bad(
                &deployment.id,
                format!("deployment `{}` stands twice", deployment.id),
            ));
        }
    }
    Ok(backends)
}

fn backend(deployment: &Deployment) -> Result<Backend, BadConfig> {
    let base_url = deployment.base_url.trim_end_matches('/');
    let door: Uri = base_url.parse().map_err(|error: InvalidUri| {
        bad(
            &deployment.base_url,
            format!("deployment `{}`: base_url: {error}", deployment.id),
        )
    })?;
    if !matches!(door.scheme_str(), Some("http" | "https")) {
        let message = format!(
            "deployment `{}`: base_url must begin with http:// or https://",
            deployment.id
        );
        return Err(bad(&deployment.base_url, message));
    }
    if door.query().is_some() {
        let message = format!(
            "deployment `{}`: base_url must have no query; name Azure's version as api_version",
            deployment.id
        );
        return Err(bad(&deployment.base_url, message));
    }
    let by_provider = || Dialect::of_provider(&deployment.provider);
    let dialect = deployment.dialect.unwrap_or_else(by_provider);
    Ok(Backend {
        id: text(&deployment.id)?,
        provider: text(&deployment.provider)?,
        dialect,
        region: optional(deployment.region.as_ref())?,
        data_zone: optional(deployment.data_zone.as_ref())?,
        capacity: deployment.capacity,
        base_url: base_url.to_owned(),
        door,
        api_version: api_version(deployment)?,
        stream_usage: dialect.asks_usage_for().filter(|_| deployment.stream_usage),
        synthetic: deployment.synthetic,
        credential: credential(deployment)?,
    })
}

fn api_version(deployment: &Deployment) -> Result<Option<String>, BadConfig> {
    let Some(version) = &deployment.api_version else {
        return Ok(None);
    };
    if !is_api_version(version) {
        let message = format!(
            "deployment `{}`: api_version must be a date such as `2024-10-21`, or `preview`",
            deployment.id
        );
        return Err(bad(version, message));
    }
    Ok(Some(version.clone()))
}

/// Whether this can be a version of Azure's API: a date, perhaps with `-preview`, or a word.
pub fn is_api_version(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn credential(deployment: &Deployment) -> Result<Option<(HeaderName, HeaderValue)>, BadConfig> {
    let fail = |message: String| {
        Err(bad(
            &deployment.id,
            format!("deployment `{}`: {message}", deployment.id),
        ))
    };
    let secret = match (
        deployment.auth,
        &deployment.api_key_env,
        &deployment.api_key_file,
    ) {
        (UpstreamAuth::None, None, None) => return Ok(None),
        (UpstreamAuth::None, _, _) => {
            return fail("auth = \"none\" and a credential exclude each other".into());
        }
        (_, Some(name), None) => match std::env::var(name) {
            Ok(secret) => secret,
            Err(_) => return fail(format!("environment variable {name} is not set")),
        },
        (_, None, Some(path)) => match read_secret(path) {
            Ok(secret) => secret,
            Err(error) => return fail(format!("cannot read {}: {error}", path.display())),
        },
        _ => {
            return fail(
                "name its credential: api_key_env or api_key_file, or auth = \"none\"".into(),
            );
        }
    };
    if secret.trim().is_empty() {
        return fail("its credential is empty".into());
    }
    let (name, value) = match deployment.auth {
        UpstreamAuth::ApiKey => (HeaderName::from_static("api-key"), secret.trim().to_owned()),
        _ => (header::AUTHORIZATION, format!("Bearer {}", secret.trim())),
    };
    let Ok(mut value) = HeaderValue::from_str(&value) else {
        return fail("its credential has characters that no header may have".into());
    };
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

fn read_secret(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}
