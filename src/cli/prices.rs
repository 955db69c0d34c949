//! `tollgate prices`: is a price book right, what is in it, what changed, and what of a public map can be taken over.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use billing::prices::{self, Filter, PricesError};
use billing::render::{self, Format};
use clap::Subcommand;
use schemas::price::parse_instant;
use schemas::{Micros, PriceBook};

use super::report::{parse, usage, width};
use super::{Usage, prices_import, prices_used};

/// The price book.
#[derive(Debug, Subcommand)]
pub enum Prices {
    /// Tell all that is wrong with a price book, and what is worth knowing before a bill stands on it
    #[command(
        after_help = "Examples:\n  tollgate prices check prices.csv\n  tollgate prices check prices.csv --max-age-days 30\n  tollgate prices check prices.csv --used 2026-11 --config tollgate.toml   what was used and has no price\n\nExit code 1 if anything is wrong. What is only worth knowing does not fail."
    )]
    Check(Check),
    /// Print lines of a price book
    #[command(
        after_help = "Examples:\n  tollgate prices list prices.csv --provider openai --model gpt-4o-2024-11-20\n  tollgate prices list prices.csv --at 2026-11-24T12:00+01:00 --format json"
    )]
    List(List),
    /// Print what changed between two price books, by what is priced
    #[command(after_help = "Examples:\n  tollgate prices diff old.csv new.csv --format csv")]
    Diff(Diff),
    /// Turn a public price map into a price book, and tell what was not taken and why
    #[command(
        after_help = "Examples:\n  tollgate prices import --from litellm --provider openai model_prices_and_context_window.json --source 'BerriAI/litellm @ 1234567' > book.csv\n  tollgate prices import --from portkey --provider openai openai.json --source 'Portkey-AI/models @ 1234567' --out book.csv --refused refused.csv"
    )]
    Import(prices_import::Import),
}

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Price book, .csv or .toml
    #[arg(value_name = "FILE", default_value = "prices.csv")]
    file: PathBuf,
    /// A source that was read longer ago is old
    #[arg(long, value_name = "DAYS", default_value_t = prices::MAX_AGE_DAYS, value_parser = clap::value_parser!(i64).range(0..=36_500))]
    max_age_days: i64,
    #[command(flatten)]
    used: prices_used::Used,
}

/// What to print.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Price book, .csv or .toml
    #[arg(value_name = "FILE", default_value = "prices.csv")]
    file: PathBuf,
    /// Only this provider
    #[arg(long)]
    provider: Option<String>,
    /// What a model of this name is priced by
    #[arg(long)]
    model: Option<String>,
    /// Only what holds at a day (midnight UTC) or a time with its offset
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,
    /// table, csv (a price book again) or json
    #[arg(long, default_value = "table")]
    format: String,
}

/// What to compare.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The price book before
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The price book after
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// table, csv or json
    #[arg(long, default_value = "table")]
    format: String,
}

impl Prices {
    /// Does what was asked.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check(check) => check.run(),
            Self::List(list) => list.run(),
            Self::Diff(diff) => diff.run(),
            Self::Import(import) => import.run(),
        }
    }
}

impl Check {
    fn run(self) -> anyhow::Result<ExitCode> {
        let book = match prices::load(&self.file) {
            Ok(book) => book,
            // What is wrong with the prices is the answer, not a failure to answer.
            Err(error @ PricesError::Invalid { .. }) => {
                println!("{error}");
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => return Err(usage(error).into()),
        };
        println!(
            "{}: {} prices in {} lines, nothing wrong (version {})",
            self.file.display(),
            book.prices().count(),
            book.entries().len(),
            book.version()
        );
        let mut notices = prices::notices(&book, now(), self.max_age_days);
        notices.extend(self.used.notices(&book)?);
        for notice in notices {
            println!("note: {notice}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let format: Format = parse(&self.format)?;
        let book = load(&self.file)?;
        let filter = Filter {
            provider: self.provider,
            model: self.model,
            at: self
                .at
                .as_deref()
                .map(parse_instant)
                .transpose()
                .map_err(usage)?,
        };
        let lines = prices::list(&book, &filter, now());
        print!("{}", render::prices(&lines, format, width())?);
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    fn run(self) -> anyhow::Result<ExitCode> {
        let format: Format = parse(&self.format)?;
        let diff = prices::diff(&load(&self.old)?, &load(&self.new)?);
        print!("{}", render::price_diff(&diff, format, width())?);
        Ok(ExitCode::SUCCESS)
    }
}

fn load(path: &Path) -> Result<PriceBook, Usage> {
    prices::load(path).map_err(usage)
}

fn now() -> Micros {
    Micros(runtime::clock::now_us())
}

/// Writes a file, or says which could not be written.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
