//! What the ledger has used and a price book has no price for, and names that are priced as another.

use std::path::PathBuf;

use billing::Period;
use billing::chargeback::{Dimension, Report, Request, Synthetic};
use billing::period::zone;
use schemas::{Micros, PriceBook};

use super::block_on;
use super::report::{make, usage};
use crate::config::Config;

/// Against which usage to check.
#[derive(Debug, clap::Args)]
pub struct Used {
    /// Also tell what was used in a period (in UTC) and has no price; reads the ledger of --config
    #[arg(long, value_name = "PERIOD")]
    used: Option<String>,
    /// Configuration file, with --used
    #[arg(
        long,
        value_name = "FILE",
        default_value = "tollgate.toml",
        env = "TOLLGATE_CONFIG"
    )]
    config: PathBuf,
}

impl Used {
    /// A sentence for every gap and every name that is priced as another; none if no period was named.
    pub fn notices(&self, book: &PriceBook) -> anyhow::Result<Vec<String>> {
        let Some(period) = &self.used else {
            return Ok(Vec::new());
        };
        let request = Request {
            period: Period::parse(period, zone("UTC")?).map_err(usage)?,
            by: Dimension::parse_list("provider,model")?,
            synthetic: Synthetic::Include,
            tenant: None,
        };
        let config = Config::load(&self.config)?.value;
        let report = block_on(async { make(&config, book, &request).await })?;
        let mut notices = gaps(&report);
        notices.extend(other_names(&report, book, request.period.start()));
        Ok(notices)
    }
}

fn gaps(report: &Report) -> Vec<String> {
    let unpriced = report.totals.unpriced.iter();
    unpriced
        .map(|gap| {
            let tier = if gap.service_tier.is_empty() {
                "default"
            } else {
                &gap.service_tier
            };
            format!(
                "unpriced: {} {} of {}/{} ({tier}) were used in {}",
                gap.count, gap.unit, gap.provider, gap.model, report.period.name
            )
        })
        .collect()
}

/// A dated name without prices of its own has those of the undated one; an alias those of its model.
fn other_names(report: &Report, book: &PriceBook, at: Micros) -> Vec<String> {
    let named = report.rows.iter().filter_map(|row| {
        let [provider, model] = row.columns.as_slice() else {
            return None;
        };
        let name = book.priced_name(provider, model, at)?;
        (name != model).then(|| format!("{provider}/{model} is priced as {name}"))
    });
    named.collect()
}
