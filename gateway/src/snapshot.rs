//! One configuration, checked and ready to serve with. Requests hold the one they were admitted under.

mod backends;
mod keys;
mod retries;
mod routes;

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Uri};
use rustc_hash::FxHashMap;
use schemas::name::Text;
use schemas::{Capacity, Durability};
use sha2::{Digest, Sha256};

use crate::config::{Config, Limits, OnClientGone, Settings};
use crate::endpoint::Endpoint;
use crate::meter::dialect::Dialect;
use crate::meter::stream::UsageFor;
use crate::retry::Policy;

pub use backends::is_api_version;

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
    /// The model that it is.
    pub priced_as: String,
    /// The backend.
    pub backend: Arc<Backend>,
    /// What happens when the app goes away.
    pub on_client_gone: OnClientGone,
    /// When a record of it counts as kept, at least.
    pub durability: Durability,
    /// What a request may ask of it.
    pub limits: Limits,
    /// When a call is made again, if ever.
    pub retry: Option<Policy>,
    /// Where its endpoints are.
    urls: Vec<Uri>,
}

impl Route {
    /// When a record of it counts as kept: as its tenant was promised, or more.
    #[must_use]
    pub fn durability(&self, promised: Durability) -> Durability {
        if self.durability.number() > promised.number() {
            self.durability
        } else {
            promised
        }
    }

    /// Where an endpoint of it is. An app of Azure's versioned API names the version itself, and may have further
    /// parameters.
    #[must_use]
    pub fn url(&self, endpoint: Endpoint, asked: &Query) -> Uri {
        let usual = &self.urls[endpoint.index()];
        if asked.is_empty() {
            return usual.clone();
        }
        let backend = &self.backend;
        let version = backend.api_version.as_deref();
        let version = version.map(|version| asked.api_version.as_deref().unwrap_or(version));
        let mut url = routes::url(backend, &self.upstream_model, endpoint, version);
        if let Some(others) = &asked.others {
            url.push(if version.is_some() { '&' } else { '?' });
            url.push_str(others);
        }
        // What stands in a query was part of an address already.
        url.parse().unwrap_or_else(|_| usual.clone())
    }

    /// Whether the address names the model, so that the body need not.
    #[must_use]
    pub fn url_names_model(&self, endpoint: Endpoint) -> bool {
        self.backend.api_version.is_some() && endpoint.is_by_deployment()
    }
}

/// The query of a request's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The version of Azure's API.
    pub api_version: Option<String>,
    /// Everything else, as it stands.
    pub others: Option<String>,
}

impl Query {
    fn is_empty(&self) -> bool {
        self.api_version.is_none() && self.others.is_none()
    }
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
    /// Up to where its endpoints differ.
    pub base_url: String,
    /// The same, to see whether somebody answers there.
    pub door: Uri,
    /// It has Azure's versioned API: this version where the app names none.
    pub api_version: Option<String>,
    /// A streamed chat must ask for usage: it takes `stream_options.include_usage`, and does not always tell unasked. What
    /// is there for us only, where the app did not ask.
    pub stream_usage: Option<UsageFor>,
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
        let backends = backends::backends(&config.deployments)?;
        let (routes, models) = routes::routes(config, &backends)?;
        let digest: [u8; 32] = Sha256::digest(file.as_bytes()).into();
        if let Some(kafka) = &config.kafka {
            kafka.check().map_err(|error| BadConfig {
                needle: error.setting.to_owned(),
                message: error.to_string(),
            })?;
        }
        Ok(Self {
            settings: config.settings.clone(),
            keys: keys::keys(&config.tenants, &models, config.kafka.is_some())?,
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
