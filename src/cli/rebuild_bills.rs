//! What the bills say before and after a rebuild: the hash of a report by everything, for each period.

use std::collections::BTreeSet;

use billing::Period;
use billing::chargeback::{Dimension, Request, Synthetic, report};
use billing::period::zone;
use consumer::rebuild::{Compared, Site};
use store::Client;

use super::report::{price_book, usage};
use crate::config::Config;

const BY: &str = "tenant,project,key,model,outcome";

/// The hashes of a period's report.
pub struct Bill {
    /// Which.
    pub period: String,
    /// From the old tables, if there are any.
    pub old: Option<String>,
    /// From the new ones.
    pub new: String,
}

impl Bill {
    /// Whether both say the same, or there is only one.
    pub fn is_equal(&self) -> bool {
        self.old.as_ref().is_none_or(|old| *old == self.new)
    }

    /// The difference, for people.
    pub fn told(&self) -> String {
        let old = self.old.as_deref().unwrap_or("nothing");
        format!(
            "report {}: {old} before, {} from the log",
            self.period, self.new
        )
    }
}

/// The bills of a period, or of every month that has events.
pub async fn bills(
    config: &Config,
    site: &Site,
    compared: &[Compared],
    period: Option<&str>,
) -> anyhow::Result<Vec<Bill>> {
    let book = price_book(config)?;
    let has_old = compared
        .iter()
        .any(|table| table.table == "usage_events" && table.old.is_some());
    let periods = match period {
        Some(period) => vec![period.to_owned()],
        None => months(site, has_old).await?,
    };
    let mut bills = Vec::new();
    for period in periods {
        let request = Request {
            period: Period::parse(&period, zone("UTC").map_err(usage)?).map_err(usage)?,
            by: Dimension::parse_list(BY).map_err(usage)?,
            synthetic: Synthetic::Include,
            tenant: None,
        };
        let hash = async |client: &Client| {
            let report = report(client, &book, &request).await?;
            anyhow::Ok(report.report_hash)
        };
        let old = if has_old {
            Some(hash(&site.old).await?)
        } else {
            None
        };
        let new = hash(&site.new).await?;
        bills.push(Bill { period, old, new });
    }
    Ok(bills)
}

async fn months(site: &Site, has_old: bool) -> anyhow::Result<Vec<String>> {
    const SQL: &str = "SELECT DISTINCT formatDateTime(received, '%Y-%m') FROM usage_events";
    let mut months: BTreeSet<String> = site.new.fetch_all(SQL).await?.into_iter().collect();
    if has_old {
        months.extend(site.old.fetch_all::<String>(SQL).await?);
    }
    Ok(months.into_iter().collect())
}
