//! `tollgate report imported`: another gateway's figures, from the table that `tollgate import spend` fills.

use billing::Period;
use billing::import::{Column, ImportedReport, ImportedRequest, imported};
use billing::period::zone;
use billing::render::{self, Format};

use super::report::{parse, this_month, usage, width};
use super::{ConfigArg, block_on};
use crate::config::Config;
use crate::ledger;

/// What to report.
#[derive(Debug, clap::Args)]
pub struct ImportedArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Month, year, day, or `start/end`; the current month if absent
    #[arg(long)]
    period: Option<String>,
    /// IANA time zone of the period
    #[arg(long, default_value = "UTC")]
    tz: String,
    /// Columns of the report.
    #[arg(
        long,
        default_value = "tenant,model",
        help = "Columns, separated by commas: tenant, project, key, user, end_user, model, model_group, provider, api, status, day"
    )]
    by: String,
    /// Only this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

impl ImportedArgs {
    /// Makes and prints it.
    pub fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.config.config)?.value;
        let format: Format = parse(&self.format)?;
        let zone = zone(&self.tz).map_err(usage)?;
        let period = self.period.unwrap_or_else(|| this_month(zone));
        let request = ImportedRequest {
            period: Period::parse(&period, zone).map_err(usage)?,
            by: Column::parse_list(&self.by).map_err(usage)?,
            tenant: self.tenant,
        };
        let report = block_on(async { make(&config, &request).await })?;
        print!("{}", render::imported(&report, format, width())?);
        Ok(())
    }
}

async fn make(config: &Config, request: &ImportedRequest) -> anyhow::Result<ImportedReport> {
    ledger::ask(config, async |client| Ok(imported(client, request).await?)).await
}
