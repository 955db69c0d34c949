//! Reaching the store that a configuration names: a ClickHouse server, or the engine that runs on its data directory.

use anyhow::Context;
use schemas::cluster::Cluster;
use store::{Client, DataDir, Engine, Password, User};

use crate::cli::Usage;
use crate::config::{Config, StoreSettings};

/// Who only reads: the user of `[store]`, or the reader of the engine that runs on `data_dir`, wherever it runs by then.
pub fn reader(config: &Config) -> anyhow::Result<Client> {
    if let Some(settings) = &config.store {
        // The only shard is what is written to, whatever else `url` is.
        let url = match &settings.shards[..] {
            [only] if settings.cluster.is_none() => only,
            _ => &settings.url,
        };
        let client = server_at(settings, url)?;
        if settings.cluster.is_none() && settings.shards.len() > 1 {
            let why = "`[store] shards` without `cluster`: no table is over all shards, and a report from one of them would lack the others; name the cluster, or a `[store]` whose tables are over all shards";
            return Err(Usage(why.to_owned()).into());
        }
        // On a cluster the tables of all shards have the same names in a database of their own.
        let of_all = settings.cluster.as_ref();
        let of_all = of_all.map(|name| Cluster::new(name, &settings.database));
        let of_all = of_all.transpose().map_err(|bad| Usage(bad.to_string()))?;
        return Ok(of_all.map_or(client.clone(), |cluster| {
            client.in_database(&cluster.reading_database())
        }));
    }
    let data_dir = DataDir::new(&config.data_dir);
    let client = store::client_of_running(&data_dir, User::Reader, store::DATABASE);
    client.with_context(|| {
        let secrets = data_dir.secrets();
        format!("the passwords in {} cannot be used", secrets.display())
    })
}

/// Asks the ledger that a configuration names; starts its engine if no server is named and none runs.
pub async fn ask<T>(
    config: &Config,
    question: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if config.store.is_some() {
        return question(&reader(config)?).await;
    }
    let engine = Engine::connect_or_start(&config.for_engine()?).await?;
    let answer = question(&engine.client(User::Reader, store::DATABASE)).await;
    engine.stop().await;
    answer
}

/// A server of `[store]`.
pub fn server_at(settings: &StoreSettings, url: &str) -> anyhow::Result<Client> {
    let password = password(settings)?;
    Ok(Client::connect(
        url,
        &settings.user,
        password,
        &settings.database,
    ))
}

fn password(settings: &StoreSettings) -> anyhow::Result<Password> {
    let text = match (&settings.password_env, &settings.password_file) {
        (Some(_), Some(_)) => {
            return Err(Usage(
                "`[store]` has both `password_env` and `password_file`: keep one".to_owned(),
            )
            .into());
        }
        (Some(variable), None) => std::env::var(variable).map_err(|_| {
            Usage(format!(
                "environment variable {variable} is not set; it must hold the store's password"
            ))
        })?,
        (None, Some(file)) => std::fs::read_to_string(file)
            .with_context(|| format!("the password file {} cannot be read", file.display()))?,
        (None, None) => String::new(),
    };
    Ok(Password::new(text.trim_end_matches(['\r', '\n'])))
}
