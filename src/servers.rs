//! The ClickHouse that `[store]` names, or else the engine that runs on `data_dir`: how it is reached, its shards, its tables.
//! What is in the tables must not live here.

use anyhow::Context;
use schemas::cluster::Cluster;
use schemas::migrations;
use store::migrate::{Layout, Report, migrate_in};
use store::{Client, Credentials, DataDir, Endpoint, User};

use crate::cli::Usage;
use crate::config::{Config, StoreSettings};
use crate::ledger;

/// No `[store]`, and no engine of our own runs.
#[derive(Debug, thiserror::Error)]
#[error(
    "no engine runs on {0}: start `tollgate engine --data-dir {0}`, or name a ClickHouse server by `[store] url`"
)]
pub struct NoEngine(String);

/// The store, as the user who may write.
pub fn client(config: &Config) -> anyhow::Result<Client> {
    if let Some(settings) = &config.store {
        return of_server(settings, &settings.url);
    }
    let data_dir = DataDir::new(&config.data_dir);
    let endpoint = Endpoint::of_running(&data_dir)
        .ok_or_else(|| NoEngine(config.data_dir.display().to_string()))?;
    let credentials = Credentials::open_or_create(&data_dir)?;
    let password = credentials.of(User::Writer).clone();
    let user = User::Writer.name();
    Ok(Client::connect(
        endpoint.url,
        user,
        password,
        store::DATABASE,
    ))
}

/// Refuses a store of several servers, for what has to see and write all of it in one place.
pub fn must_be_whole(config: &Config) -> Result<(), Usage> {
    let in_parts =
        |settings: &&StoreSettings| settings.cluster.is_some() || !settings.shards.is_empty();
    match config.store.as_ref().filter(in_parts) {
        None => Ok(()),
        Some(_) => Err(Usage(
            "this is for a store on one server: with `[store] shards` or `cluster` it would write to one shard what belongs to others".to_owned(),
        )),
    }
}

/// One client for each shard, in their order; none where the store has no shards.
pub fn shards(config: &Config) -> anyhow::Result<Vec<Client>> {
    let Some(settings) = &config.store else {
        return Ok(Vec::new());
    };
    let shards = settings.shards.iter();
    shards.map(|url| of_server(settings, url)).collect()
}

/// Brings the tables up to this version: on all of the cluster, where there is one; else on the server, or on each shard.
pub async fn migrate(config: &Config) -> anyhow::Result<Report> {
    let client = client(config)?;
    if let Some(cluster) = cluster(config)? {
        let layout = Layout::Cluster(&cluster);
        return Ok(migrate_in(&client, layout, migrations::ALL.iter().copied()).await?);
    }
    let shards = shards(config)?;
    let mut report = None;
    for client in shards.iter().chain(shards.is_empty().then_some(&client)) {
        report = Some(crate::up::migrate(client).await?);
    }
    report.context("there is no server to migrate")
}

fn cluster(config: &Config) -> anyhow::Result<Option<Cluster>> {
    let Some(settings) = &config.store else {
        return Ok(None);
    };
    let named = settings.cluster.as_ref();
    let cluster = named.map(|name| Cluster::new(name, &settings.database));
    let cluster = cluster
        .transpose()
        .map_err(|bad| Usage(format!("`[store]`: {bad}")))?;
    if cluster.is_some() && settings.shards.is_empty() {
        let why = "`[store] cluster` needs `shards`: one URL for each shard, for the consumer writes a partition of the log to its own shard";
        return Err(Usage(why.to_owned()).into());
    }
    Ok(cluster)
}

fn of_server(settings: &StoreSettings, url: &str) -> anyhow::Result<Client> {
    Ok(ledger::server_at(settings, url)?.with_quorum(settings.insert_quorum))
}
