//! A row of `imported_spend`: one call of another gateway, as that gateway told it. Never a usage event.

use schemas::Micros;
use schemas::rows::Columns;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::decimal::Exact;

/// The longest text of a row, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 1024;

/// What a former gateway told of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRow {
    /// Which gateway.
    pub source: String,
    /// The call's name there.
    pub source_id: String,
    /// Who paid: there, the team.
    pub tenant: String,
    /// What for.
    pub project: String,
    /// The key's name.
    pub key: String,
    /// SHA-256 of the key's secret in hex, where the source had it.
    pub key_sha256: String,
    /// The user whom the key belonged to.
    pub user: String,
    /// Whom the app called for.
    pub end_user: String,
    /// The kind of call, in the source's word.
    pub api: String,
    /// The model that was called.
    pub model: String,
    /// The name it was asked for by.
    pub model_group: String,
    /// Who ran it.
    pub provider: String,
    /// How it ended, in the source's word.
    pub status: String,
    /// Whether an answer was had from a cache, in the source's word.
    pub cache_hit: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// When it began.
    pub started: Micros,
    /// When it ended.
    pub ended: Micros,
    /// Tokens in.
    pub input_tokens: i64,
    /// Tokens out.
    pub output_tokens: i64,
    /// Tokens in all: the source's own figure.
    pub total_tokens: i64,
    /// What it cost.
    pub spend: Exact,
    /// In what.
    pub currency: &'static str,
}

impl SpendRow {
    /// A digest of all that is stored, each part with its length: the same row again has the same.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let numbers = [
            self.started.0,
            self.ended.0,
            self.input_tokens,
            self.output_tokens,
            self.total_tokens,
        ]
        .map(|number| number.to_string());
        let spend = self.spend.to_string();
        let texts = self
            .texts()
            .into_iter()
            .chain([self.currency, spend.as_str()]);
        let parts = texts
            .chain(numbers.iter().map(String::as_str))
            .chain(self.tags.iter().map(String::as_str));
        for part in parts {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    pub(super) fn texts(&self) -> [&str; 14] {
        [
            &self.source,
            &self.source_id,
            &self.tenant,
            &self.project,
            &self.key,
            &self.key_sha256,
            &self.user,
            &self.end_user,
            &self.api,
            &self.model,
            &self.model_group,
            &self.provider,
            &self.status,
            &self.cache_hit,
        ]
    }
}

/// A row as the store takes it, with its digest.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StoredRow {
    source: String,
    source_id: String,
    tenant: String,
    project: String,
    key: String,
    key_sha256: String,
    user: String,
    end_user: String,
    api: String,
    model: String,
    model_group: String,
    provider: String,
    status: String,
    cache_hit: String,
    tags: Vec<String>,
    started: i64,
    ended: i64,
    input_tokens: i64,
    output_tokens: i64,
    total_tokens: i64,
    spend: i128,
    currency: &'static str,
    digest: [u8; 32],
}

impl From<SpendRow> for StoredRow {
    fn from(row: SpendRow) -> Self {
        let digest = row.digest();
        Self {
            source: row.source,
            source_id: row.source_id,
            tenant: row.tenant,
            project: row.project,
            key: row.key,
            key_sha256: row.key_sha256,
            user: row.user,
            end_user: row.end_user,
            api: row.api,
            model: row.model,
            model_group: row.model_group,
            provider: row.provider,
            status: row.status,
            cache_hit: row.cache_hit,
            tags: row.tags,
            started: row.started.0,
            ended: row.ended.0,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            total_tokens: row.total_tokens,
            spend: row.spend.stored(),
            currency: row.currency,
            digest,
        }
    }
}

impl Columns for StoredRow {
    const TABLE: &'static str = "imported_spend";
    const COLUMNS: &'static [&'static str] = &[
        "source",
        "source_id",
        "tenant",
        "project",
        "key",
        "key_sha256",
        "user",
        "end_user",
        "api",
        "model",
        "model_group",
        "provider",
        "status",
        "cache_hit",
        "tags",
        "started",
        "ended",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "spend",
        "currency",
        "digest",
    ];
}
