//! `tollgate engine`: the embedded engine as a process of its own.

use std::path::PathBuf;

use anyhow::Context;
use store::engine::{Options, Started, serve};

/// Run the embedded engine.
#[derive(Debug, clap::Args)]
pub struct Engine {
    /// Data directory
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Loopback port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The engine's library
    #[arg(long, value_name = "FILE", env = "TOLLGATE_ENGINE_LIBRARY")]
    library: Option<PathBuf>,
    /// Started by a parent that sends the passwords and whose end is ours
    #[arg(long, hide = true)]
    child: bool,
}

impl Engine {
    /// Serves until a signal, or the parent's end.
    pub fn run(self) -> anyhow::Result<()> {
        runtime::telemetry::init(runtime::telemetry::LogFormat::Text, "info");
        let started = if self.child {
            // Before there is any other thread.
            runtime::priority::step_behind();
            Started::ByParent
        } else {
            Started::ByHand
        };
        let options = Options {
            data_dir: std::path::absolute(self.data_dir)?,
            library: self.library,
            started,
            port: self.port,
        };
        let serving = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("tg-engine")
            .enable_all()
            .build()?;
        serving
            .block_on(serve(options))
            .context("the embedded engine does not run")
    }
}
