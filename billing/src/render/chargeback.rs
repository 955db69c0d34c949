//! The chargeback report as a table and as CSV.

use std::collections::BTreeSet;

use schemas::Unit;

use super::notes::notes;
use super::table::{Column, draw};
use super::text::{cell, grouped, shown};
use super::{RenderError, csv_text};
use crate::chargeback::{Amount, Figures, Report, Row};

/// A count of a row that the table shows if any row has it.
type Count = (&'static str, fn(&Figures) -> i128);

const COUNTS: [Count; 6] = [
    ("aborted", |f| f.aborted_requests),
    ("refused", |f| f.refused_requests),
    ("free", |f| f.free_requests),
    ("unclear", |f| f.unclear_requests),
    ("unknown", |f| f.unknown_requests),
    ("estimated", |f| f.estimated_requests),
];

/// The table, and the notes under it.
pub(super) fn table(report: &Report, width: Option<u16>) -> String {
    let units: BTreeSet<Unit> = report.totals.units.keys().copied().collect();
    let counts: Vec<_> = COUNTS
        .into_iter()
        .filter(|(_, count)| count(&report.totals) != 0)
        .collect();
    let has_exposure = !report.totals.exposure.at_most.is_empty()
        || report.totals.exposure.unbounded_requests != 0;
    let mut columns: Vec<_> = report
        .by
        .iter()
        .map(|name| Column::text(shown(name)))
        .collect();
    if columns.is_empty() {
        columns.push(Column::text(""));
    }
    columns.push(Column::number("requests"));
    columns.extend(units.iter().map(|unit| Column::number(unit.as_str())));
    columns.push(Column::number("cost"));
    columns.extend(counts.iter().map(|(name, _)| Column::number(*name)));
    if has_exposure {
        columns.push(Column::number("may add"));
    }
    let line = |mut cells: Vec<String>, figures: &Figures| {
        cells.push(grouped(figures.requests));
        cells.extend(units.iter().map(|unit| match count_of(figures, *unit) {
            Some(count) => grouped(count),
            None => "-".to_owned(),
        }));
        cells.push(cost(figures));
        cells.extend(counts.iter().map(|(_, count)| grouped(count(figures))));
        if has_exposure {
            cells.push(may_add(figures));
        }
        cells
    };
    let mut rows = Vec::with_capacity(report.rows.len() + 1);
    if !report.by.is_empty() {
        rows.extend(report.rows.iter().map(|row| {
            line(
                row.columns.iter().map(|text| shown(text)).collect(),
                &row.figures,
            )
        }));
    }
    let mut total = vec![String::new(); report.by.len().max(1)];
    "TOTAL".clone_into(&mut total[0]);
    rows.push(line(total, &report.totals));
    let mut text = draw(&columns, rows, width);
    for note in notes(report) {
        text.push_str(&note);
        text.push('\n');
    }
    text
}

/// Amounts line by line; a star where something is missing from them. What has no price has no cost.
fn cost(figures: &Figures) -> String {
    let star = if figures.complete { "" } else { " *" };
    if figures.amounts.is_empty() {
        return format!("-{star}");
    }
    let amounts: Vec<_> = figures
        .amounts
        .iter()
        .map(|amount| format!("{} {}{star}", amount.cost, amount.currency))
        .collect();
    amounts.join("\n")
}

/// How many of a unit; where figures are missing, none of them is not 0. A line after an answer's first counts no request.
fn count_of(figures: &Figures, unit: Unit) -> Option<i128> {
    let is_whole = figures.complete || figures.requests > 0;
    let nothing = (is_whole && figures.flawed_requests == 0).then_some(0);
    figures.units.get(&unit).copied().or(nothing)
}

fn may_add(figures: &Figures) -> String {
    let exposure = &figures.exposure;
    let mut parts: Vec<_> = exposure
        .at_most
        .iter()
        .map(|(currency, money)| format!("≤ {money} {currency}"))
        .collect();
    if exposure.unbounded_requests != 0 {
        parts.push(format!("? ({})", grouped(exposure.unbounded_requests)));
    }
    if parts.is_empty() {
        "-".to_owned()
    } else {
        parts.join("\n")
    }
}

const BEFORE_UNITS: [Count; 19] = [
    ("requests", |f| f.requests),
    ("charged_requests", |f| f.charged_requests),
    ("free_requests", |f| f.free_requests),
    ("refused_requests", |f| f.refused_requests),
    ("unclear_requests", |f| f.unclear_requests),
    ("unknown_requests", |f| f.unknown_requests),
    ("aborted_requests", |f| f.aborted_requests),
    ("estimated_requests", |f| f.estimated_requests),
    ("flawed_requests", |f| f.flawed_requests),
    ("input_tokens", |f| f.input_tokens),
    ("output_tokens", |f| f.output_tokens),
    ("estimated_tokens", |f| f.estimated_tokens),
    ("coverage_reported", |f| f.coverage.reported.requests),
    ("coverage_reported_zero", |f| {
        f.coverage.reported_zero.requests
    }),
    ("coverage_partial", |f| f.coverage.partial.requests),
    ("coverage_estimated", |f| f.coverage.estimated.requests),
    ("coverage_missing", |f| f.coverage.missing.requests),
    ("coverage_not_metered", |f| f.coverage.not_metered.requests),
    ("unpriced_requests", |f| f.coverage.unpriced_requests),
];

/// One record a row and currency. Where a row has two currencies, its counts stand on the first record only, so
/// that a column can be added up. So do the records that could not be read, on the first of all: they are of no row.
pub(super) fn csv(report: &Report) -> Result<String, RenderError> {
    let mut header = report.by.clone();
    header.extend(
        [
            "currency",
            "cost",
            "estimated_cost",
            "may_add_at_most",
            "complete",
        ]
        .map(str::to_owned),
    );
    header.extend(BEFORE_UNITS.iter().map(|(name, _)| (*name).to_owned()));
    // One of the units is called `requests`, so the names alone would not do.
    header.extend(Unit::ALL.iter().map(|unit| format!("unit_{unit}")));
    header.extend(["unbounded_requests", "unpriced", "unreadable_records"].map(str::to_owned));
    let mut unreadable = report.unreadable_records;
    let nothing = (report.rows.is_empty() && unreadable != 0).then(|| Row {
        columns: vec![String::new(); report.by.len()],
        figures: Figures {
            complete: false,
            ..Figures::none()
        },
    });
    let rows = report.rows.iter().chain(&nothing);
    let records = rows.flat_map(|row| {
        let amounts = amounts(&row.figures);
        let columns: Vec<_> = row.columns.iter().map(|text| cell(text)).collect();
        let records = amounts.into_iter().enumerate().map(|(at, amount)| {
            let mut record = columns.clone();
            record.extend(amount);
            record.extend(counts(&row.figures, at == 0));
            record.push(std::mem::take(&mut unreadable).to_string());
            record
        });
        records.collect::<Vec<_>>()
    });
    csv_text(&header, records)
}

/// Currency, cost, estimated cost, bound, completeness: for every currency of cost or exposure, or one without.
fn amounts(figures: &Figures) -> Vec<[String; 5]> {
    let exposed = &figures.exposure.at_most;
    let currencies: BTreeSet<_> = figures
        .amounts
        .iter()
        .map(|amount| amount.currency)
        .chain(exposed.keys().copied())
        .collect();
    let complete = figures.complete.to_string();
    if currencies.is_empty() {
        let none = String::new;
        return vec![[none(), none(), none(), none(), complete]];
    }
    // What has no price has no cost, and what is not bounded no bound: that is not 0.
    let text = |money: Option<schemas::Money>| money.map_or(String::new(), |m| m.to_string());
    let record = |currency: &schemas::Currency| {
        let amount: Option<&Amount> = figures
            .amounts
            .iter()
            .find(|amount| amount.currency == *currency);
        [
            currency.to_string(),
            text(amount.map(|amount| amount.cost)),
            text(amount.map(|amount| amount.estimated_cost)),
            text(exposed.get(currency).copied()),
            complete.clone(),
        ]
    };
    currencies.iter().map(record).collect()
}

fn counts(figures: &Figures, is_first: bool) -> Vec<String> {
    if !is_first {
        return vec![String::new(); BEFORE_UNITS.len() + Unit::ALL.len() + 2];
    }
    let mut cells: Vec<_> = BEFORE_UNITS
        .iter()
        .map(|(_, count)| count(figures).to_string())
        .collect();
    let count = |unit: &Unit| {
        let known = count_of(figures, *unit);
        known.map_or_else(String::new, |count| count.to_string())
    };
    cells.extend(Unit::ALL.iter().map(count));
    cells.push(figures.exposure.unbounded_requests.to_string());
    let unpriced: Vec<_> = figures
        .unpriced
        .iter()
        .map(|u| format!("{}/{}/{}={}", u.provider, u.model, u.unit, u.count))
        .collect();
    cells.push(cell(&unpriced.join(" ")));
    cells
}
