//! One configuration, checked and ready to serve with. Requests hold the one they were admitted under.

use std::path::Path;
use std::sync::Arc;

use axum::http::uri::InvalidUri;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use rustc_hash::FxHashMap;
use schemas::event::MAX_LABELS;
use schemas::name::Text;
use schemas::{Capacity, Durability};
use sha2::{Digest, Sha256};

use crate::config::{
    Config, Deployment, Key, OnClientGone, Project, Settings, Tenant, UpstreamAuth,
};
use crate::meter::dialect::Dialect;

/// A configuration to serve with.
#[derive(Debug)]
pub struct Snapshot {
    /// Doors, limits, times.
    pub settings: Settings,
    /// By SHA-256 of the secret.
    keys: FxHashMap<[u8; 32], Arc<Principal>>,
    /// By public name and alias.
    routes: FxHashMap<String, Arc<Route>>,
    /// Public names in the order of the file.
    pub models: Vec<String>,
    /// Short digest of the file.
    pub digest: Text,
    /// Every backend's traffic is demo or self-test traffic, and so are the refusals beside it.
    pub all_synthetic: bool,
}

/// What a verified credential stands for.
#[derive(Debug)]
pub struct Principal {
    /// Who pays.
    pub tenant: Text,
    /// What for.
    pub project: Text,
    /// Which credential.
    pub key_id: Text,
    /// When its records count as kept.
    pub durability: Durability,
    /// What the tenant's apps may claim.
    pub labels: Vec<AllowedLabel>,
    /// Refused while true.
    pub disabled: bool,
    models: Vec<String>,
}

impl Principal {
    /// Whether the credential may use the route with this public name.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|allowed| allowed == model)
    }
}

/// A claim that a tenant allows.
#[derive(Debug)]
pub struct AllowedLabel {
    /// Its name in the record.
    pub name: Text,
    /// The header that carries it.
    pub header: HeaderName,
    /// Kept as it is.
    pub plain: bool,
}

/// How a public model name is served.
#[derive(Debug)]
pub struct Route {
    /// The public name.
    pub model: Text,
    /// The name the backend knows.
    pub upstream_model: String,
    /// The backend.
    pub backend: Arc<Backend>,
    /// What happens when the app goes away.
    pub on_client_gone: OnClientGone,
}

/// One concrete backend.
#[derive(Debug)]
pub struct Backend {
    /// Its name.
    pub id: Text,
    /// Who runs it.
    pub provider: Text,
    /// How it words its usage.
    pub dialect: Dialect,
    /// Where it runs.
    pub region: Option<Text>,
    /// Global, zone or region.
    pub data_zone: Option<Text>,
    /// How its capacity is paid.
    pub capacity: Capacity,
    /// Where chats go.
    pub chat_url: Uri,
    /// Whether a streamed chat must ask for usage: it takes `stream_options.include_usage`, and does not tell
    /// unasked.
    pub stream_usage: bool,
    /// Its traffic is on no bill.
    pub synthetic: bool,
    /// The credential, marked sensitive: it never shows in a log.
    pub credential: Option<(HeaderName, HeaderValue)>,
}

/// Two parts of the file do not go together.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BadConfig {
    /// A text of the file near which the fault stands.
    pub needle: String,
    /// What is wrong, and the way out.
    pub message: String,
}

fn bad(needle: &str, message: String) -> BadConfig {
    BadConfig {
        needle: format!("\"{needle}\""),
        message,
    }
}

fn text(value: &str) -> Result<Text, BadConfig> {
    if value.is_empty() {
        return Err(bad(value, "an id must not be empty".into()));
    }
    Text::new(value).map_err(|error| bad(value, error.to_string()))
}

fn optional(value: Option<&String>) -> Result<Option<Text>, BadConfig> {
    value.map(|value| text(value)).transpose()
}

impl Snapshot {
    /// Checks `config`, reads the secrets it names, and makes it ready. `file` is the text it came from.
    pub fn compile(config: &Config, file: &str) -> Result<Self, BadConfig> {
        let backends = backends(&config.deployments)?;
        let (routes, models) = routes(config, &backends)?;
        let digest: [u8; 32] = Sha256::digest(file.as_bytes()).into();
        Ok(Self {
            settings: config.settings.clone(),
            keys: keys(&config.tenants, &models)?,
            routes,
            models,
            all_synthetic: !config.deployments.is_empty()
                && config
                    .deployments
                    .iter()
                    .all(|deployment| deployment.synthetic),
            digest: Text::cut(&hex::encode(&digest[..6])),
        })
    }

    /// Who this secret names.
    #[must_use]
    pub fn principal(&self, secret: &[u8]) -> Option<&Arc<Principal>> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        self.keys.get(&digest)
    }

    /// Every backend that a route leads to.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.routes.values().map(|route| &route.backend)
    }

    /// How this name is served.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(name)
    }
}

fn backends(deployments: &[Deployment]) -> Result<FxHashMap<String, Arc<Backend>>, BadConfig> {
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
    let url = format!(
        "{}/chat/completions",
        deployment.base_url.trim_end_matches('/')
    );
    let chat_url: Uri = url.parse().map_err(|error: InvalidUri| {
        bad(
            &deployment.base_url,
            format!("deployment `{}`: base_url: {error}", deployment.id),
        )
    })?;
    if !matches!(chat_url.scheme_str(), Some("http" | "https")) {
        let message = format!(
            "deployment `{}`: base_url must begin with http:// or https://",
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
        chat_url,
        stream_usage: deployment.stream_usage && dialect.tells_stream_usage_only_if_asked(),
        synthetic: deployment.synthetic,
        credential: credential(deployment)?,
    })
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

type Routes = (FxHashMap<String, Arc<Route>>, Vec<String>);

fn routes(
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
        let served = Arc::new(Route {
            model: text(&route.model)?,
            upstream_model: route
                .upstream_model
                .clone()
                .unwrap_or_else(|| route.model.clone()),
            backend: backend.clone(),
            on_client_gone: route.on_client_gone,
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

/// Two entries of one name would be one on the bill, with the settings of either.
fn each_once<'a>(what: &str, ids: impl Iterator<Item = &'a String>) -> Result<(), BadConfig> {
    let mut seen = std::collections::HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(bad(id, format!("{what} `{id}` stands twice")));
        }
    }
    Ok(())
}

fn keys(
    tenants: &[Tenant],
    models: &[String],
) -> Result<FxHashMap<[u8; 32], Arc<Principal>>, BadConfig> {
    let mut keys = FxHashMap::default();
    let mut key_ids = std::collections::HashSet::new();
    each_once("tenant", tenants.iter().map(|tenant| &tenant.id))?;
    for tenant in tenants {
        each_once("project", tenant.projects.iter().map(|project| &project.id))?;
        each_once("label", tenant.labels.iter().map(|label| &label.name))?;
        if tenant.labels.len() > MAX_LABELS {
            let message = format!("tenant `{}`: more than {MAX_LABELS} labels", tenant.id);
            return Err(bad(&tenant.id, message));
        }
        if tenant.durability == Durability::Replicated {
            let message = format!(
                "tenant `{}`: durability `replicated` needs a Kafka log; use written or synced",
                tenant.id
            );
            return Err(bad(&tenant.id, message));
        }
        for (project, key) in tenant
            .projects
            .iter()
            .flat_map(|p| p.keys.iter().map(move |k| (p, k)))
        {
            if !key_ids.insert(&key.id) {
                return Err(bad(&key.id, format!("key `{}` stands twice", key.id)));
            }
            let principal = Arc::new(principal(tenant, project, key, models)?);
            if keys.insert(secret_digest(key)?, principal).is_some() {
                return Err(bad(
                    &key.id,
                    format!("key `{}` has the secret of another key", key.id),
                ));
            }
        }
    }
    Ok(keys)
}

fn principal(
    tenant: &Tenant,
    project: &Project,
    key: &Key,
    models: &[String],
) -> Result<Principal, BadConfig> {
    if let Some(model) = key.models.iter().find(|model| !models.contains(model)) {
        return Err(bad(
            model,
            format!("key `{}`: there is no route for model `{model}`", key.id),
        ));
    }
    let labels = tenant.labels.iter().map(|label| {
        let header = label.header.parse().map_err(|_| {
            bad(
                &label.header,
                format!(
                    "label `{}`: `{}` is not a header name",
                    label.name, label.header
                ),
            )
        })?;
        Ok(AllowedLabel {
            name: text(&label.name)?,
            header,
            plain: label.plain,
        })
    });
    Ok(Principal {
        tenant: text(&tenant.id)?,
        project: text(&project.id)?,
        key_id: text(&key.id)?,
        durability: tenant.durability,
        labels: labels.collect::<Result<_, BadConfig>>()?,
        disabled: key.disabled,
        models: key.models.clone(),
    })
}

fn secret_digest(key: &Key) -> Result<[u8; 32], BadConfig> {
    let mut digest = [0; 32];
    hex::decode_to_slice(&key.sha256, &mut digest).map_err(|_| {
        let message = format!(
            "key `{}`: sha256 must be 64 hex digits: the SHA-256 of its secret",
            key.id
        );
        bad(&key.id, message)
    })?;
    Ok(digest)
}
