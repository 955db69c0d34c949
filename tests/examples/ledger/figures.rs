//! The figures, as a file has them. Measuring must not live here.

use std::fmt;

use crate::fill::TENANTS;
use crate::timed::{Reports, Spread};

/// The promises, in seconds.
const MONTH: f64 = 1.0;
const TENANT: f64 = 0.1;

#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) events: u64,
    pub(crate) rounds: u64,
    pub(crate) parts: u64,
    /// As the last event left them.
    pub(crate) fresh: Reports,
    /// Of a month that is one part.
    pub(crate) over: Reports,
}

impl Figures {
    pub(crate) fn is_good(&self) -> bool {
        self.over.month.median < MONTH && self.over.tenant.median < TENANT
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# What `make bench-ledger` measured last, and wrote.\n")?;
        writeln!(f, "events = {}", self.events)?;
        writeln!(f, "tenants = {TENANTS}\nrounds = {}\n", self.rounds)?;
        writeln!(
            f,
            "# Reports of a month that is over, its events in one part: by tenant, project and model; by day and model; of one tenant."
        )?;
        reports(f, &self.over)?;
        writeln!(f, "\n# The same as soon as the last event is in.\n[fresh]")?;
        writeln!(f, "parts = {}", self.parts)?;
        reports(f, &self.fresh)
    }
}

fn reports(f: &mut fmt::Formatter<'_>, reports: &Reports) -> fmt::Result {
    for (name, spread) in [
        ("month", &reports.month),
        ("days", &reports.days),
        ("tenant", &reports.tenant),
    ] {
        let Spread {
            least,
            median,
            most,
        } = spread;
        writeln!(f, "{name}_seconds = {median:.3}")?;
        writeln!(f, "{name}_seconds_min = {least:.3}")?;
        writeln!(f, "{name}_seconds_max = {most:.3}")?;
    }
    Ok(())
}
