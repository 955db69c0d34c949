//! `tollgate simulate`: a simulated provider.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use runtime::shutdown::Shutdown;
use simulator::{Config, Simulator};

use super::Usage;

/// Run a simulated provider.
#[derive(Debug, clap::Args)]
pub struct Simulate {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Settings and keys as a TOML file
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Append every line of the truth to this file
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Count bytes instead of tokens: cheap enough for benchmarks
    #[arg(long)]
    bytes: bool,
    /// Allow an address that is not loopback; there is no password
    #[arg(long)]
    allow_remote: bool,
    /// Threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

impl Simulate {
    /// Serves until a signal.
    pub fn run(self) -> anyhow::Result<()> {
        runtime::telemetry::init(runtime::telemetry::LogFormat::Text, "info");
        let workers = self.workers.max(1);
        let config = self.config()?;
        let serving = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("tg-simulator")
            .enable_all()
            .build()?;
        serving.block_on(async {
            let listen = config.listen;
            let simulator = Simulator::start(config)
                .with_context(|| format!("the simulator cannot listen on {listen}"))?;
            println!("simulator on http://{}", simulator.addr());
            let shutdown = Shutdown::new();
            let mut signals = tokio::task::JoinSet::new();
            signals.spawn(shutdown.clone().on_signals());
            shutdown.asked().await;
            simulator.shutdown().await;
            Ok(())
        })
    }

    fn config(self) -> anyhow::Result<Config> {
        let mut config = match &self.settings {
            Some(path) => runtime::config::load::<Config>(path)?.value,
            None => Config::default(),
        };
        config.listen = self.listen;
        config.allow_remote |= self.allow_remote;
        config.truth_file = self.truth.or(config.truth_file);
        if self.bytes {
            config.settings.count = simulator::Count::Bytes;
        }
        if !config.listen.ip().is_loopback() && !config.allow_remote {
            let message = format!(
                "{} is not loopback; add --allow-remote to listen there",
                config.listen
            );
            return Err(Usage(message).into());
        }
        Ok(config)
    }
}
