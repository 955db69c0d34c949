//! The report: rows in a fixed order, totals, where the log stood, and a digest that says whether two are alike.

use std::collections::BTreeMap;

use schemas::{Money, PriceBook};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::Client;

use crate::BillingError;
use crate::chargeback::groups::Group;
use crate::chargeback::{Amount, Figures, Request, Synthetic, ledger, rate, unreadable};
use crate::sql::lines;

/// The shape of the report; a field is added without, removed or changed with, a new number.
const FORMAT_VERSION: u32 = 2;

/// A chargeback report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The shape of this.
    pub format_version: u32,
    /// The period, as written and as instants.
    pub period: PeriodSpan,
    /// The names of the columns.
    pub by: Vec<String>,
    /// How synthetic traffic was treated.
    pub synthetic: Synthetic,
    /// The one tenant, if it was asked for one.
    pub tenant: Option<String>,
    /// One row for every combination of the columns, in the order of their texts.
    pub rows: Vec<Row>,
    /// The sum of the rows.
    pub totals: Figures,
    /// Synthetic requests that were left out.
    pub synthetic_requests_left_out: i128,
    /// Records of the log that could not be read as events, and so are in no row and no total: those of batches whose
    /// events belong to the period, or that have no event. They name no tenant, so a filter does not leave them out. Where
    /// there are any, the totals are not complete.
    pub unreadable_records: i128,
    /// The log, up to which every record is in the report; later ones may be.
    pub position: Vec<LogPosition>,
    /// The price book.
    pub price_version: String,
    /// SHA-256 over period, columns, filters, rows and totals.
    pub report_hash: String,
}

/// A period as the report states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeriodSpan {
    /// As written.
    pub name: String,
    /// The zone of its days.
    pub zone: String,
    /// First instant, µs since the epoch.
    pub start_us: i64,
    /// First instant after it, µs since the epoch.
    pub end_us: i64,
}

/// A row of the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its columns, in the order of `by`; empty where there is none (a name that led to no route is no model).
    pub columns: Vec<String>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// How far a partition of the log is in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// The log.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The last record of the last batch.
    pub last: i64,
}

/// What the digest is over.
#[derive(Serialize)]
struct Canonical<'a> {
    start_us: i64,
    end_us: i64,
    zone: &'a str,
    by: &'a [String],
    synthetic: Synthetic,
    tenant: &'a Option<String>,
    rows: &'a [Row],
    totals: &'a Figures,
}

/// Makes a report from the ledger. Fails where the store does not answer, or where an amount is too large to be
/// exact; an empty period is no failure.
pub async fn report(
    client: &Client,
    book: &PriceBook,
    request: &Request,
) -> Result<Report, BillingError> {
    // Read first: all that is written by then is in the sums, whatever is written meanwhile.
    let position = position(client).await?;
    let groups = ledger::groups(client, request, book).await?;
    let unreadable = unreadable::unreadable(client, request).await?;
    assemble(&groups, book, request, position, unreadable)
}

async fn position(client: &Client) -> Result<Vec<LogPosition>, BillingError> {
    let sql = "SELECT topic, partition, max(last) AS last FROM cuts FINAL GROUP BY topic, partition ORDER BY topic, partition";
    let answer = client
        .query(sql)
        .setting("output_format_json_quote_64bit_integers", "0")
        .bytes("JSONEachRow")
        .await?;
    lines(&answer)
}

/// The pure part: rates every group and adds them up.
pub(super) fn assemble(
    groups: &[Group],
    book: &PriceBook,
    request: &Request,
    position: Vec<LogPosition>,
    unreadable_records: i128,
) -> Result<Report, BillingError> {
    let mut rows = BTreeMap::<&[String], Figures>::new();
    let mut left_out = Figures::none();
    for group in groups {
        let figures = rate::figures(group, book)?;
        if request.synthetic.shows(group.synthetic) {
            rows.entry(&group.dims)
                .or_insert_with(Figures::none)
                .add(&figures)?;
        } else if group.synthetic {
            left_out.add(&figures)?;
        }
    }
    let mut totals = Figures::none();
    for figures in rows.values_mut() {
        totals.add(figures)?;
        state_zero(figures, book)?;
    }
    // What could not be read may be on the bill, in whichever row.
    totals.complete &= unreadable_records == 0;
    state_total_of_nothing(&mut totals, book)?;
    let row = |(columns, figures): (&[String], Figures)| Row {
        columns: columns.to_vec(),
        figures,
    };
    let period = &request.period;
    let mut report = Report {
        format_version: FORMAT_VERSION,
        period: PeriodSpan {
            name: period.name().to_owned(),
            zone: period.zone().name().to_owned(),
            start_us: period.start().0,
            end_us: period.end().0,
        },
        by: request.by.iter().map(ToString::to_string).collect(),
        synthetic: request.synthetic,
        tenant: request.tenant.clone(),
        rows: rows.into_iter().map(row).collect(),
        totals,
        synthetic_requests_left_out: left_out.requests,
        unreadable_records,
        position,
        price_version: book.version().to_owned(),
        report_hash: String::new(),
    };
    report.report_hash = hash(&report)?;
    Ok(report)
}

/// Where the book has one currency, a row that cost nothing costs zero of it: one that is charged, and of which every unit is known
/// and has a price. What is not known, has no price, or is not charged, has no cost, and a part of it that costs nothing is none.
pub(crate) fn state_zero(figures: &mut Figures, book: &PriceBook) -> Result<(), BillingError> {
    if !figures.complete {
        figures.amounts.retain(|amount| amount.cost != Money::ZERO);
        return Ok(());
    }
    if figures.charged_requests == 0 {
        return Ok(());
    }
    add_zero(figures, book)
}

/// The same of a total: no requests, or none that may ever be billed, cost nothing.
fn state_total_of_nothing(totals: &mut Figures, book: &PriceBook) -> Result<(), BillingError> {
    let is_doubtful = totals.unknown_requests != 0 || totals.unclear_requests != 0;
    if totals.complete && totals.charged_requests == 0 && !is_doubtful {
        return add_zero(totals, book);
    }
    state_zero(totals, book)
}

fn add_zero(figures: &mut Figures, book: &PriceBook) -> Result<(), BillingError> {
    match book.currencies().as_slice() {
        [currency] => figures.add_amount(&Amount {
            currency: *currency,
            cost: Money::ZERO,
            estimated_cost: Money::ZERO,
        }),
        _ => Ok(()),
    }
}

fn hash(report: &Report) -> Result<String, BillingError> {
    let canonical = Canonical {
        start_us: report.period.start_us,
        end_us: report.period.end_us,
        zone: &report.period.zone,
        by: &report.by,
        synthetic: report.synthetic,
        tenant: &report.tenant,
        rows: &report.rows,
        totals: &report.totals,
    };
    let bytes =
        serde_json::to_vec(&canonical).map_err(|error| BillingError::Answer(error.to_string()))?;
    Ok(hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod bounds_tests;
