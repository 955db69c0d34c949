//! One price: parsed once from a line of a file.

use chrono::NaiveDate;

use crate::money::{Currency, Rate};
use crate::price::error::{PriceError, Problem};
use crate::price::parse::{Faults, full_name, short};
use crate::price::raw::{Kind, RawPrice};
use crate::price::timeline::Dated;
use crate::time::Micros;
use crate::units::Unit;

/// The unit of capacity in price lists; no record counts it.
const CAPACITY_UNIT: &str = "ptu_hour";

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
    /// `fast` and the like; empty for the common speed.
    pub speed: String,
    /// `ptu` where it holds on capacity that is paid by the hour; else empty.
    pub capacity: String,
    /// `global`, `datazone`, `regional` where the provider prices by it; else empty.
    pub region_class: String,
    /// One region of the class; empty for those that have no price of their own.
    pub region: String,
    /// Where the model ran, as the provider reports it; empty for anywhere.
    pub geography: String,
    /// Holds when the request's input has more tokens than this; `None` is the base band.
    pub context_over: Option<i64>,
    /// The band of the day, as the provider's hours name it; empty for all hours.
    pub hours: String,
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
        full_name(&self.model, &self.model_version)
    }

    /// Parses a line, or says all that is wrong with it.
    pub fn parse(raw: &RawPrice) -> Result<Self, Vec<PriceError>> {
        let mut faults = Faults::of(raw);
        faults.extend(raw.strangers(Kind::Price));
        check_names(raw, &mut faults);
        check_common(raw, &mut faults);
        let unit = faults.keep(unit(&raw.unit));
        let rate = faults.keep(rate(raw));
        let currency = faults.keep(raw.currency.parse().map_err(Problem::from));
        let context_over = faults.keep(context(&raw.context_over));
        let origin = faults.origin();
        let complete = (|| {
            let ((per, rate), origin) = (rate?, origin?);
            Some(Self {
                line: raw.line,
                provider: raw.provider.clone(),
                model: raw.model.clone(),
                model_version: raw.model_version.clone(),
                unit: unit?,
                service_tier: raw.service_tier.clone(),
                speed: raw.speed.clone(),
                capacity: raw.capacity.clone(),
                region_class: raw.region_class.clone(),
                region: raw.region.clone(),
                geography: raw.geography.clone(),
                context_over: context_over?,
                hours: raw.hours.clone(),
                per,
                rate_text: raw.rate.clone(),
                rate,
                currency: currency?,
                valid_from: origin.valid_from,
                valid_to: origin.valid_to,
                source: origin.source,
                read_on: origin.read_on,
            })
        })();
        faults.finish(complete)
    }
}

impl Dated for Price {
    fn line(&self) -> usize {
        self.line
    }

    fn valid_from(&self) -> Option<Micros> {
        self.valid_from
    }

    fn valid_to(&self) -> Option<Micros> {
        self.valid_to
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.rate == other.rate
    }

    fn after(&self, earlier: &Self) -> Option<Problem> {
        (self.currency != earlier.currency).then_some(Problem::TwoCurrencies {
            ours: self.currency,
            line: earlier.line,
            theirs: earlier.currency,
        })
    }
}

fn check_names(raw: &RawPrice, faults: &mut Faults<'_>) {
    let columns = [
        ("provider", raw.provider.as_str()),
        ("model", &raw.model),
        ("model_version", &raw.model_version),
        ("service_tier", &raw.service_tier),
        ("speed", &raw.speed),
        ("capacity", &raw.capacity),
        ("region_class", &raw.region_class),
        ("region", &raw.region),
        ("geography", &raw.geography),
        ("hours", &raw.hours),
    ];
    faults.check_names(&columns, &["provider", "model", "service_tier"]);
}

/// Names that mean the common case, or another name: a price under them would never be found.
fn check_common(raw: &RawPrice, faults: &mut Faults<'_>) {
    let spellings = [
        (
            "service_tier",
            raw.service_tier.as_str(),
            "standard",
            "default",
        ),
        ("service_tier", &raw.service_tier, "fast", "priority"),
        ("speed", &raw.speed, "standard", ""),
        ("speed", &raw.speed, "default", ""),
        ("capacity", &raw.capacity, "paygo", ""),
    ];
    refuse_spellings(&spellings, faults);
    check_places(raw, faults);
}

/// The same of places, which uplifts name too.
pub(super) fn check_places(raw: &RawPrice, faults: &mut Faults<'_>) {
    let spellings = [
        ("geography", raw.geography.as_str(), "global", ""),
        ("geography", &raw.geography, "not_available", ""),
        ("region_class", &raw.region_class, "data_zone", "datazone"),
        ("region_class", &raw.region_class, "zone", "datazone"),
        ("region_class", &raw.region_class, "region", "regional"),
    ];
    refuse_spellings(&spellings, faults);
}

/// Column, what stands there, the spelling, what to write.
type Spelling<'a> = (&'static str, &'a str, &'static str, &'static str);

fn refuse_spellings(spellings: &[Spelling<'_>], faults: &mut Faults<'_>) {
    for (column, text, spelling, write) in spellings.iter().copied() {
        if text == spelling {
            faults.push(Problem::OtherSpelling {
                column,
                text: spelling,
                write,
            });
        }
    }
}

pub(super) fn unit(text: &str) -> Result<Unit, Problem> {
    if text == CAPACITY_UNIT {
        return Err(Problem::Capacity(text.to_owned()));
    }
    text.parse().map_err(|_| Problem::UnknownUnit(short(text)))
}

fn rate(raw: &RawPrice) -> Result<(i64, Rate), Problem> {
    let per = raw
        .per
        .parse()
        .map_err(|_| Problem::BadPer(short(&raw.per)))?;
    Ok((per, Rate::new(&raw.rate, per)?))
}

fn context(text: &str) -> Result<Option<i64>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        // The greatest count is left free, so that "one more than the bound" always exists.
        Ok(tokens) if (0..i64::MAX).contains(&tokens) => Ok(Some(tokens)),
        _ => Err(Problem::BadContext(short(text))),
    }
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
