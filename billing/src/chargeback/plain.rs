//! The fast way to add a period up: over the few columns that most events are rated by. See `schemas::rated`.
//!
//! Groups are formed by numbers, for a store compares those many times faster than texts: of a text its hash. A second query gives
//! the texts of all hashes, and shows that no two have the same.
//!
//! Rows without a text to be rated by are only counted here, with a mark of which they are, so that what is read of them another
//! way can be checked to be of the same rows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::Datelike as _;
use schemas::rated::{MAX_COUNTS, RatedAs};
use schemas::{Micros, PriceBook};
use serde::Deserialize;

use crate::BillingError;
use crate::chargeback::groups::{Called, Group, Sku};
use crate::chargeback::sql::Expression::{Constant, OfRow};
use crate::chargeback::{Dimension, Request, sql};
use crate::sql::lines;

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

/// Where the text of a column of the report comes from.
#[derive(Clone, Debug)]
enum Origin {
    /// What the event is rated by says it.
    Rated(fn(&RatedAs<'_>) -> String),
    /// Groups have its hash.
    Hash,
    /// Groups have it.
    Itself,
    /// Groups have the day's first instant.
    Day(HashMap<i64, String>),
}

/// The number of the text that an event is rated by; those of the report's columns follow.
const RATED: usize = 0;

fn origins(request: &Request) -> Result<Vec<Origin>, BillingError> {
    let origin = |dimension: &Dimension| {
        Ok(match dimension {
            Dimension::Model => Origin::Rated(|rated| rated.model.to_string()),
            Dimension::Provider => Origin::Rated(|rated| rated.provider.to_string()),
            Dimension::Outcome => Origin::Rated(|rated| rated.outcome.to_string()),
            Dimension::Api => Origin::Itself,
            Dimension::Day => {
                let days = sql::days(request)?.into_iter();
                Origin::Day(days.map(|(at, day)| (at.0, day.to_string())).collect())
            }
            Dimension::Tenant
            | Dimension::Project
            | Dimension::Key
            | Dimension::Deployment
            | Dimension::Route
            | Dimension::Label(_) => Origin::Hash,
        })
    };
    request.by.iter().map(origin).collect()
}

/// A query, and the values for its question marks in their order.
type Query = (String, Vec<String>);

/// Whether rows without a text are marked. It makes the store read each row's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    None,
    Given,
}

/// The query for the sums, of so many of the counts: the others are 0.
pub(super) fn sums(
    request: &Request,
    book: &PriceBook,
    marks: Marks,
    counts: usize,
) -> Result<Query, BillingError> {
    let mut bound = Vec::new();
    let mut columns = vec![format!("{} AS rated", hash("rated_as"))];
    let (mut keys, mut dims) = (vec!["rated".to_owned()], Vec::new());
    let each = (RATED + 1..).zip(request.by.iter().zip(origins(request)?));
    for (column, (dimension, origin)) in each {
        let text = |bound: &mut Vec<String>| {
            let column = sql::raw_column(dimension, request, bound)?;
            Ok::<_, BillingError>(sql::text_of(&column.unwrap_or_default()))
        };
        let expression = match origin {
            Origin::Rated(_) => continue,
            Origin::Day(_) => sql::day_began(request)?,
            Origin::Itself => text(&mut bound)?,
            Origin::Hash => hash(&text(&mut bound)?),
        };
        columns.push(format!("{expression} AS d{column}"));
        keys.push(format!("d{column}"));
        dims.push(format!("toString(d{column})"));
    }
    let at = sql::at(request, book)?;
    if let OfRow(expression) = &at {
        columns.push(format!("{expression} AS began"));
        keys.push("began".to_owned());
    }
    let at = match at {
        Constant(_) => at.to_string(),
        OfRow(_) => "began".to_owned(),
    };
    let mut context = "toInt64(0)".to_owned();
    if let Some(starts) = sql::band_starts(book) {
        columns.push(format!("{} AS band", band(&starts)));
        keys.push("band".to_owned());
        context = format!("{}[band + 1]", sql::numbers(&starts));
    }
    let mark = match marks {
        Marks::None => "toUInt64(0)".to_owned(),
        Marks::Given => format!("groupBitXor(if(rated_as = '', {MARK}, 0))"),
    };
    let tenant = sql::of_tenant(request, &mut bound);
    let sum = |at: usize| match at {
        at if at <= counts => format!("sum(rated_{at})"),
        _ => "toUInt64(0)".to_owned(),
    };
    columns.extend((1..=counts).map(|at| format!("rated_{at}")));
    let sums = format!(
        "SELECT rated, CAST([{dims}], 'Array(String)') AS dims, {at} AS at, {context} AS context, count() AS rows, \
         sum(count) AS request_count, [{sums}] AS sums, {mark} AS mark \
         FROM (SELECT rated_as, event_id, version, count, {columns} \
         FROM usage_events FINAL WHERE {period}{tenant}) GROUP BY {keys} LIMIT {limit}",
        dims = dims.join(", "),
        sums = (1..=MAX_COUNTS).map(sum).collect::<Vec<_>>().join(", "),
        columns = columns.join(", "),
        keys = keys.join(", "),
        period = sql::of_period(request),
        limit = sql::MAX_GROUPS + 1,
    );
    Ok((sums, bound))
}

/// The query for the texts that events are rated by.
pub(super) fn rated_texts(request: &Request) -> Query {
    let mut bound = Vec::new();
    (texts_of(RATED, "rated_as", request, &mut bound), bound)
}

/// The query for the texts of the report's columns; `None` where no hash is in place of any.
pub(super) fn texts(request: &Request) -> Result<Option<Query>, BillingError> {
    let (mut texts, mut bound) = (Vec::new(), Vec::new());
    let each = (RATED + 1..).zip(request.by.iter().zip(origins(request)?));
    for (column, (dimension, origin)) in each {
        if !matches!(origin, Origin::Hash) {
            continue;
        }
        if let Some(raw) = sql::raw_column(dimension, request, &mut bound)? {
            texts.push(texts_of(column, &raw, request, &mut bound));
        }
    }
    Ok((!texts.is_empty()).then(|| (texts.join(" UNION ALL "), bound)))
}

/// How many counts these texts have at the most.
pub(super) fn most_counts(rated_texts: &[u8]) -> Result<usize, BillingError> {
    let mut most = 0;
    for RawText { text, .. } in lines(rated_texts)? {
        if !text.is_empty() {
            let rated = parse(&text)?;
            most = most.max(rated.used.len() + rated.estimated.len());
        }
    }
    Ok(most.min(MAX_COUNTS))
}

fn parse(text: &str) -> Result<RatedAs<'_>, BillingError> {
    RatedAs::parse(text).map_err(|error| BillingError::Answer(format!("rated_as: {error}")))
}

fn hash(text: &str) -> String {
    format!("sipHash64({text})")
}

/// All texts of a column in a period, each with its hash; also of copies that do not count. A condition on months costs the store
/// nothing, one on the instant reads each row's.
fn texts_of(column: usize, raw: &str, request: &Request, bound: &mut Vec<String>) -> String {
    let months = months(request);
    let period = if is_whole_months(request) {
        String::new()
    } else {
        format!(" AND {}", sql::of_period(request))
    };
    let tenant = sql::of_tenant(request, bound);
    let text = sql::text_of("raw");
    format!(
        "SELECT {column} AS column, {hash} AS hash, {text} AS text \
         FROM (SELECT {raw} AS raw FROM usage_events WHERE _partition_id IN ({months}){period}{tenant}) GROUP BY raw",
        hash = hash(&text),
        months = months.join(", "),
    )
}

/// The parts of the table, as it names them, that hold a period.
fn months(request: &Request) -> Vec<String> {
    let month = |at: Micros| chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
    let (first, end) = (month(request.period.start()), request.period.end().0);
    let mut months = Vec::new();
    let mut at = (first.year(), first.month());
    loop {
        let begins = chrono::NaiveDate::from_ymd_opt(at.0, at.1, 1).unwrap_or_default();
        let begins = begins.and_time(chrono::NaiveTime::MIN).and_utc();
        if !months.is_empty() && begins.timestamp_micros() >= end {
            return months;
        }
        months.push(format!("'{:04}{:02}'", at.0, at.1));
        at = if at.1 == 12 {
            (at.0 + 1, 1)
        } else {
            (at.0, at.1 + 1)
        };
    }
}

/// Whether a period begins and ends where months of the table do.
fn is_whole_months(request: &Request) -> bool {
    let begins_month = |at: Micros| {
        let at = chrono::DateTime::from_timestamp_micros(at.0).unwrap_or_default();
        at.day() == 1 && at.time() == chrono::NaiveTime::MIN
    };
    begins_month(request.period.start()) && begins_month(request.period.end())
}

/// The number of the context band of an event's only line. Comparisons cost the store less than a search.
fn band(starts: &[i64]) -> String {
    let later = starts.iter().skip(1);
    let each: Vec<_> = later
        .map(|start| format!("toUInt8(rated_input >= {start})"))
        .collect();
    each.join(" + ")
}

/// One group as the store writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rated: u64,
    dims: Vec<String>,
    at: i64,
    context: i64,
    rows: u64,
    request_count: i64,
    sums: [u64; MAX_COUNTS],
    mark: u64,
}

/// The text of a hash, of the column of this number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawText {
    column: usize,
    hash: u64,
    text: String,
}

/// Texts by column and hash.
#[derive(Debug, Default)]
struct Texts(HashMap<(usize, u64), String>);

impl Texts {
    /// `None` where two texts have one hash.
    fn read(answers: [&[u8]; 2]) -> Result<Option<Self>, BillingError> {
        let mut texts = HashMap::new();
        let [rated, others] = answers.map(lines);
        for RawText { column, hash, text } in rated?.into_iter().chain(others?) {
            if let Some(other) = texts.insert((column, hash), text.clone())
                && other != text
            {
                return Ok(None);
            }
        }
        Ok(Some(Self(texts)))
    }

    fn get(&self, column: usize, hash: u64) -> Option<&str> {
        self.0.get(&(column, hash)).map(String::as_str)
    }
}

/// Reads the store's answers. `None` where the texts are not of the groups, or two have one hash.
pub(super) fn read(
    sums: &[u8],
    texts: [&[u8]; 2],
    request: &Request,
) -> Result<Option<Plain>, BillingError> {
    let Some(texts) = Texts::read(texts)? else {
        return Ok(None);
    };
    let origins = origins(request)?;
    let (mut plain, mut known) = (Plain::default(), HashMap::new());
    for raw in lines::<Raw>(sums)? {
        plain.rows += raw.rows;
        let Some(rated_as) = texts.get(RATED, raw.rated) else {
            return Ok(None);
        };
        if rated_as.is_empty() {
            plain.others.rows += raw.rows;
            plain.others.mark ^= raw.mark;
            continue;
        }
        // Few texts, many groups.
        let rated = match known.entry(raw.rated) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(parse(rated_as)?),
        };
        let Some(dims) = dims(&raw, rated, &origins, &texts)? else {
            return Ok(None);
        };
        plain.groups.push(group(&raw, rated, dims)?);
    }
    Ok(Some(plain))
}

/// The texts of a group's columns.
fn dims(
    raw: &Raw,
    rated: &RatedAs<'_>,
    origins: &[Origin],
    texts: &Texts,
) -> Result<Option<Vec<String>>, BillingError> {
    let mut given = raw.dims.iter();
    let mut dims = Vec::with_capacity(origins.len());
    for (column, origin) in (RATED + 1..).zip(origins) {
        if let Origin::Rated(text) = origin {
            dims.push(text(rated));
            continue;
        }
        let given = given.next().map_or("", String::as_str);
        let number = || given.parse().map_err(|_| no_number(given));
        let text = match origin {
            Origin::Rated(_) | Origin::Itself => Some(given),
            Origin::Hash => texts.get(column, number()?),
            Origin::Day(days) => {
                let began: i64 = given.parse().map_err(|_| no_number(given))?;
                days.get(&began).map(String::as_str)
            }
        };
        let Some(text) = text else {
            return Ok(None);
        };
        dims.push(text.to_owned());
    }
    Ok(Some(dims))
}

fn no_number(text: &str) -> BillingError {
    BillingError::Answer(format!("`{text}` is not the number of a column"))
}

fn group(raw: &Raw, rated: &RatedAs<'_>, dims: Vec<String>) -> Result<Group, BillingError> {
    if raw.rows > MAX_ROWS {
        return Err(BillingError::TooLarge(format!("{} events", raw.rows)));
    }
    let counts = rated.used.len() + rated.estimated.len();
    let is_whole = counts <= MAX_COUNTS
        && raw.sums[..counts].iter().all(|sum| *sum > 0)
        && raw.sums[counts..].iter().all(|sum| *sum == 0);
    if !is_whole {
        let text = "rated_as: counts of other units than it names";
        return Err(BillingError::Answer(text.to_owned()));
    }
    let sums = |skipped: usize| raw.sums[skipped..].iter().map(|sum| i128::from(*sum));
    let units = rated.used.iter().copied().zip(sums(0)).collect();
    let estimated = rated.estimated.iter().copied();
    let estimated = estimated.zip(sums(rated.used.len())).collect();
    let called = rated.called.iter().map(|(provider, model)| Called {
        provider: provider.to_string(),
        model: model.to_string(),
    });
    Ok(Group {
        dims,
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

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
