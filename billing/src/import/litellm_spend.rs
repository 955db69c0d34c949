//! `LiteLLM`'s spend logs: what a row of `LiteLLM_SpendLogs` says, in our words.
//!
//! Format: the model of that name in `schema.prisma` of BerriAI/litellm, and what `spend_tracking_utils.py` writes there:
//! US dollars in `spend` (a float), times in UTC without a zone, `api_key` the SHA-256 of the key. `metadata` and the columns
//! with prompts are not kept: of `metadata`, only the key's name and its project are read.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::decimal::Exact;
use super::records::{Fields, list, plain};
use super::row::{MAX_TEXT_BYTES, SpendRow};
use super::spend::Figures;
use super::time::instant;

/// The columns that are read; the first is in every export.
pub(super) const WANTED: &[&str] = &[
    "request_id",
    "call_type",
    "api_key",
    "spend",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "startTime",
    "endTime",
    "model",
    "model_group",
    "custom_llm_provider",
    "user",
    "metadata",
    "cache_hit",
    "request_tags",
    "team_id",
    "end_user",
    "status",
];

/// Where what has no team goes, and by which name the source is kept.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The source's name in the table.
    pub source: String,
    /// The tenant of what belongs to no team.
    pub without_team: String,
}

/// The figures alone, as they stand in the file.
pub(super) fn figures(fields: &Fields) -> Result<Figures, String> {
    Ok(Figures {
        rows: 1,
        input_tokens: tokens(fields, "prompt_tokens")?.into(),
        output_tokens: tokens(fields, "completion_tokens")?.into(),
        total_tokens: tokens(fields, "total_tokens")?.into(),
        spend: spend(fields)?,
    })
}

/// A call, or why it cannot be taken.
pub(super) fn row(fields: &Fields, naming: &Naming) -> Result<SpendRow, String> {
    let (key, project, key_sha256) = key(fields);
    let row = SpendRow {
        source: naming.source.clone(),
        source_id: needed(fields, "request_id")?.to_owned(),
        tenant: fields.get("team_id").unwrap_or_default().to_owned(),
        project,
        key,
        key_sha256,
        user: fields.text("user").to_owned(),
        end_user: fields.text("end_user").to_owned(),
        api: fields.text("call_type").to_owned(),
        model: fields.text("model").to_owned(),
        model_group: fields.text("model_group").to_owned(),
        provider: fields.text("custom_llm_provider").to_owned(),
        status: fields.text("status").to_owned(),
        cache_hit: fields.text("cache_hit").to_owned(),
        tags: tags(fields)?,
        started: time(fields, "startTime")?,
        ended: time(fields, "endTime")?,
        input_tokens: tokens(fields, "prompt_tokens")?,
        output_tokens: tokens(fields, "completion_tokens")?,
        total_tokens: tokens(fields, "total_tokens")?,
        spend: spend(fields)?,
        currency: "USD",
    };
    let row = with_tenant(row, &naming.without_team);
    let too_long = row
        .texts()
        .into_iter()
        .chain(row.tags.iter().map(String::as_str));
    match too_long.map(str::len).max() {
        Some(longest) if longest > MAX_TEXT_BYTES => Err(format!(
            "a text of {longest} bytes: at most {MAX_TEXT_BYTES} are kept"
        )),
        _ => Ok(row),
    }
}

fn with_tenant(mut row: SpendRow, without_team: &str) -> SpendRow {
    if row.tenant.is_empty() {
        without_team.clone_into(&mut row.tenant);
    }
    row
}

/// The key's name, its project, and the digest of its secret. A secret that was not digested there is digested here.
fn key(fields: &Fields) -> (String, String, String) {
    let written = fields.text("api_key");
    let digest = if written.starts_with("sk-") {
        hex::encode(Sha256::digest(written))
    } else if is_digest(written) {
        written.to_ascii_lowercase()
    } else {
        String::new()
    };
    let metadata: BTreeMap<String, &RawValue> =
        serde_json::from_str(fields.text("metadata")).unwrap_or_default();
    let told = |name: &str| {
        let value = metadata.get(name).and_then(|value| plain(value));
        value.filter(|text| !text.is_empty())
    };
    let name = told("user_api_key_alias").unwrap_or_else(|| key_name(&digest));
    let project = told("user_api_key_project_id").unwrap_or_default();
    (name, project, digest)
}

/// Whether a text is a SHA-256 in hex.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The name of a key that has none; empty where nothing is known of it.
pub(super) fn key_name(digest: &str) -> String {
    digest
        .get(..12)
        .map_or_else(String::new, |start| format!("litellm-{start}"))
}

fn needed<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, String> {
    let value = fields.get(name).filter(|text| !text.is_empty());
    value.ok_or_else(|| format!("no `{name}`: nothing is filled in"))
}

fn tokens(fields: &Fields, name: &str) -> Result<i64, String> {
    let text = needed(fields, name)?;
    match text.parse::<i64>() {
        Ok(count) if count >= 0 => Ok(count),
        _ => Err(format!("`{name}` is not a count of tokens")),
    }
}

fn spend(fields: &Fields) -> Result<Exact, String> {
    Exact::parse(needed(fields, "spend")?).map_err(|error| format!("`spend`: {error}"))
}

fn time(fields: &Fields, name: &str) -> Result<schemas::Micros, String> {
    let text = needed(fields, name)?;
    instant(text)
        .ok_or_else(|| format!("`{name}` is not an instant such as 2025-06-21 15:47:15.344"))
}

fn tags(fields: &Fields) -> Result<Vec<String>, String> {
    list(fields.text("request_tags"))
        .ok_or_else(|| "`request_tags` is not a list of texts".to_owned())
}
