//! `LiteLLM`'s keys: what a row of `LiteLLM_VerificationToken` says, and which of it a key of ours can hold.
//!
//! Format: the model of that name in `schema.prisma` of BerriAI/litellm, and the answer of `/key/list` (`keys`,
//! `total_count`; with `return_full_object=true`). `token` is the SHA-256 of the secret in hex (`hash_token`), as ours is.

use schemas::Micros;

use super::decimal::Exact;
use super::litellm_spend::{is_digest, key_name};
use super::records::{Fields, list};
use super::time::instant;

/// The columns that are read; the first is in every export.
pub(super) const WANTED: &[&str] = &[
    "token",
    "key_alias",
    "team_id",
    "project_id",
    "models",
    "team_models",
    "blocked",
    "expires",
    "spend",
    "max_budget",
    "budget_duration",
    "budget_reset_at",
    "budget_id",
    "budget_limits",
    "model_max_budget",
    "tpm_limit",
    "rpm_limit",
    "max_parallel_requests",
    "allowed_routes",
    "permissions",
    "object_permission_id",
    "access_group_ids",
    "policies",
    "allowed_cache_controls",
    "aliases",
    "config",
    "router_settings",
    "auto_rotate",
    "organization_id",
    "metadata",
];

/// The team of the sessions of `LiteLLM`'s own pages.
const DASHBOARD: &str = "litellm-dashboard";

/// Limits, budgets and permissions that a key of ours does not have, each with the reason that is told.
const NOT_HELD: [(&str, &str); 20] = [
    ("max_budget", BUDGET),
    ("budget_duration", BUDGET),
    ("budget_id", BUDGET),
    ("budget_limits", BUDGET),
    ("model_max_budget", BUDGET),
    ("tpm_limit", LIMIT),
    ("rpm_limit", LIMIT),
    ("max_parallel_requests", LIMIT),
    (
        "allowed_routes",
        "not enforced here: a key may call every API",
    ),
    ("permissions", PERMISSION),
    ("object_permission_id", PERMISSION),
    ("access_group_ids", PERMISSION),
    ("policies", PERMISSION),
    ("allowed_cache_controls", PERMISSION),
    (
        "aliases",
        "names of models by key are not kept: give the route an alias",
    ),
    ("config", "settings by key are not kept"),
    ("router_settings", "settings by key are not kept"),
    (
        "auto_rotate",
        "keys are not rotated here: make a new one with `tollgate key new`",
    ),
    ("organization_id", "there is no level above the tenant"),
    ("metadata", "not kept: the configuration holds no free data"),
];
const BUDGET: &str =
    "budgets are not enforced by a key's configuration: it stands there as a comment";
const LIMIT: &str =
    "limits of a key are not enforced by its configuration: it stands there as a comment";
const PERMISSION: &str = "permissions of this kind are not kept";

/// What stands in the comment of a key.
const IN_COMMENT: [&str; 11] = [
    "max_budget",
    "budget_duration",
    "budget_reset_at",
    "budget_id",
    "budget_limits",
    "model_max_budget",
    "spend",
    "tpm_limit",
    "rpm_limit",
    "max_parallel_requests",
    "expires",
];

/// A key that can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) digest: String,
    pub(super) tenant: String,
    pub(super) project: String,
    pub(super) models: Models,
    pub(super) disabled: bool,
    /// What it had there, for the reader of the file.
    pub(super) had: Vec<(&'static str, String)>,
    /// What is not kept of it: field and reason.
    pub(super) lost: Vec<(&'static str, String)>,
}

/// What a key may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Models {
    All,
    None,
    These(Vec<String>),
}

/// A key's row, or why it cannot be taken.
pub(super) fn key(fields: &Fields, now: Micros) -> Result<Key, String> {
    let digest = digest(fields.get("token"))?;
    let team = fields.text("team_id");
    if team == DASHBOARD {
        return Err("a session of LiteLLM's own pages, no key of an app".to_owned());
    }
    let mut key = Key {
        name: match fields.text("key_alias") {
            "" => key_name(&digest),
            alias => alias.to_owned(),
        },
        digest,
        tenant: team.to_owned(),
        project: fields.text("project_id").to_owned(),
        models: Models::All,
        disabled: false,
        had: had(fields),
        lost: Vec::new(),
    };
    key.models = models(fields, &mut key.lost)?;
    lost(fields, &mut key.lost);
    match fields.text("blocked") {
        "" | "false" | "f" => {}
        "true" | "t" => key.disabled = true,
        other => {
            return Err(format!(
                "`blocked` is `{}`: true or false is read",
                cut(other)
            ));
        }
    }
    expiry(fields, now, &mut key)?;
    Ok(key)
}

/// The digest of the secret. Whatever else stands there is not repeated: it may be the secret itself.
fn digest(token: Option<&str>) -> Result<String, String> {
    match token {
        None | Some("") => Err("no `token`: without the digest of its secret no key can be known again".to_owned()),
        Some(token) if is_digest(token) => Ok(token.to_ascii_lowercase()),
        Some(token) if token.starts_with("sk-") => Err(
            "`token` is the secret itself, not its SHA-256: whoever has this file has the key; make a new one with \
             `tollgate key new`, or digest it with `tollgate key digest`"
                .to_owned(),
        ),
        Some(_) => Err("`token` is no SHA-256 in hex: the secret cannot be known again by it; make a new key".to_owned()),
    }
}

fn models(fields: &Fields, lost: &mut Vec<(&'static str, String)>) -> Result<Models, String> {
    let listed = list(fields.text("models")).ok_or("`models` is not a list of names")?;
    let has = |name: &str| listed.iter().any(|model| model == name);
    if has("no-default-models") {
        return Ok(Models::None);
    }
    let of_team = list(fields.text("team_models")).unwrap_or_default();
    if has("all-team-models") || (listed.is_empty() && !fields.text("team_id").is_empty()) {
        if of_team.is_empty() {
            let reason = "it has its team's models, and a key's export does not tell them: it may use every model here until you name them";
            lost.push(("models", reason.to_owned()));
            return Ok(Models::All);
        }
        return Ok(named(of_team));
    }
    Ok(named(listed))
}

fn named(list: Vec<String>) -> Models {
    if list.is_empty() || list.iter().any(|model| model == "all-proxy-models") {
        return Models::All;
    }
    Models::These(list)
}

fn expiry(fields: &Fields, now: Micros, key: &mut Key) -> Result<(), String> {
    let Some(text) = fields.get("expires").filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let expires = instant(text).ok_or("`expires` is not an instant: the key might be dead")?;
    if expires <= now {
        key.disabled = true;
        key.lost.push((
            "expires",
            format!("expired on {}: it is disabled", cut(text)),
        ));
    } else {
        let reason = format!("keys do not expire here: disable it on {}", cut(text));
        key.lost.push(("expires", reason));
    }
    Ok(())
}

fn had(fields: &Fields) -> Vec<(&'static str, String)> {
    let has_spent = Exact::parse(fields.text("spend")).is_ok_and(|spend| spend != Exact::default());
    let told = |name: &str| name != "spend" || has_spent;
    let present = IN_COMMENT
        .iter()
        .filter(|name| is_set(fields.text(name)) && told(name));
    present
        .map(|name| (*name, as_decimal(fields.text(name))))
        .collect()
}

/// Money as a plain decimal, exact; anything else as it is.
fn as_decimal(text: &str) -> String {
    let is_written_with_power = text.contains(['e', 'E']);
    match Exact::parse(text) {
        Ok(exact) if is_written_with_power => exact.to_string(),
        _ => text.to_owned(),
    }
}

fn lost(fields: &Fields, lost: &mut Vec<(&'static str, String)>) {
    let set = NOT_HELD
        .iter()
        .filter(|(name, _)| is_set(fields.text(name)));
    lost.extend(set.map(|(name, reason)| (*name, (*reason).to_owned())));
}

/// Whether a field says anything. A budget or a limit of zero does: it forbids every call.
fn is_set(text: &str) -> bool {
    !matches!(text, "" | "{}" | "[]" | "false" | "f" | "null")
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
