//! The measures: the last columns of the summary and of the trail alike. Each is the same figure of a report's row and
//! of one request's line, so that a column of the trail adds up to that of the summary.

use std::collections::BTreeSet;

use schemas::{Currency, Unit};

use crate::chargeback::{Amount, Figures};
use crate::export::column::{Column, Kind, Role, Value};

type Count = (&'static str, fn(&Figures) -> i128);

const COUNTS: [Count; 14] = [
    ("requests", |f| f.requests),
    ("charged_requests", |f| f.charged_requests),
    ("free_requests", |f| f.free_requests),
    ("refused_requests", |f| f.refused_requests),
    ("unclear_requests", |f| f.unclear_requests),
    ("unknown_requests", |f| f.unknown_requests),
    ("aborted_requests", |f| f.aborted_requests),
    ("estimated_requests", |f| f.estimated_requests),
    ("flawed_requests", |f| f.flawed_requests),
    ("unpriced_requests", |f| f.coverage.unpriced_requests),
    ("unbounded_requests", |f| f.exposure.unbounded_requests),
    ("input_tokens", |f| f.input_tokens),
    ("output_tokens", |f| f.output_tokens),
    ("estimated_tokens", |f| f.estimated_tokens),
];

/// The columns; `counts` is the width of their numbers.
pub(super) fn columns(counts: Kind) -> Vec<Column> {
    let mut columns = vec![
        Column::new("currency", Kind::Text, Role::Currency),
        Column::new("cost", Kind::Money, Role::SumByCurrency),
        Column::new("estimated_cost", Kind::Money, Role::SumByCurrency),
        Column::new("exposure_at_most", Kind::Money, Role::SumByCurrency),
        Column::fact("complete", Kind::Flag),
    ];
    let count = |(name, _): &Count| Column::new(*name, counts, Role::Sum);
    columns.extend(COUNTS.iter().map(count));
    // One of the units is called `requests`, so the names alone would not do.
    let unit = |unit: &Unit| Column::new(format!("unit_{unit}"), counts, Role::SumOfUnit);
    columns.extend(Unit::ALL.iter().map(unit));
    columns.extend(
        ["exposure_units", "unpriced_units"].map(|name| Column::new(name, Kind::Counts, Role::Sum)),
    );
    columns
}

/// A record for every currency of cost or exposure, or one without. Counts stand on the first alone, so that a column
/// can be added up.
pub(super) fn records(figures: &Figures) -> Vec<Vec<Value<'static>>> {
    let exposed = figures.exposure.at_most.keys().copied();
    let charged = figures.amounts.iter().map(|amount| amount.currency);
    let currencies: BTreeSet<_> = charged.chain(exposed).collect();
    if currencies.is_empty() {
        return vec![record(figures, None, counts(figures))];
    }
    let all = currencies.into_iter().enumerate();
    all.map(|(at, currency)| {
        let counts = if at == 0 {
            counts(figures)
        } else {
            no_counts()
        };
        record(figures, Some(currency), counts)
    })
    .collect()
}

fn record(
    figures: &Figures,
    currency: Option<Currency>,
    counts: Vec<Value<'static>>,
) -> Vec<Value<'static>> {
    let of = |amount: &&Amount| Some(amount.currency) == currency;
    let amount = figures.amounts.iter().find(of);
    let exposed = currency.and_then(|currency| figures.exposure.at_most.get(&currency));
    let money = |money: Option<schemas::Money>| money.map_or(Value::Null, Value::Money);
    let mut values = Vec::with_capacity(5 + counts.len());
    values.extend([
        currency.map_or(Value::Null, |currency| {
            Value::Text(currency.to_string().into())
        }),
        money(amount.map(|amount| amount.cost)),
        money(amount.map(|amount| amount.estimated_cost)),
        money(exposed.copied()),
        Value::Flag(figures.complete),
    ]);
    values.extend(counts);
    values
}

fn counts(figures: &Figures) -> Vec<Value<'static>> {
    let mut values: Vec<_> = COUNTS
        .iter()
        .map(|(_, count)| Value::Count(count(figures)))
        .collect();
    let unit = |unit: &Unit| figures.units.get(unit).copied();
    values.extend(
        Unit::ALL
            .iter()
            .map(|of| unit(of).map_or(Value::Null, Value::Count)),
    );
    let exposed = figures.exposure.units.iter();
    values.push(Value::Counts(
        exposed
            .map(|(unit, count)| (unit.as_str(), *count))
            .collect(),
    ));
    values.push(Value::Counts(unpriced(figures)));
    values
}

/// One count a unit, whichever models it is of.
fn unpriced(figures: &Figures) -> Vec<(&'static str, i128)> {
    let mut sums = std::collections::BTreeMap::<Unit, i128>::new();
    for unpriced in &figures.unpriced {
        let sum = sums.entry(unpriced.unit).or_insert(0);
        *sum = sum.saturating_add(unpriced.count);
    }
    sums.into_iter()
        .map(|(unit, count)| (unit.as_str(), count))
        .collect()
}

fn no_counts() -> Vec<Value<'static>> {
    let mut values = vec![Value::Null; COUNTS.len() + Unit::ALL.len()];
    values.extend([Value::Counts(Vec::new()), Value::Counts(Vec::new())]);
    values
}
