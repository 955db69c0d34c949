//! Tenants, projects and keys: who may call, by the digest of a secret.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use schemas::Durability;
use schemas::event::MAX_LABELS;

use super::{AllowedLabel, BadConfig, Principal, bad, text};
use crate::config::{Key, Project, Tenant};

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

pub(super) fn keys(
    tenants: &[Tenant],
    models: &[String],
    has_replicas: bool,
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
        if tenant.durability == Durability::Replicated && !has_replicas {
            let message = format!(
                "tenant `{}`: durability `replicated` needs a Kafka log: configure `[log] kafka` and run `tollgate gateway`, or use written or synced",
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
