//! `tollgate report`: tables for finance.

use std::io::IsTerminal;

use billing::chargeback::{Dimension, Report as Chargeback, Request, Synthetic, report};
use billing::completeness::{AsOf, quick};
use billing::period::zone;
use billing::render::{self, Format};
use billing::{Period, prices};
use chrono_tz::Tz;
use clap::Subcommand;
use schemas::PriceBook;

use super::{ConfigArg, Usage, block_on};
use crate::config::Config;
use crate::ledger;

/// Reports for finance.
#[derive(Debug, Subcommand)]
pub enum Report {
    /// Who used what in a period, and what it costs
    #[command(after_help = "\
Examples:
  tollgate report chargeback --period 2026-11
  tollgate report chargeback --period 2026-11-24 --tz Europe/Berlin --by tenant,model --format csv
  tollgate report chargeback --period 2026-11-01T00:00Z/2026-11-08T00:00Z --by project,day --tenant acme
  tollgate report chargeback --synthetic only          the sample's traffic, which is on no bill

Amounts are exact. A total is marked incomplete while a price is missing.")]
    Chargeback(ChargebackArgs),
    /// What another gateway told of its past, as it was imported: beside our own figures, and in no bill
    #[command(after_help = "\
Examples:
  tollgate report imported --period 2026-10 --by tenant,model
  tollgate report imported --period 2026 --by day --tenant team-1 --format csv")]
    Imported(super::report_imported::ImportedArgs),
}

/// What to report.
#[derive(Debug, clap::Args)]
pub struct ChargebackArgs {
    #[command(flatten)]
    of: Selection,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

/// Which requests, by which columns, at which prices: what every report and export is asked for.
#[derive(Debug, clap::Args)]
pub struct Selection {
    #[command(flatten)]
    config: ConfigArg,
    /// Month, year, day, or `start/end`; the current month if absent
    #[arg(long)]
    period: Option<String>,
    /// IANA time zone of the period
    #[arg(long, default_value = "UTC")]
    tz: String,
    /// Columns, separated by commas: tenant, project, key, model, provider, deployment, route, api, day, outcome, label:NAME
    #[arg(long, default_value = "tenant,project,model")]
    by: String,
    /// Only this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Demo and self-test traffic: exclude, only or include
    #[arg(long, default_value = "exclude")]
    synthetic: String,
    /// Price book; the configuration's if absent
    #[arg(long, value_name = "FILE")]
    prices: Option<std::path::PathBuf>,
}

impl Report {
    /// Makes and prints it.
    pub fn run(self) -> anyhow::Result<()> {
        let args = match self {
            Self::Chargeback(args) => args,
            Self::Imported(args) => return args.run(),
        };
        let (config, request) = (args.of.config()?, args.of.request()?);
        let format: Format = parse(&args.format)?;
        let book = price_book(&config)?;
        let (chargeback, looked) = block_on(async {
            ledger::ask(&config, async |client| {
                let made = report(client, &book, &request).await?;
                // Beside the report, which stands without it.
                let looked = quick(client, &request.period, as_of_now()).await;
                Ok((made, looked))
            })
            .await
        })?;
        print!("{}", render::report(&chargeback, format, width())?);
        let notes = match looked {
            Ok(looked) => render::period_notes(looked),
            Err(error) => vec![format!("Not looked whether the period is whole: {error}")],
        };
        for note in notes {
            match format {
                Format::Table => println!("{note}"),
                // A program reads the output; whoever started it is told as well.
                Format::Csv | Format::Json => eprintln!("tollgate: {note}"),
            }
        }
        Ok(())
    }
}

fn as_of_now() -> AsOf {
    AsOf::At(runtime::clock::now_us())
}

impl Selection {
    /// The configuration, with the price book that was named.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(&self.config.config)?.value;
        config.prices = self.prices.clone().or(config.prices);
        Ok(config)
    }

    /// The report that is asked for.
    pub(super) fn request(&self) -> Result<Request, Usage> {
        let zone = zone(&self.tz).map_err(usage)?;
        let period = self.period.clone().unwrap_or_else(|| this_month(zone));
        Ok(Request {
            period: Period::parse(&period, zone).map_err(usage)?,
            by: Dimension::parse_list(&self.by).map_err(usage)?,
            synthetic: parse::<Synthetic>(&self.synthetic)?,
            tenant: self.tenant.clone(),
        })
    }
}

/// A value of the command line.
pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Usage> {
    text.parse().map_err(usage)
}

/// A fault of the command line.
pub fn usage(error: impl std::fmt::Display) -> Usage {
    Usage(error.to_string())
}

/// The terminal's width, where output goes to one.
pub fn width() -> Option<u16> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(&stdout)
        .ok()
        .map(|size| size.ws_col)
        .filter(|width| *width > 0)
}

/// The current month of a zone.
pub(super) fn this_month(zone: Tz) -> String {
    billing::period::month_of(schemas::Micros(runtime::clock::now_us()), zone)
}

/// The configuration's price book; an empty one if it names none, and then everything is unpriced.
pub(super) fn price_book(config: &Config) -> anyhow::Result<PriceBook> {
    match &config.prices {
        Some(path) => prices::load(path).map_err(|error| usage(error).into()),
        None => PriceBook::new(&[]).map_err(|_| usage("the empty price book is refused").into()),
    }
}

/// Makes a report from the configuration's ledger; starts its engine if none runs.
pub(super) async fn make(
    config: &Config,
    book: &PriceBook,
    request: &Request,
) -> anyhow::Result<Chargeback> {
    ledger::ask(config, async |client| {
        Ok(report(client, book, request).await?)
    })
    .await
}

/// The sample's table.
pub async fn print_sample(config: &Config) -> anyhow::Result<()> {
    let request = Request {
        period: Period::parse(&this_month(Tz::UTC), Tz::UTC)?,
        by: Dimension::parse_list("tenant,project,model")?,
        synthetic: Synthetic::Only,
        tenant: None,
    };
    let chargeback = make(config, &price_book(config)?, &request).await?;
    print!("{}", render::report(&chargeback, Format::Table, width())?);
    Ok(())
}
