//! `[billing]` of the configuration file: doors, bounds, and who may read what. Secrets are named by their digest.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[billing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the API listens; no API if absent.
    pub listen: Option<SocketAddr>,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub ops: Option<SocketAddr>,
    /// Where an export stands while it is made and sent; in the data directory if absent.
    pub spool_dir: Option<PathBuf>,
    /// Connections at once; further ones wait in the kernel.
    pub max_connections: usize,
    /// The largest request head, in bytes.
    pub max_head_bytes: usize,
    /// Time for a request's head, and for an idle connection's next one, in milliseconds.
    pub head_timeout_ms: u64,
    /// Time for one query of the store, in milliseconds.
    pub query_timeout_ms: u64,
    /// Time to make an export, in milliseconds.
    pub export_timeout_ms: u64,
    /// Time to send an export, in milliseconds.
    pub download_timeout_ms: u64,
    /// A client that takes nothing for so long is cut, in milliseconds.
    pub stalled_ms: u64,
    /// Reports and pages of the trail that are made at once.
    pub queries_at_once: usize,
    /// Exports that are made at once.
    pub exports_at_once: usize,
    /// Requests that wait for their turn, of each of the two; more are answered 429.
    pub waiting: usize,
    /// How long one waits, in milliseconds.
    pub wait_ms: u64,
    /// Requests of one reader that run or wait; more are answered 429.
    pub of_one_reader: usize,
    /// Exports that are sent at once.
    pub downloads_at_once: usize,
    /// The most rows of a report.
    pub max_rows: usize,
    /// The most records of an export.
    pub max_export_records: u64,
    /// How long a stop waits for running answers, in milliseconds.
    pub stop_timeout_ms: u64,
    /// Who may read.
    pub readers: Vec<ReaderSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: None,
            ops: None,
            spool_dir: None,
            max_connections: 256,
            max_head_bytes: 16 << 10,
            head_timeout_ms: 15_000,
            query_timeout_ms: 120_000,
            export_timeout_ms: 1_800_000,
            download_timeout_ms: 3_600_000,
            stalled_ms: 60_000,
            queries_at_once: 2,
            exports_at_once: 1,
            waiting: 16,
            wait_ms: 30_000,
            of_one_reader: 4,
            downloads_at_once: 8,
            max_rows: 100_000,
            max_export_records: 20_000_000,
            stop_timeout_ms: 30_000,
            readers: Vec::new(),
        }
    }
}

impl Settings {
    pub(super) fn query_timeout(&self) -> Duration {
        Duration::from_millis(self.query_timeout_ms)
    }
}

/// `[[billing.readers]]`: a credential, by the digest of its secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderSettings {
    /// Its name, for logs.
    pub name: String,
    /// SHA-256 of the secret, in hex.
    pub secret_sha256: String,
    /// Whose figures it sees.
    pub tenants: Tenants,
    /// What it may ask for.
    pub may: Vec<May>,
}

/// Whose figures a reader sees.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Tenants {
    /// Everybody's, and what belongs to nobody.
    All(All),
    /// Those of these tenants alone.
    Only(Vec<String>),
}

/// The word for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// `"all"`
    All,
}

/// A kind of endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// Chargeback, coverage and prices.
    Reports,
    /// The audit trail, and whether it is whole.
    Audit,
    /// Files of the month and of every request.
    Exports,
}

impl May {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Audit => "audit",
            Self::Exports => "exports",
        }
    }
}
