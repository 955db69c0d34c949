//! The fast way to add a period up: over the few columns that most events are rated by. See `schemas::rated`.
//!
//! Rows without a text there are only counted here, with a mark of which they are, so that what is read of them another way can
//! be checked to be of the same rows.

use std::fmt::Write as _;

use schemas::PriceBook;
use schemas::rated::{MAX_COUNTS, RatedAs};
use serde::Deserialize;

use crate::BillingError;
use crate::chargeback::groups::{Called, Group, Sku};
use crate::chargeback::{Dimension, Request, sql};
use crate::sql::{instant, lines};

/// A sum of more rows than this might not fit 64 bits: each of its counts has 32.
const MAX_ROWS: u64 = 1 << 31;

/// A period, as far as its rows have a text.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// The sums of rows with a text.
    pub(super) groups: Vec<Group>,
    /// All rows.
    pub(super) rows: u64,
    /// Rows without a text.
    pub(super) others: Others,
}

/// Rows that are read another way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    /// How many.
    pub(super) rows: u64,
    /// Which: the exclusive or of hashes of their events and versions.
    pub(super) mark: u64,
}

/// The mark of one row.
pub(super) const MARK: &str = "cityHash64(event_id, version)";

/// The query, and the values for its question marks in their order.
pub(super) fn query(
    request: &Request,
    book: &PriceBook,
) -> Result<(String, Vec<String>), BillingError> {
    let mut bound = Vec::new();
    let (mut inner, mut keys, mut texts) = (String::new(), String::new(), Vec::new());
    for (at, dimension) in request.by.iter().enumerate() {
        if of_text(dimension).is_some() {
            continue;
        }
        let Some(expression) = sql::raw_column(dimension, request, &mut bound)? else {
            continue;
        };
        write!(inner, ", {expression} AS d{at}")
            .and_then(|()| write!(keys, ", d{at}"))
            .map_err(|_| BillingError::TooManyGroups(at))?;
        texts.push(format!("ifNull(toString(d{at}), '')"));
    }
    let tenant = sql::of_tenant(request, &mut bound);
    let sums: Vec<_> = (1..=MAX_COUNTS)
        .map(|at| format!("sum(rated_{at})"))
        .collect();
    let texts = if texts.is_empty() {
        "CAST([] AS Array(String))".to_owned()
    } else {
        format!("[{}]", texts.join(", "))
    };
    let sql = format!(
        "SELECT rated_as, {texts} AS dims, at, context, count() AS rows, sum(count) AS request_count, [{sums}] AS sums, \
         groupBitXor(if(rated_as = '', {MARK}, 0)) AS mark \
         FROM (SELECT rated_as, event_id, version, count, {counts}, {at} AS at, {context} AS context{inner} \
         FROM usage_events FINAL WHERE received >= {start} AND received < {end}{tenant}) \
         GROUP BY rated_as, at, context{keys} LIMIT {limit}",
        sums = sums.join(", "),
        counts = (1..=MAX_COUNTS)
            .map(|at| format!("rated_{at}"))
            .collect::<Vec<_>>()
            .join(", "),
        at = sql::at(request, book)?,
        context = context(book),
        start = instant(request.period.start()),
        end = instant(request.period.end()),
        limit = sql::MAX_GROUPS + 1,
    );
    Ok((sql, bound))
}

/// The smallest count of the context band of an event's only line.
fn context(book: &PriceBook) -> String {
    match sql::band_starts(book) {
        None => "toInt64(0)".to_owned(),
        Some(starts) => sql::rounded_down("toInt64(rated_input)", &starts),
    }
}

/// A column of the report that an event's text says.
fn of_text(dimension: &Dimension) -> Option<fn(&RatedAs<'_>) -> String> {
    match dimension {
        Dimension::Model => Some(|rated| rated.model.to_string()),
        Dimension::Provider => Some(|rated| rated.provider.to_string()),
        Dimension::Outcome => Some(|rated| rated.outcome.to_string()),
        Dimension::Tenant
        | Dimension::Project
        | Dimension::Key
        | Dimension::Deployment
        | Dimension::Route
        | Dimension::Api
        | Dimension::Day
        | Dimension::Label(_) => None,
    }
}

/// One group as the store writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rated_as: String,
    dims: Vec<String>,
    at: i64,
    context: i64,
    rows: u64,
    request_count: i64,
    sums: [u64; MAX_COUNTS],
    mark: u64,
}

/// Reads the store's answer, one group a line.
pub(super) fn read(answer: &[u8], by: &[Dimension]) -> Result<Plain, BillingError> {
    let mut plain = Plain::default();
    for raw in lines::<Raw>(answer)? {
        plain.rows += raw.rows;
        if raw.rated_as.is_empty() {
            plain.others.rows += raw.rows;
            plain.others.mark ^= raw.mark;
        } else {
            plain.groups.push(group(&raw, by)?);
        }
    }
    Ok(plain)
}

fn group(raw: &Raw, by: &[Dimension]) -> Result<Group, BillingError> {
    if raw.rows > MAX_ROWS {
        return Err(BillingError::TooLarge(format!("{} events", raw.rows)));
    }
    let wrong = |what: String| BillingError::Answer(format!("rated_as: {what}"));
    let rated = RatedAs::parse(&raw.rated_as).map_err(|error| wrong(error.to_string()))?;
    let counts = rated.used.len() + rated.estimated.len();
    let is_whole = counts <= MAX_COUNTS
        && raw.sums[..counts].iter().all(|sum| *sum > 0)
        && raw.sums[counts..].iter().all(|sum| *sum == 0);
    if !is_whole {
        return Err(wrong("counts of other units than it names".to_owned()));
    }
    let sums = |skipped: usize| raw.sums[skipped..].iter().map(|sum| i128::from(*sum));
    let units = rated.used.iter().copied().zip(sums(0)).collect();
    let estimated = rated.estimated.iter().copied();
    let estimated = estimated.zip(sums(rated.used.len())).collect();
    let mut rest = raw.dims.iter().cloned();
    let dim = |dimension| match of_text(dimension) {
        Some(text) => Some(text(&rated)),
        None => rest.next(),
    };
    let dims: Option<Vec<_>> = by.iter().map(dim).collect();
    let called = rated.called.iter().map(|(provider, model)| Called {
        provider: provider.to_string(),
        model: model.to_string(),
    });
    Ok(Group {
        dims: dims.ok_or_else(|| wrong("a column of the report is missing".to_owned()))?,
        sku: Sku {
            provider: rated.provider.to_string(),
            model: rated.model.to_string(),
            tier: rated.tier.to_string(),
            speed: rated.speed.to_string(),
            geography: rated.geography.to_string(),
            zone: rated.zone.to_string(),
            region: rated.region.to_string(),
            capacity: rated.capacity.to_string(),
        },
        at: raw.at,
        context: raw.context,
        outcome: rated.outcome,
        billable: rated.billable,
        source: rated.source,
        quality: rated.quality,
        synthetic: rated.synthetic,
        is_reserved: rated.is_reserved,
        has_units: rated.has_units,
        names_model: rated.names_model,
        requests: i128::from(raw.request_count),
        others: Vec::new(),
        units,
        doubtful_calls: rated.doubtful_calls,
        called: called.collect(),
        estimated,
    })
}
