//! What the configuration file says to the gateway. Secrets are named here, never held.
//!
//! Turning it into something to serve with, and all checks between its parts, is `snapshot`'s.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemas::{Capacity, Durability};
use serde::Deserialize;

use crate::meter::dialect::Dialect;

/// The gateway's part of the file.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[gateway]`
    pub settings: Settings,
    /// `[[deployments]]`
    pub deployments: Vec<Deployment>,
    /// `[[routes]]`
    pub routes: Vec<Route>,
    /// `[[tenants]]`
    pub tenants: Vec<Tenant>,
    /// `[log] kafka`: where the journal is published, if it is.
    pub kafka: Option<crate::publish::Kafka>,
}

/// `[gateway]`: doors, limits, times.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where apps call.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops_listen: SocketAddr,
    /// Threads that serve; 0 for one a processor.
    pub workers: usize,
    /// Connections at once; further ones wait in the kernel.
    pub max_connections: usize,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// All request bodies in memory at once, in MiB; beyond it requests are refused with 503.
    pub max_bodies_mib: usize,
    /// All forms kept for a further call at once, in MiB; beyond it a form is not kept, and its call is not made again.
    pub max_replay_mib: usize,
    /// Where this gateway runs, in the words of the deployments' regions.
    pub region: Option<String>,
    /// The largest request head, in bytes.
    pub max_head_bytes: usize,
    /// The most headers in a request.
    pub max_headers: usize,
    /// The deepest nesting of a request body.
    pub max_json_depth: usize,
    /// Time for a request's head, and for an idle connection's next one, in milliseconds.
    pub head_timeout_ms: u64,
    /// Time for a request's body, in milliseconds.
    pub body_timeout_ms: u64,
    /// Time to connect to a provider, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time until a provider's first byte, in milliseconds.
    pub first_byte_timeout_ms: u64,
    /// Time between two pieces of an answer, in milliseconds.
    pub between_chunks_timeout_ms: u64,
    /// Time for a whole request, in milliseconds.
    pub total_timeout_ms: u64,
    /// How long a stop waits for running answers and drains, in milliseconds.
    pub stop_timeout_ms: u64,
    /// How long a stop stays reachable but unready before it closes the door, in milliseconds.
    pub unready_ms: u64,
    /// Reading on after the app has gone.
    pub drain: Drain,
    /// Refusals of strangers written one by one, a second and source; more are folded.
    pub stranger_records_per_second: u32,
    /// Tokens reserved for an answer whose request names no maximum.
    pub default_max_output_tokens: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            workers: 0,
            max_connections: 16_384,
            max_body_bytes: 32 << 20,
            max_bodies_mib: 256,
            max_replay_mib: 1_024,
            region: None,
            max_head_bytes: 32 << 10,
            max_headers: 80,
            max_json_depth: 128,
            head_timeout_ms: 75_000,
            body_timeout_ms: 120_000,
            connect_timeout_ms: 5_000,
            first_byte_timeout_ms: 300_000,
            between_chunks_timeout_ms: 120_000,
            total_timeout_ms: 1_800_000,
            stop_timeout_ms: 90_000,
            unready_ms: 0,
            drain: Drain::default(),
            stranger_records_per_second: 10,
            default_max_output_tokens: 4_096,
        }
    }
}

/// Bounds of reading on after the app has gone.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// Seconds for one.
    pub seconds: u64,
    /// Tokens for one.
    pub tokens: u64,
    /// How many at once.
    pub at_once: usize,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            seconds: 60,
            tokens: 8_192,
            at_once: 256,
        }
    }
}

/// `[[deployments]]`: one concrete backend.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Its name.
    pub id: String,
    /// Who runs it; with the model it picks the price.
    pub provider: String,
    /// How it words its usage; by its provider's name if absent.
    pub dialect: Option<Dialect>,
    /// Up to and with `/v1`; of Azure's versioned API, up to and without `/openai`.
    pub base_url: String,
    /// It has Azure's versioned API (`/openai/deployments/…?api-version=…`), in this version where an app names none.
    pub api_version: Option<String>,
    /// How its credential is given.
    #[serde(default)]
    pub auth: UpstreamAuth,
    /// Environment variable that holds the credential.
    pub api_key_env: Option<String>,
    /// File that holds the credential.
    pub api_key_file: Option<PathBuf>,
    /// Where it runs.
    pub region: Option<String>,
    /// Global, zone or region.
    pub data_zone: Option<String>,
    /// How its capacity is paid.
    #[serde(default = "paygo")]
    pub capacity: Capacity,
    /// Whether it takes `stream_options.include_usage`.
    #[serde(default = "yes")]
    pub stream_usage: bool,
    /// Traffic to it is demo or self-test traffic and on no bill.
    #[serde(default)]
    pub synthetic: bool,
}

fn paygo() -> Capacity {
    Capacity::Paygo
}

fn yes() -> bool {
    true
}

/// How a provider takes its credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamAuth {
    /// `Authorization: Bearer …`
    #[default]
    Bearer,
    /// `api-key: …`
    ApiKey,
    /// It takes none.
    None,
}

/// `[[routes]]`: how a public model name is served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name apps ask for.
    pub model: String,
    /// Further names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The backend.
    pub deployment: String,
    /// The name the backend knows; the public one if absent.
    pub upstream_model: Option<String>,
    /// The model that it is, where the backend's name for it is another, as that of an Azure deployment: what is priced
    /// where an answer names no model. [`Self::upstream_model`] if absent.
    pub priced_as: Option<String>,
    /// What happens when the app goes away.
    #[serde(default)]
    pub on_client_gone: OnClientGone,
    /// When a record of it counts as kept, where that is more than its tenant was promised.
    pub durability: Option<Durability>,
    /// What a request may ask of it.
    #[serde(default)]
    pub limits: Limits,
    /// When a call is made again; never if absent.
    pub retry: Option<Retry>,
}

/// `[routes.retry]`: when a call is made again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most calls for one request.
    pub attempts: i64,
    /// After which failures.
    #[serde(default = "safe_failures")]
    pub on: Vec<String>,
    /// The longest first pause, in milliseconds; it doubles with each call.
    #[serde(default = "backoff_ms")]
    pub backoff_ms: u64,
    /// The longest pause that is not asked for, in milliseconds.
    #[serde(default = "backoff_max_ms")]
    pub backoff_max_ms: u64,
    /// The longest pause that a provider may ask for, in milliseconds.
    #[serde(default = "retry_after_max_ms")]
    pub retry_after_max_ms: u64,
}

/// In these the provider had nothing, or says that it did not take the request.
fn safe_failures() -> Vec<String> {
    ["connect", "429", "503"].map(str::to_owned).into()
}

fn backoff_ms() -> u64 {
    200
}

fn backoff_max_ms() -> u64 {
    2_000
}

fn retry_after_max_ms() -> u64 {
    5_000
}

/// `[routes.limits]`: the most that one request may ask. Nothing is bounded that is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Tokens of one answer.
    pub max_output_tokens: Option<i64>,
    /// Answers.
    pub n: Option<i64>,
    /// Answers that the best is chosen from.
    pub best_of: Option<i64>,
    /// Tokens of the input, counted here where the body is long enough to have so many.
    pub context_tokens: Option<i64>,
    /// Bytes of the body.
    pub body_bytes: Option<usize>,
    /// What happens to a count above its bound. A body or a context that is too long is always refused.
    pub when_over: WhenOver,
}

/// What happens to a request that asks for more than it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenOver {
    /// 400.
    #[default]
    Refuse,
    /// The count is set to its bound, and the record says so.
    Clamp,
}

/// What happens to a running answer when its app has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnClientGone {
    /// Read on, within bounds, to the provider's usage figure.
    #[default]
    Drain,
    /// Close the call and count what came.
    Cancel,
}

/// `[[tenants]]`: who pays.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name.
    pub id: String,
    /// When a record counts as kept.
    #[serde(default = "written")]
    pub durability: Durability,
    /// What its apps may claim about themselves.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// What for.
    pub projects: Vec<Project>,
}

fn written() -> Durability {
    Durability::Written
}

/// A claim that a tenant allows its apps to make.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The label's name in the record.
    pub name: String,
    /// The request header that carries it.
    pub header: String,
    /// Kept as it is; otherwise as a pseudonym.
    #[serde(default)]
    pub plain: bool,
}

/// A project of a tenant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name, unique within the tenant.
    pub id: String,
    /// Its credentials.
    pub keys: Vec<Key>,
}

/// A credential, by the digest of its secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub id: String,
    /// SHA-256 of the secret, in hex.
    pub sha256: String,
    /// Refused while true.
    #[serde(default)]
    pub disabled: bool,
    /// The models it may use; all if empty.
    #[serde(default)]
    pub models: Vec<String>,
}
