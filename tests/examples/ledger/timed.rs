//! Reports, timed as whoever asks for one waits.

use std::path::Path;
use std::time::Instant;

use billing::chargeback::{Dimension, Request, Synthetic, report};
use billing::{Period, period};
use schemas::PriceBook;

use crate::{Engine, fill};

/// Seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

/// A ledger's reports.
#[derive(Debug)]
pub(crate) struct Reports {
    /// All tenants, by tenant, project and model.
    pub(crate) month: Spread,
    /// All tenants, by day and model.
    pub(crate) days: Spread,
    /// One tenant, by project and model.
    pub(crate) tenant: Spread,
}

impl Reports {
    pub(crate) async fn measure(engine: &Engine, month: &str, events: u64, rounds: u64) -> Self {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prices.csv");
        let book = billing::prices::load(&book).expect("prices");
        let one = Some(fill::tenant(7));
        let by = |columns: &str, tenant: Option<String>| Request {
            period: Period::parse(month, period::zone("UTC").expect("a zone")).expect("a month"),
            by: Dimension::parse_list(columns).expect("columns"),
            synthetic: Synthetic::Include,
            tenant,
        };
        Self {
            month: timed(
                engine,
                &book,
                &by("tenant,project,model", None),
                rounds,
                events,
            )
            .await,
            days: timed(engine, &book, &by("day,model", None), rounds, events).await,
            tenant: timed(engine, &book, &by("project,model", one), rounds, 1).await,
        }
    }
}

/// Asks once before, so that every round finds the files in memory alike.
async fn timed(
    engine: &Engine,
    book: &PriceBook,
    request: &Request,
    rounds: u64,
    at_least: u64,
) -> Spread {
    let mut seconds = Vec::new();
    for round in 0..=rounds {
        let began = Instant::now();
        let made = report(&engine.reader, book, request)
            .await
            .expect("a report");
        let took = began.elapsed().as_secs_f64();
        assert!(
            made.totals.requests >= i128::from(at_least),
            "VOID: {} requests of {at_least}",
            made.totals.requests
        );
        if round > 0 {
            seconds.push(took);
        }
    }
    seconds.sort_by(f64::total_cmp);
    Spread {
        least: seconds[0],
        median: seconds[seconds.len() / 2],
        most: seconds[seconds.len() - 1],
    }
}
