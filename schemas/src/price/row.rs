//! One price: as a file has it (all text) and as it is used (parsed once).

use chrono::NaiveDate;

use crate::money::{Currency, Rate};
use crate::price::error::{PriceError, Problem};
use crate::price::instant::parse_instant;
use crate::time::Micros;
use crate::units::Unit;

/// The unit of capacity in price lists; no record counts it.
const CAPACITY_UNIT: &str = "ptu_hour";

/// A line of a price file, as text: the columns of the file, and the line it stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described at `Price`")]
pub struct RawPrice {
    pub line: usize,
    pub provider: String,
    pub model: String,
    pub model_version: String,
    pub unit: String,
    pub service_tier: String,
    pub region_class: String,
    pub context_over: String,
    pub per: String,
    pub rate: String,
    pub currency: String,
    pub valid_from: String,
    pub valid_to: String,
    pub source: String,
    pub read_on: String,
}

/// What one unit costs, for whom it holds and since when, and where that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The line of the file it was read from.
    pub line: usize,
    /// Who bills.
    pub provider: String,
    /// The API's name of the model; `*` for any.
    pub model: String,
    /// The dated snapshot; empty for the undated name.
    pub model_version: String,
    /// What is counted.
    pub unit: Unit,
    /// `default`, `batch`, `flex`, `priority` and the like.
    pub service_tier: String,
    /// `global`, `datazone`, `regional` or a region where the provider prices by it; else empty.
    pub region_class: String,
    /// Holds when the request's input has more tokens than this; `None` is the base band.
    pub context_over: Option<i64>,
    /// How many units [`Self::rate_text`] is for.
    pub per: i64,
    /// The rate as the source prints it.
    pub rate_text: String,
    /// The exact price of one unit.
    pub rate: Rate,
    /// Of the rate.
    pub currency: Currency,
    /// First instant at which it holds; `None` where the start is not known.
    pub valid_from: Option<Micros>,
    /// First instant at which it no longer holds; `None` while it does, or until a later row of the key begins.
    pub valid_to: Option<Micros>,
    /// Where it was read.
    pub source: String,
    /// When it was read.
    pub read_on: NaiveDate,
}

impl Price {
    /// The name a provider reports: the model, and its version where it has one.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.model_version.is_empty() {
            return self.model.clone();
        }
        format!("{}-{}", self.model, self.model_version)
    }

    /// Parses a line, or says all that is wrong with it.
    pub fn parse(raw: &RawPrice) -> Result<Self, Vec<PriceError>> {
        let mut problems = Vec::new();
        names(raw, &mut problems);
        provenance(raw, &mut problems);
        let unit = keep(unit(&raw.unit), &mut problems);
        let rate = keep(rate(raw), &mut problems);
        let currency = keep(currency(&raw.currency), &mut problems);
        let context_over = keep(context(&raw.context_over), &mut problems);
        let valid_from = keep(instant("valid_from", &raw.valid_from), &mut problems);
        let valid_to = keep(instant("valid_to", &raw.valid_to), &mut problems);
        let read_on = keep(read_on(&raw.read_on), &mut problems);
        if let (Some(Some(from)), Some(Some(to))) = (valid_from, valid_to)
            && from >= to
        {
            problems.push(Problem::NeverValid);
        }
        let complete = (|| {
            let (per, rate) = rate?;
            Some(Self {
                line: raw.line,
                provider: raw.provider.clone(),
                model: raw.model.clone(),
                model_version: raw.model_version.clone(),
                unit: unit?,
                service_tier: raw.service_tier.clone(),
                region_class: raw.region_class.clone(),
                context_over: context_over?,
                per,
                rate_text: raw.rate.clone(),
                rate,
                currency: currency?,
                valid_from: valid_from?,
                valid_to: valid_to?,
                source: raw.source.clone(),
                read_on: read_on?,
            })
        })();
        let at_line = |problem| PriceError {
            line: raw.line,
            problem,
        };
        match complete {
            Some(price) if problems.is_empty() => Ok(price),
            _ => Err(problems.into_iter().map(at_line).collect()),
        }
    }
}

fn keep<T>(parsed: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    parsed.map_err(|problem| problems.push(problem)).ok()
}

fn names(raw: &RawPrice, problems: &mut Vec<Problem>) {
    let columns = [
        ("provider", &raw.provider, true),
        ("model", &raw.model, true),
        ("model_version", &raw.model_version, false),
        ("service_tier", &raw.service_tier, true),
        ("region_class", &raw.region_class, false),
    ];
    for (column, text, needed) in columns {
        // Models keep their case (`Llama-3`); the rest is ours to write, in lower case.
        let is_model = column.starts_with("model");
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || (!is_model && c.is_ascii_uppercase());
        if needed && text.is_empty() {
            problems.push(Problem::Missing(column));
        } else if text.chars().any(odd) {
            let text = text.chars().take(64).collect();
            problems.push(Problem::BadName { column, text });
        }
    }
}

fn provenance(raw: &RawPrice, problems: &mut Vec<Problem>) {
    if raw.source.trim().is_empty() {
        problems.push(Problem::NoSource);
    }
}

fn unit(text: &str) -> Result<Unit, Problem> {
    if text == CAPACITY_UNIT {
        return Err(Problem::Capacity(text.to_owned()));
    }
    let unknown = |_| Problem::UnknownUnit(text.chars().take(64).collect());
    text.parse().map_err(unknown)
}

fn rate(raw: &RawPrice) -> Result<(i64, Rate), Problem> {
    let per = raw
        .per
        .parse()
        .map_err(|_| Problem::BadPer(raw.per.chars().take(64).collect()))?;
    Ok((per, Rate::new(&raw.rate, per)?))
}

fn currency(text: &str) -> Result<Currency, Problem> {
    Ok(text.parse()?)
}

fn context(text: &str) -> Result<Option<i64>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        // The greatest count is left free, so that "one more than the bound" always exists.
        Ok(tokens) if (0..i64::MAX).contains(&tokens) => Ok(Some(tokens)),
        _ => Err(Problem::BadContext(text.chars().take(64).collect())),
    }
}

fn instant(column: &'static str, text: &str) -> Result<Option<Micros>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let problem = |error| Problem::Instant { column, error };
    parse_instant(text).map(Some).map_err(problem)
}

fn read_on(text: &str) -> Result<NaiveDate, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::NoReadDate);
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map_err(|_| Problem::BadReadDate(text.chars().take(64).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn raw() -> RawPrice {
        RawPrice {
            line: 7,
            provider: "openai".into(),
            model: "gpt-4o".into(),
            unit: "input_text".into(),
            service_tier: "default".into(),
            per: "1000000".into(),
            rate: "2.50".into(),
            currency: "USD".into(),
            source: "a page".into(),
            read_on: "2026-11-24".into(),
            ..RawPrice::default()
        }
    }

    fn problem(change: impl FnOnce(&mut RawPrice)) -> String {
        let mut raw = raw();
        change(&mut raw);
        let errors = Price::parse(&raw).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].to_string()
    }

    #[test]
    fn a_line_becomes_a_price() {
        let price = Price::parse(&raw()).unwrap();
        assert_eq!(price.full_name(), "gpt-4o");
        assert_eq!(price.rate.times(1_000_000).unwrap().to_string(), "2.50");
    }

    #[test]
    fn each_fault_names_its_line_and_the_way_out() {
        type Change = fn(&mut RawPrice);
        let faults: [(Change, &str); 13] = [
            (|r| r.source = " ".into(), "must say where it was read"),
            (|r| r.read_on.clear(), "on which day its source was read"),
            (|r| r.read_on = "yesterday".into(), "write it as 2026-11-24"),
            (|r| r.per = "100".into(), "per 1, 1000 or 1000000"),
            (|r| r.per = "million".into(), "per 1, 1000 or 1000000"),
            (|r| r.rate = "2.5e-6".into(), "no exponent"),
            (|r| r.rate = "-1".into(), "negative"),
            (|r| r.unit = "tokens".into(), "the units are input_text"),
            (|r| r.unit = "ptu_hour".into(), "capacity by the hour"),
            (|r| r.currency = "usd".into(), "ISO 4217"),
            (|r| r.valid_from = "noon".into(), "valid_from: `noon`"),
            (|r| r.context_over = "-1".into(), "context_over = `-1`"),
            (|r| r.provider = "Open AI".into(), "provider = `Open AI`"),
        ];
        for (change, wanted) in faults {
            let text = problem(change);
            assert!(
                text.starts_with("line 7: ") && text.contains(wanted),
                "{text}"
            );
        }
    }

    #[test]
    fn all_faults_of_a_line_are_told_at_once() {
        let mut raw = raw();
        raw.rate = "NaN".into();
        raw.unit = "x".into();
        raw.source.clear();
        raw.valid_from = "2026-01-02".into();
        raw.valid_to = "2026-01-02".into();
        assert_eq!(Price::parse(&raw).unwrap_err().len(), 4);
    }
}
