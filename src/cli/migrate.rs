//! `tollgate migrate`: brings the store's tables up to this version, or shows the statements that would.

use schemas::cluster::Cluster;
use schemas::migrations;
use store::migrate::{Layout, Report};
use store::{Engine, User};

use super::{ConfigArg, Usage, block_on};
use crate::config::Config;
use crate::servers;

/// Bring the tables up to this version.
#[derive(Debug, clap::Args)]
pub struct Migrate {
    #[command(flatten)]
    config: ConfigArg,
    /// Print the statements, in order, instead of running them; needs no store and no configuration
    #[arg(long)]
    print: bool,
    /// Print them as they are for a cluster of this name
    #[arg(long, value_name = "NAME", requires = "print")]
    cluster: Option<String>,
    /// The database that they are printed for
    #[arg(long, value_name = "NAME", requires = "print", default_value = store::DATABASE)]
    database: String,
}

impl Migrate {
    /// Migrates and says what was done.
    pub fn run(self) -> anyhow::Result<()> {
        if self.print {
            print!("{}", self.printed()?);
            return Ok(());
        }
        let config = Config::load(&self.config.config)?.value;
        let report = block_on(migrate(&config))?;
        println!(
            "tables are at version {} ({} applied now)",
            report.version,
            report.applied.len()
        );
        Ok(())
    }

    fn printed(&self) -> anyhow::Result<String> {
        let usage = |bad: schemas::cluster::ClusterError| Usage(bad.to_string());
        let cluster = self.cluster.as_deref();
        let cluster = cluster.map(|name| Cluster::new(name, &self.database));
        let cluster = cluster.transpose().map_err(usage)?;
        let layout = cluster.as_ref().map_or(Layout::Server, Layout::Cluster);
        let quoted = format!("`{}`", self.database.replace('`', "\\`"));
        let mut statements = layout.beginning(&quoted);
        statements[0].insert_str(
            0,
            "-- Tollgate's tables. Run in this order; each may be run again.\n",
        );
        if cluster.is_none() {
            statements.push(format!("USE {quoted}"));
        }
        for (_, _, sql) in migrations::ALL {
            statements.extend(layout.statements(sql).map_err(usage)?);
        }
        let ended = statements.into_iter().map(|sql| format!("{sql};\n"));
        Ok(ended.collect::<Vec<_>>().join("\n"))
    }
}

async fn migrate(config: &Config) -> anyhow::Result<Report> {
    if config.store.is_some() {
        return servers::migrate(config).await;
    }
    let engine = Engine::connect_or_start(&config.for_engine()?).await?;
    let report = crate::up::migrate(&engine.client(User::Writer, store::DATABASE)).await;
    engine.stop().await;
    report
}
