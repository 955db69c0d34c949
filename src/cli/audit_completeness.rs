//! `tollgate audit completeness`: is everything there, and is it as it was written?

use std::process::ExitCode;

use billing::Period;
use billing::audit::instant;
use billing::completeness::{AsOf, Report, Request, check};
use billing::period::zone;
use billing::render::{self, Format};
use schemas::Micros;

use super::report::{parse, this_month, usage, width};
use super::{ConfigArg, Usage, block_on};
use crate::config::Config;
use crate::ledger;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct CompletenessArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Month, year, day, or `start/end`; the current month if absent
    #[arg(long)]
    period: Option<String>,
    /// IANA time zone of the period
    #[arg(long, default_value = "UTC")]
    tz: String,
    /// Only this producer
    #[arg(long)]
    producer: Option<String>,
    /// Judge as of this instant instead of now: what was claimed within the minute before it need not be there yet
    #[arg(long, value_name = "INSTANT")]
    as_of: Option<String>,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

impl CompletenessArgs {
    /// Checks and prints. Exit code 0 only if both verdicts are good.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::load(&self.config.config)?.value;
        let format: Format = parse(&self.format)?;
        let now_us = runtime::clock::now_us();
        let as_of = match &self.as_of {
            Some(text) => instant(text, Micros(now_us)).map_err(usage)?.0,
            None => now_us,
        };
        let request = Request {
            period: period(self.period.as_deref(), &self.tz)?,
            producer: self.producer,
            as_of: AsOf::At(as_of),
        };
        let report = ask(&config, &request)?;
        print!("{}", render::completeness(&report, format, width())?);
        Ok(ExitCode::from(u8::from(!report.verdicts.are_good())))
    }
}

fn period(text: Option<&str>, tz: &str) -> Result<Period, Usage> {
    let zone = zone(tz).map_err(usage)?;
    let text = text.map_or_else(|| this_month(zone), str::to_owned);
    Period::parse(&text, zone).map_err(usage)
}

/// Checks the configuration's ledger; starts its engine if none runs.
pub(super) fn ask(config: &Config, request: &Request) -> anyhow::Result<Report> {
    block_on(async { ledger::ask(config, async |client| Ok(check(client, request).await?)).await })
}
