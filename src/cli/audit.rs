//! `tollgate audit`: the audit trail.

use std::process::ExitCode;

use billing::audit::{Filter, instant, query};
use billing::render::{self, Format};
use clap::Subcommand;
use schemas::Micros;

use super::report::{parse, usage, width};
use super::{ConfigArg, Usage, block_on};
use crate::config::Config;
use crate::ledger;

/// The audit trail.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// What happened: every request, accepted or refused, with its place in the log
    #[command(after_help = "\
Examples:
  tollgate audit query --tenant acme --since 1h
  tollgate audit query --outcome client_aborted --since 2026-11-24 --format json
  tollgate audit query --request-id req_0193c8… --format json
  tollgate audit query --label team=search --limit 20")]
    Query(QueryArgs),
    /// Whether a period is whole (completeness) and as it was written (integrity), by producer and start
    #[command(after_help = "\
Examples:
  tollgate audit completeness --period 2026-11
  tollgate audit completeness --period 2026-11-24 --tz Europe/Berlin --producer gw-0a1b2c3d --format json

Exit code 0 if it is complete and intact, 1 if anything is missing, changed or not proven.")]
    Completeness(super::audit_completeness::CompletenessArgs),
}

/// What to look for.
#[derive(Debug, clap::Args)]
pub struct QueryArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only this project
    #[arg(long)]
    project: Option<String>,
    /// Only this key
    #[arg(long)]
    key: Option<String>,
    /// Received since: an instant, a UTC day, or an age such as 30m, 2h, 7d
    #[arg(long)]
    since: Option<String>,
    /// Received before: likewise
    #[arg(long)]
    until: Option<String>,
    /// Only this outcome
    #[arg(long)]
    outcome: Option<String>,
    /// Only the request with this id
    #[arg(long)]
    request_id: Option<String>,
    /// Only requests with this label, as name=value
    #[arg(long)]
    label: Vec<String>,
    /// How many at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on after a page, with the mark that it printed
    #[arg(long)]
    after: Option<String>,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

impl Audit {
    /// Asks and prints.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Query(args) => args.run().map(|()| ExitCode::SUCCESS),
            Self::Completeness(args) => args.run(),
        }
    }
}

impl QueryArgs {
    fn run(self) -> anyhow::Result<()> {
        let args = self;
        let config = Config::load(&args.config.config)?.value;
        let filter = args.filter(runtime::clock::now_us())?;
        let format: Format = parse(&args.format)?;
        let page = block_on(async {
            ledger::ask(&config, async |client| Ok(query(client, &filter).await?)).await
        })?;
        print!("{}", render::page(&page, format, width())?);
        // The other formats say it themselves.
        if let (Format::Csv, Some(next)) = (format, &page.next) {
            eprintln!("More follow: --after {next}");
        }
        Ok(())
    }

    fn filter(&self, now_us: i64) -> Result<Filter, Usage> {
        let instant = |text: &Option<String>| {
            let read = text.as_deref().map(|text| instant(text, Micros(now_us)));
            read.transpose().map_err(usage)
        };
        let filter = Filter {
            tenant: self.tenant.clone(),
            project: self.project.clone(),
            key: self.key.clone(),
            since: instant(&self.since)?,
            until: instant(&self.until)?,
            outcome: self.outcome.as_deref().map(parse).transpose()?,
            request_id: self.request_id.clone(),
            labels: self
                .label
                .iter()
                .map(|text| parse(text))
                .collect::<Result<_, _>>()?,
            limit: self.limit,
            after: self.after.as_deref().map(parse).transpose()?,
        };
        filter.check().map_err(usage)?;
        Ok(filter)
    }
}
