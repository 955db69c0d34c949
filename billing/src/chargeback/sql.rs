//! The query of the report that reads any row. It knows columns and sums; it knows no price.
//!
//! Over `FINAL`, so a copy of an event counts once. The first line of an event stands in columns, later ones in
//! arrays; `ARRAY JOIN` makes a row of each. Sums are taken in 128 bits: 2⁶⁴ events would not fill them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::NaiveDate;
use schemas::units::Side;
use schemas::{Micros, Outcome, PriceBook, Unit};

use crate::BillingError;
use crate::chargeback::plain::MARK;
use crate::chargeback::{Dimension, Request};
use crate::sql::instant;

/// More groups than this are not kept in memory.
pub(crate) const MAX_GROUPS: usize = 1_000_000;
/// More days than this are not listed.
pub(crate) const MAX_DAYS: usize = 3_700;
/// More changes of prices in a period than this are not listed; hours of the day change four times on a working day.
pub(crate) const MAX_INTERVALS: usize = 4_000;

/// Where the bound of an event is what admission reserved: `Group::is_bounded_by_reservation` says the same.
const RESERVED_COUNTS: &str =
    "outcome = 'unknown' OR (billable = 'unclear' AND usage_source NOT IN ('provider', 'drained'))";

/// What calls before the last went to that the provider may bill: `UsageEvent::doubtful_calls` says the same. Records of
/// the first draft do not name it.
pub(crate) const CALLED: &str = "arraySort(arrayDistinct(arrayMap(c -> CAST(tuple(c.1, c.2), 'Tuple(provider String, model String)'), \
     arrayFilter(c -> c.3 = 'unclear' AND c.2 != '', arraySlice(arrayMap((p, m, b) -> tuple(toString(p), toString(m), toString(b)), \
     attempt_providers, attempt_priced_as, attempt_billables), 1, -1)))))";

/// Which rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    All,
    /// Those that are not in [`super::plain`].
    Unrated,
}

/// The condition on the period.
pub(crate) fn of_period(request: &Request) -> String {
    let (start, end) = (request.period.start(), request.period.end());
    format!(
        "received >= {} AND received < {}",
        instant(start),
        instant(end)
    )
}

/// A condition on the tenant, if only one is asked for.
pub(crate) fn of_tenant(request: &Request, bound: &mut Vec<String>) -> &'static str {
    bound.extend(request.tenant.clone());
    if request.tenant.is_some() {
        " AND tenant = ?"
    } else {
        ""
    }
}

/// The query, and the values for its question marks in their order.
pub(crate) fn query(
    request: &Request,
    book: &PriceBook,
    rows: Rows,
) -> Result<(String, Vec<String>), BillingError> {
    let mut bound = Vec::new();
    let mut columns = Vec::new();
    for dimension in &request.by {
        columns.push(column(dimension, request, &mut bound)?);
    }
    // `model` is a column of a line, the others are columns of the event.
    let (mut inner, mut outer) = (String::new(), Vec::new());
    for (at, column) in columns.into_iter().enumerate() {
        match column {
            Some(expression) => {
                write!(inner, "{expression} AS d{at}, ")
                    .map_err(|_| BillingError::TooManyGroups(at))?;
                outer.push(format!("d{at}"));
            }
            None => outer.push("l.model".to_owned()),
        }
    }
    let dims = if outer.is_empty() {
        "CAST([] AS Array(String))".to_owned()
    } else {
        format!("[{}]", outer.join(", "))
    };
    let period = of_period(request);
    // What stands before FINAL may only look at the key: it must keep all copies of an event or none.
    let (before, unrated) = match rows {
        Rows::All => (String::new(), ""),
        Rows::Unrated => {
            let tenant = of_tenant(request, &mut bound);
            let before = format!(
                "PREWHERE event_id GLOBAL IN (SELECT event_id FROM usage_events FINAL \
                 WHERE {period}{tenant} AND rated_as = '') "
            );
            (before, " AND rated_as = ''")
        }
    };
    let tenant = of_tenant(request, &mut bound);
    let sql = format!(
        "SELECT {dims} AS dims, \
         CAST(tuple(x_provider, l.model, l.tier, l.speed, l.geography, x_zone, x_region, x_capacity), \
         'Tuple(provider String, model String, tier String, speed String, geography String, zone String, region String, capacity String)') AS sku, \
         x_at AS at, l.context AS context, toString(outcome) AS outcome, toString(billable) AS billable, \
         toString(usage_source) AS source, toString(usage_quality) AS quality, synthetic, toBool(x_times > 0 AND arrayExists(n -> n > 0, mapValues(estimated_units))) AS is_reserved, toBool(x_has_units) AS has_units, doubtful_calls, if(l.is_first, x_called, []) AS called, toBool(x_names_model) AS names_model, \
         if(l.is_first, x_others, []) AS others, l.used AS used, if(l.is_first, arrayMap(n -> toUInt8(n != 0), x_estimated), []) AS bounding, \
         toString(sumIf(toInt128(count), l.is_first)) AS request_count, \
         [{first_sums}] AS unit_sums, \
         arrayMap(n -> toString(n), sumForEach(l.extra)) AS extra_sums, \
         arrayMap(n -> toString(n), sumForEachIf(x_estimated, l.is_first)) AS estimated_sums, \
         countIf(l.is_first) AS rows, groupBitXorIf({MARK}, l.is_first) AS mark \
         FROM (SELECT *, {inner}ifNull(toString(provider), '') AS x_provider, ifNull(toString(data_zone), '') AS x_zone, {region} AS x_region, \
         ifNull(toString(capacity), '') AS x_capacity, {at} AS x_at, {contexts}, {has_units} AS x_has_units, coalesce(model, priced_as, model_served) IS NOT NULL AS x_names_model, \
         toUInt8(arrayCount(b -> b = 'unclear', arraySlice(attempt_billables, 1, -1))) AS doubtful_calls, \
         {called} AS x_called, \
         toInt128({reserved_counts}) + doubtful_calls AS x_times, \
         {bounds}, {later} AS x_later, \
         arrayMap(l -> CAST(tuple(l.model, l.tier, l.speed, l.geography, l.context, l.used), {OTHERS}), x_later) AS x_others, \
         arrayConcat([{first}], x_later) AS x_lines \
         FROM usage_events FINAL {before}\
         WHERE {period}{tenant}{unrated}) \
         ARRAY JOIN x_lines AS l GROUP BY ALL ORDER BY ALL LIMIT {limit}",
        first_sums = first_sums(),
        region = region(book),
        at = at(request, book)?,
        contexts = contexts(book),
        has_units = has_units(),
        called = CALLED,
        reserved_counts = RESERVED_COUNTS,
        bounds = bounds(),
        first = first_line(),
        later = later_lines(),
        limit = MAX_GROUPS + 1,
    );
    Ok((sql, bound))
}

/// The text of a column over an event; `None` for what only a line knows.
fn column(
    dimension: &Dimension,
    request: &Request,
    bound: &mut Vec<String>,
) -> Result<Option<String>, BillingError> {
    Ok(raw_column(dimension, request, bound)?.map(|raw| text_of(&raw)))
}

/// The text of a column of the store.
pub(crate) fn text_of(raw: &str) -> String {
    format!("ifNull(toString({raw}), '')")
}

/// A column of the report as the store has it; `None` for what only a line knows.
pub(crate) fn raw_column(
    dimension: &Dimension,
    request: &Request,
    bound: &mut Vec<String>,
) -> Result<Option<String>, BillingError> {
    let name = match dimension {
        Dimension::Tenant => "tenant",
        Dimension::Project => "project",
        Dimension::Key => "key_id",
        Dimension::Model => return Ok(None),
        Dimension::Provider => "provider",
        Dimension::Deployment => "deployment",
        Dimension::Route => "route",
        Dimension::Api => "api",
        Dimension::Outcome => "outcome",
        Dimension::Day => return day(request).map(Some),
        Dimension::Label(name) => {
            bound.push(name.clone());
            "labels[?]"
        }
    };
    Ok(Some(name.to_owned()))
}

/// The days of the period, each with its first instant: the store's own time zones are not asked.
pub(crate) fn days(request: &Request) -> Result<Vec<(Micros, NaiveDate)>, BillingError> {
    let days = request.period.days(MAX_DAYS);
    days.ok_or(BillingError::TooManyDays(MAX_DAYS))
}

const RECEIVED: &str = "toUnixTimestamp64Micro(received)";

/// The first instant of the day.
pub(crate) fn day_began(request: &Request) -> Result<String, BillingError> {
    let starts: Vec<_> = days(request)?.iter().map(|(at, _)| at.0).collect();
    Ok(rounded_down(RECEIVED, &starts))
}

/// The day's date.
fn day(request: &Request) -> Result<String, BillingError> {
    let days = days(request)?;
    let starts: Vec<_> = days.iter().map(|(at, _)| at.0).collect();
    let dates: Vec<_> = days.iter().map(|(_, day)| format!("'{day}'")).collect();
    Ok(format!(
        "transform({}, {}, [{}], '')",
        day_began(request)?,
        numbers(&starts),
        dates.join(", ")
    ))
}

/// A number of a row, or of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    Constant(i64),
    OfRow(String),
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Constant(number) => write!(f, "toInt64({number})"),
            Self::OfRow(expression) => f.write_str(expression),
        }
    }
}

/// An instant at which everything is priced as at the event's: the same hours of two days give the same.
pub(crate) fn at(request: &Request, book: &PriceBook) -> Result<Expression, BillingError> {
    let (start, end) = (request.period.start(), request.period.end());
    let intervals = book
        .intervals(start, end, MAX_INTERVALS)
        .ok_or(BillingError::TooManyIntervals(MAX_INTERVALS))?;
    let starts: Vec<_> = intervals.iter().map(|part| part.from.0).collect();
    let distinct: BTreeSet<_> = intervals.iter().map(|part| part.priced_as.0).collect();
    if let ([only], 1) = (starts.as_slice(), distinct.len()) {
        return Ok(Expression::Constant(*only));
    }
    let began = rounded_down(RECEIVED, &starts);
    if distinct.len() == starts.len() {
        return Ok(Expression::OfRow(began));
    }
    let distinct: Vec<_> = distinct.into_iter().collect();
    let number_of = |at: i64| distinct.partition_point(|other| *other <= at);
    let chosen: Vec<_> = intervals
        .iter()
        .map(|part| number_of(part.priced_as.0).to_string())
        .collect();
    Ok(Expression::OfRow(format!(
        "transform({began}, {starts}, arrayMap(n -> {distinct}[n], [{chosen}]), toInt64(0))",
        starts = numbers(&starts),
        distinct = numbers(&distinct),
        chosen = chosen.join(", ")
    )))
}

/// What bounds an event: what was reserved for each doubtful call, and once more, of each side the greater of that and of what
/// was counted on all lines, where the event itself is bounded by it. `Group::reserve` says the same.
fn bounds() -> String {
    let first: Vec<_> = Unit::ALL
        .iter()
        .map(|unit| format!("toInt128(ifNull({unit}, 0))"))
        .collect();
    let sides: Vec<_> = Unit::ALL
        .iter()
        .map(|unit| match unit.side() {
            Side::Input => "1",
            Side::Output => "2",
            Side::Apart => "0",
        })
        .collect();
    let sides = format!("[{}]", sides.join(", "));
    let is_counted_of = |side: u8| {
        format!(
            "arraySum(arrayMap((r, c, s) -> if(s = {side}, c - r, toInt128(0)), x_reserved, x_counted, x_sides)) > 0"
        )
    };
    // Of the many events that nothing is to be bounded of the arrays are empty.
    format!(
        "if(x_times > 0, {reserved}, []) AS x_reserved, if(x_times > 0, {sides}, []) AS x_sides, \
         if(x_times > 0, arrayReduce('sumForEach', arrayConcat([[{first}]], arrayMap(u -> {extra}, extra_units))), []) AS x_counted, \
         {input} AS x_input_is_counted, {output} AS x_output_is_counted, \
         arrayMap((r, c, s) -> r * doubtful_calls + if(x_times > doubtful_calls, \
         multiIf(s = 1, if(x_input_is_counted, c, r), s = 2, if(x_output_is_counted, c, r), greatest(r, c)), toInt128(0)), \
         x_reserved, x_counted, x_sides) AS x_estimated",
        reserved = counts_of("estimated_units"),
        first = first.join(", "),
        extra = counts_of("u"),
        input = is_counted_of(1),
        output = is_counted_of(2),
    )
}

/// The region, where a price can depend on it: else one group would become many.
fn region(book: &PriceBook) -> &'static str {
    if book.regions().is_empty() {
        return "''";
    }
    "ifNull(toString(region), '')"
}

/// Whether the name that was asked for is one of the routes'. Of a request that was refused, or never routed, it may be any text,
/// and as many of them as somebody cares to send: none is a model, or a group of its own.
fn was_routed() -> String {
    let refusals = Outcome::ALL.iter().filter(|outcome| outcome.is_refusal());
    let refusals: Vec<_> = refusals.map(|outcome| format!("'{outcome}'")).collect();
    format!(
        "outcome NOT IN ({}) AND (isNotNull(route) OR isNotNull(deployment))",
        refusals.join(", ")
    )
}

/// The smallest count of each context band of the book, if it has any.
pub(crate) fn band_starts(book: &PriceBook) -> Option<Vec<i64>> {
    let bands = book.bands();
    if bands.is_empty() {
        return None;
    }
    let starts = std::iter::once(0).chain(bands.into_iter().map(|bound| bound + 1));
    Some(starts.collect())
}

/// For each line the smallest count of its context band, from all input units of its model: `context_of` says the same.
fn contexts(book: &PriceBook) -> String {
    let names = format!(
        "coalesce(toString(model), toString(priced_as), toString(model_served), if({}, toString(model_requested), '')) AS x_model, \
         arrayMap(m -> toString(m), extra_models) AS x_models",
        was_routed()
    );
    let Some(starts) = band_starts(book) else {
        return format!(
            "{names}, toInt64(0) AS x_context, arrayMap(m -> toInt64(0), x_models) AS x_contexts"
        );
    };
    let is_input = |unit: &&Unit| unit.side() == Side::Input;
    let inputs: Vec<_> = Unit::ALL.iter().filter(is_input).collect();
    let counts: Vec<_> = inputs
        .iter()
        .map(|unit| format!("toInt128(ifNull({unit}, 0))"))
        .collect();
    let keys: Vec<_> = inputs.iter().map(|unit| format!("'{unit}'")).collect();
    let band_of = |model: &str| {
        let total = format!(
            "if(x_model = {model}, x_input, toInt128(0)) \
             + arraySum(arrayMap((of, input) -> if(of = {model}, input, toInt128(0)), x_models, x_inputs))"
        );
        rounded_down(
            &format!("toInt64(least({total}, toInt128({})))", i64::MAX),
            &starts,
        )
    };
    format!(
        "{names}, {} AS x_input, \
         arrayMap(u -> arraySum(arrayMap(n -> toInt128(u[n]), [{}])), extra_units) AS x_inputs, \
         {} AS x_context, arrayMap(m -> {}, x_models) AS x_contexts",
        counts.join(" + "),
        keys.join(", "),
        band_of("x_model"),
        band_of("m"),
    )
}

/// Whether an event says how many of any unit it used, be it 0, on any line. A moderation uses none: `OpenAI`, API reference.
fn has_units() -> String {
    let first: Vec<_> = Unit::ALL
        .iter()
        .map(|unit| format!("isNotNull({unit})"))
        .collect();
    format!(
        "(toString(api) = 'moderations' OR {} OR arrayExists(u -> notEmpty(u), extra_units))",
        first.join(" OR ")
    )
}

fn first_sums() -> String {
    let sums: Vec<_> = Unit::ALL
        .iter()
        .map(|unit| format!("toString(sumIf(toInt128(ifNull({unit}, 0)), l.is_first))"))
        .collect();
    sums.join(", ")
}

const LINE: &str = "'Tuple(is_first Bool, model String, tier String, speed String, geography String, context Int64, used UInt64, extra Array(Int128))'";
const OTHERS: &str = "'Tuple(model String, tier String, speed String, geography String, context Int64, used UInt64)'";

/// An event's first line, without counts: these are in columns.
fn first_line() -> String {
    let bits = Unit::ALL.iter().enumerate();
    let used: Vec<_> = bits
        .map(|(at, unit)| format!("if(ifNull({unit}, 0) != 0, {}, 0)", 1_u64 << at))
        .collect();
    format!(
        "CAST(tuple(true, x_model, ifNull(toString(service_tier), ''), ifNull(toString(speed), ''), \
         ifNull(toString(geography), ''), x_context, toUInt64({}), []), {LINE})",
        used.join(" + ")
    )
}

/// An event's later lines. Rows that were written before speed and geography had columns have neither, and no
/// gateway of that time recorded them.
fn later_lines() -> String {
    let bits: Vec<_> = (0..Unit::ALL.len())
        .map(|at| (1_u64 << at).to_string())
        .collect();
    let counts = counts_of("u");
    format!(
        "arrayMap((m, t, s, g, c, u) -> CAST(tuple(false, m, toString(t), toString(s), toString(g), c, \
         toUInt64(arraySum(arrayMap((n, bit) -> if(n != 0, bit, 0), {counts}, [{}]))), {counts}), {LINE}), \
         x_models, extra_service_tiers, arrayResize(extra_speeds, length(extra_models), ''), \
         arrayResize(extra_geographies, length(extra_models), ''), x_contexts, extra_units)",
        bits.join(", ")
    )
}

/// A map's counts in the order of the unit numbers.
fn counts_of(map: &str) -> String {
    let names: Vec<_> = Unit::ALL.iter().map(|unit| format!("'{unit}'")).collect();
    format!("arrayMap(n -> toInt128({map}[n]), [{}])", names.join(", "))
}

pub(crate) fn rounded_down(expression: &str, starts: &[i64]) -> String {
    format!("roundDown({expression}, {})", numbers(starts))
}

pub(crate) fn numbers(list: &[i64]) -> String {
    let list: Vec<_> = list.iter().map(ToString::to_string).collect();
    format!("CAST([{}], 'Array(Int64)')", list.join(", "))
}
