//! The trail as a table: every line of every request, what is known of it, what it was rated at, and its measures.
//! While it is written it adds itself up, row by row of the report, so that the two can be compared.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemas::price::Priced;
use schemas::{Billable, Micros, Money, PriceBook, Unit};

use crate::BillingError;
use crate::chargeback::groups::Group;
use crate::chargeback::sql::MAX_DAYS;
use crate::chargeback::{Dimension, Figures, Request, Why, pricing, rate};
use crate::export::column::{Column, Kind, Value};
use crate::export::measures;
use crate::export::record::{Line, Record};

const FACTS: [(&str, Kind); 50] = [
    ("event_id", Kind::Text),
    ("line", Kind::Number),
    ("received", Kind::Instant),
    ("request_id", Kind::Text),
    ("tenant", Kind::Text),
    ("project", Kind::Text),
    ("key_id", Kind::Text),
    ("principal", Kind::Text),
    ("auth_method", Kind::Text),
    ("conversation", Kind::Text),
    ("labels", Kind::Texts),
    ("api", Kind::Text),
    ("stream", Kind::Flag),
    ("route", Kind::Text),
    ("deployment", Kind::Text),
    ("provider", Kind::Text),
    ("region", Kind::Text),
    ("data_zone", Kind::Text),
    ("capacity", Kind::Text),
    ("model_requested", Kind::Text),
    ("model_served", Kind::Text),
    ("model", Kind::Text),
    ("service_tier", Kind::Text),
    ("speed", Kind::Text),
    ("geography", Kind::Text),
    ("outcome", Kind::Text),
    ("outcome_detail", Kind::Text),
    ("status", Kind::Number),
    ("finish_reason", Kind::Text),
    ("limit_hit", Kind::Text),
    ("policies", Kind::Text),
    ("attempts", Kind::Number),
    ("usage_source", Kind::Text),
    ("usage_quality", Kind::Text),
    ("provider_cost", Kind::Text),
    ("provider_cost_currency", Kind::Text),
    ("billable", Kind::Text),
    ("synthetic", Kind::Flag),
    ("topic", Kind::Text),
    ("partition", Kind::Number),
    ("offset", Kind::Number),
    ("reported_units", Kind::Counts),
    ("reserved_units", Kind::Counts),
    ("context_units", Kind::Number),
    ("rating", Kind::Text),
    ("unit_prices", Kind::Monies),
    ("price_currencies", Kind::Texts),
    ("price_sources", Kind::Texts),
    ("uplifts", Kind::Texts),
    ("unpriced_reasons", Kind::Texts),
];

pub(super) fn columns() -> Vec<Column> {
    let facts = FACTS.iter().map(|(name, kind)| Column::fact(*name, *kind));
    facts.chain(measures::columns(Kind::Number)).collect()
}

/// Rates records and adds them up by the columns of the report.
pub(super) struct Rater<'a> {
    book: &'a PriceBook,
    by: &'a [Dimension],
    /// The first instant of each day of the period, and its date; only where a column asks for it.
    days: Vec<(Micros, String)>,
    rows: BTreeMap<Vec<String>, Figures>,
}

impl<'a> Rater<'a> {
    pub(super) fn new(request: &'a Request, book: &'a PriceBook) -> Result<Self, BillingError> {
        let days = if request.by.contains(&Dimension::Day) {
            let days = request.period.days(MAX_DAYS);
            let days = days.ok_or(BillingError::TooManyDays(MAX_DAYS))?;
            days.into_iter()
                .map(|(at, day)| (at, day.to_string()))
                .collect()
        } else {
            Vec::new()
        };
        Ok(Self {
            book,
            by: &request.by,
            days,
            rows: BTreeMap::new(),
        })
    }

    /// Gives every record of a request's lines to `take`.
    pub(super) fn rate<E: From<BillingError>>(
        &mut self,
        record: &Record,
        mut take: impl FnMut(&[Value<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        for line in record.lines() {
            let figures = rate::figures(&line.group, self.book)?;
            for measures in measures::records(&figures) {
                let mut values = facts(record, &line, self.book);
                values.extend(measures);
                take(&values)?;
            }
            let row = self.by.iter().map(|by| self.column(by, record, &line));
            let row = self.rows.entry(row.collect());
            row.or_insert_with(Figures::none).add(&figures)?;
        }
        Ok(())
    }

    /// What the trail adds up to, by the columns of the report.
    pub(super) fn into_rows(self) -> BTreeMap<Vec<String>, Figures> {
        self.rows
    }

    fn column(&self, by: &Dimension, record: &Record, line: &Line) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        match by {
            Dimension::Tenant => record.tenant.clone(),
            Dimension::Project => record.project.clone(),
            Dimension::Key => record.key_id.clone(),
            Dimension::Model => line.group.sku.model.clone(),
            Dimension::Provider => text(&record.provider),
            Dimension::Deployment => text(&record.deployment),
            Dimension::Route => text(&record.route),
            Dimension::Api => record.api.to_string(),
            Dimension::Outcome => record.outcome.to_string(),
            Dimension::Day => self.day(Micros(record.received_us)),
            Dimension::Label(name) => record.labels.get(name).cloned().unwrap_or_default(),
        }
    }

    fn day(&self, at: Micros) -> String {
        let begun = self.days.partition_point(|(start, _)| *start <= at);
        let day = begun.checked_sub(1).and_then(|day| self.days.get(day));
        day.map(|(_, date)| date.clone()).unwrap_or_default()
    }
}

/// The values of [`FACTS`], in its order.
fn facts<'a>(record: &'a Record, line: &'a Line, book: &'a PriceBook) -> Vec<Value<'a>> {
    let mut values = Vec::with_capacity(FACTS.len() + 48);
    values.extend(who(record, line));
    values.extend(what(record, line));
    values.extend(rated(record, line, book));
    debug_assert_eq!(values.len(), FACTS.len(), "a value for each column");
    values
}

fn who<'a>(record: &'a Record, line: &Line) -> [Value<'a>; 11] {
    let labels = record.labels.iter();
    [
        Value::text(&record.event_id),
        Value::number(line.number),
        Value::Instant(record.received_us),
        Value::text(&record.request_id),
        Value::text(&record.tenant),
        Value::text(&record.project),
        Value::text(&record.key_id),
        Value::maybe(record.principal.as_deref()),
        Value::text(record.auth_method.as_str()),
        Value::maybe(record.conversation.as_deref()),
        Value::Texts(labels.map(|(k, v)| (k.into(), v.into())).collect()),
    ]
}

fn what<'a>(record: &'a Record, line: &'a Line) -> [Value<'a>; 30] {
    let sku = &line.group.sku;
    let known = |text: &'a str| Value::maybe(Some(text).filter(|text| !text.is_empty()));
    [
        Value::text(record.api.as_str()),
        Value::Flag(record.stream),
        Value::maybe(record.route.as_deref()),
        Value::maybe(record.deployment.as_deref()),
        Value::maybe(record.provider.as_deref()),
        Value::maybe(record.region.as_deref()),
        Value::maybe(record.data_zone.as_deref()),
        Value::maybe(record.capacity.map(schemas::Capacity::as_str)),
        Value::text(&record.model_requested),
        Value::maybe(record.model_served.as_deref()),
        known(&sku.model),
        known(&sku.tier),
        known(&sku.speed),
        known(&sku.geography),
        Value::text(record.outcome.as_str()),
        Value::maybe(record.outcome_detail.as_deref()),
        record.status.map_or(Value::Null, Value::number),
        Value::maybe(record.finish_reason.as_deref()),
        Value::maybe(record.limit_hit.as_deref()),
        known(&record.policies),
        Value::number(record.attempts),
        Value::text(record.usage_source.as_str()),
        Value::text(record.usage_quality.as_str()),
        Value::maybe(record.provider_cost.as_deref()),
        Value::maybe(record.provider_cost_currency.as_deref()),
        Value::text(record.billable.as_str()),
        Value::Flag(record.synthetic),
        Value::text(&record.topic),
        Value::number(record.partition),
        Value::number(record.offset),
    ]
}

fn rated<'a>(record: &Record, line: &'a Line, book: &'a PriceBook) -> [Value<'a>; 9] {
    let group = &line.group;
    let (mut prices, mut currencies) = (Vec::new(), Vec::new());
    let (mut sources, mut uplifts, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for (unit, price) in prices_of(group, book) {
        let name = unit.as_str();
        match price {
            Ok(found) => {
                prices.push((name, found.rate.per_unit()));
                currencies.push((name.into(), found.price.currency.to_string().into()));
                sources.push((name.into(), found.price.source.as_str().into()));
                uplifts.extend(found.uplift.map(|up| {
                    let text = format!("{} ({})", up.factor, up.origin.source);
                    (Cow::from(name), Cow::from(text))
                }));
            }
            Err(why) => reasons.push((name.into(), reason(why).into())),
        }
    }
    let reserved = if group.requests == 0 {
        Vec::new()
    } else {
        record.reserved()
    };
    [
        counts(&line.units),
        counts(&reserved),
        Value::number(group.context),
        Value::text(rating(group, &prices, reasons.is_empty())),
        Value::Monies(prices),
        Value::Texts(currencies),
        Value::Texts(sources),
        Value::Texts(uplifts),
        Value::Texts(reasons),
    ]
}

/// The price of each unit that rating took, or why there is none. Nothing was rated of a refusal and of what is free.
fn prices_of<'a>(group: &'a Group, book: &'a PriceBook) -> Vec<(Unit, Result<Priced<'a>, Why>)> {
    if group.is_bounded_by_reservation() {
        let dearest = |unit: Unit| pricing::dearest(book, group, unit);
        return group
            .estimated
            .keys()
            .map(|unit| (*unit, dearest(*unit)))
            .collect();
    }
    if group.outcome.is_refusal() || group.billable == Billable::No {
        return Vec::new();
    }
    let price = |unit: Unit| pricing::price(book, &group.sku, unit, group.at, group.context);
    group
        .units
        .keys()
        .map(|unit| (*unit, price(*unit)))
        .collect()
}

/// What became of the line on the bill, in a word.
fn rating(group: &Group, prices: &[(&str, Money)], all_priced: bool) -> &'static str {
    if group.outcome == schemas::Outcome::Unknown {
        return "unknown";
    }
    if group.outcome.is_refusal() {
        return "refused";
    }
    match group.billable {
        Billable::No => "free",
        Billable::Unclear => "unclear",
        Billable::Yes if !group.has_units => "no_figures",
        Billable::Yes if !all_priced && prices.is_empty() => "unpriced",
        Billable::Yes if !all_priced => "partly_priced",
        Billable::Yes if prices.is_empty() => "nothing_used",
        Billable::Yes => "priced",
    }
}

fn reason(why: Why) -> &'static str {
    match why {
        Why::NoRate => "no_rate",
        Why::Ptu => "ptu",
        Why::Speed => "speed",
        Why::Geography => "geography",
        Why::NoModel => "no_model",
    }
}

fn counts(units: &[(Unit, i64)]) -> Value<'static> {
    let named = units
        .iter()
        .map(|(unit, count)| (unit.as_str(), i128::from(*count)));
    Value::Counts(named.collect())
}
