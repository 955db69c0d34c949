//! `tollgate migrate`: brings the store's tables up to this version.

use store::{Engine, User};

use super::{ConfigArg, block_on};
use crate::config::Config;

/// Bring the tables up to this version.
#[derive(Debug, clap::Args)]
pub struct Migrate {
    #[command(flatten)]
    config: ConfigArg,
}

impl Migrate {
    /// Migrates and says what was done.
    pub fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.config.config)?.value;
        block_on(async {
            let engine = Engine::connect_or_start(&config.for_engine()?).await?;
            let report = crate::up::migrate(&engine.client(User::Writer, store::DATABASE)).await;
            engine.stop().await;
            let report = report?;
            println!(
                "tables are at version {} ({} applied now)",
                report.version,
                report.applied.len()
            );
            Ok(())
        })
    }
}
