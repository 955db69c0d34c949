//! `tollgate billing`: the API for finance and compliance, a process of its own that reads the store alone.

use anyhow::Context;
use runtime::config::Loaded;
use runtime::shutdown::Shutdown;

use super::{ConfigArg, Usage};
use crate::config::Config;
use crate::{api, ledger, up};

/// What a reader needs, from nothing to an answer.
pub const HELP: &str = "\
Examples:
  tollgate key new finance                        a secret, and its digest for `secret_sha256`
  tollgate billing --config /etc/tollgate/tollgate.toml
  tollgate ready --of billing --config /etc/tollgate/tollgate.toml
  curl -H 'Authorization: Bearer tg-…' 'http://127.0.0.1:8085/v1/chargeback?period=2026-11&by=tenant,model'
  curl -H 'Authorization: Bearer tg-…' 'http://127.0.0.1:8085/v1/audit?since=1h&outcome=refused_auth'
  curl -H 'Authorization: Bearer tg-…' -OJ 'http://127.0.0.1:8085/v1/exports?kind=trail&period=2026-11&format=parquet'
  curl http://127.0.0.1:8085/openapi.json

The file names the door, the readers, and the store:
  [billing]
  listen = \"127.0.0.1:8085\"
  ops = \"127.0.0.1:8086\"      /livez, /readyz, /metrics

  [[billing.readers]]
  name = \"finance\"
  secret_sha256 = \"…\"
  tenants = \"all\"             or a list: [\"acme\"]
  may = [\"reports\", \"audit\", \"exports\"]

  [store]
  url = \"http://host:8123\"    without it, the engine that runs on `data_dir`

`tollgate up` serves the same API where `[billing] listen` is set.";

/// Serve chargeback, audit trail and exports over HTTP.
#[derive(Debug, clap::Args)]
pub struct Billing {
    #[command(flatten)]
    config: ConfigArg,
}

impl Billing {
    /// Serves until a signal.
    pub fn run(self) -> anyhow::Result<()> {
        let loaded = Config::load(&self.config.config)?;
        if loaded.value.billing.listen.is_none() {
            return Err(Usage(format!(
                "`tollgate billing` needs an address: add `listen = \"127.0.0.1:8085\"` to `[billing]` in {}",
                loaded.path.display()
            ))
            .into());
        }
        runtime::secrecy::forbid_core_dumps().context("core dumps cannot be forbidden")?;
        runtime::telemetry::init(loaded.value.log.format, "info");
        runtime::descriptors::raise_for(0);
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("tg-billing")
            .enable_all()
            .build()?
            .block_on(serve(loaded))
    }
}

async fn serve(loaded: Loaded<Config>) -> anyhow::Result<()> {
    let client = ledger::reader(&loaded.value)?;
    let running = api::start(&loaded, client).await?;
    let shutdown = Shutdown::new();
    // The second signal must be heard while the first one is obeyed: this one is dropped last.
    let mut signals = tokio::task::JoinSet::new();
    signals.spawn(up::watch_signals(shutdown.clone()));
    api::watch_readers(loaded, running.service(), shutdown.token()).await;
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}
