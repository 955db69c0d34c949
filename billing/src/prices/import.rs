//! Public price maps, read into lines of our own: what can be taken exactly is taken, all else is refused with its
//! reason. What a map's words mean is said in one module a map; nothing here guesses, rounds or fills in.

mod decimal;
mod genai;
mod litellm;
mod models_dev;
mod once;
mod portkey;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use schemas::price::{Entry, RawPrice};
use schemas::{PriceBook, Unit};
use serde::Serialize;
use serde_json::value::RawValue;

use decimal::Decimal;

/// A public price map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// `LiteLLM`'s `model_prices_and_context_window.json`.
    LiteLlm,
    /// genai-prices' `data.json`.
    GenaiPrices,
    /// models.dev's `api.json`.
    ModelsDev,
    /// A provider's file of Portkey's models, `pricing/PROVIDER.json`.
    Portkey,
}

/// Not a price map that is read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a price map: write litellm, genai-prices, models-dev or portkey")]
pub struct BadMap(String);

impl FromStr for Map {
    type Err = BadMap;

    fn from_str(text: &str) -> Result<Self, BadMap> {
        match text {
            "litellm" => Ok(Self::LiteLlm),
            "genai-prices" => Ok(Self::GenaiPrices),
            "models-dev" => Ok(Self::ModelsDev),
            "portkey" => Ok(Self::Portkey),
            _ => Err(BadMap(text.chars().take(64).collect())),
        }
    }
}

/// What is read, and what the map does not say of itself.
#[derive(Clone, Debug)]
pub struct Request {
    /// The map.
    pub map: Map,
    /// Where the map was read: the `source` of every line.
    pub source: String,
    /// On which day, as `2026-11-24`.
    pub read_on: String,
    /// Only this provider; for a map of one provider that does not name it, its name.
    pub provider: Option<String>,
    /// The deployment class of all lines, where the provider prices by it and the map does not say.
    pub region_class: String,
}

/// The map could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON, or not of this shape.
    #[error("the price map cannot be read: {0}; is it of the kind that --from names?")]
    Shape(#[from] serde_json::Error),
    /// The map holds one provider and does not say which.
    #[error("this map does not name its provider: name it with --provider")]
    NoProvider,
}

/// What was taken and what was not.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Lines that make a price book together.
    pub rows: Vec<RawPrice>,
    /// What was not taken.
    pub refused: Vec<Refused>,
}

/// Something of a map that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refused {
    /// The entry of the map.
    pub entry: String,
    /// The field of the entry; empty for the whole of it.
    pub field: String,
    /// Why.
    pub reason: String,
    /// Set where it is the price above a bound: what holds below the bound would hold above it, too.
    #[serde(skip)]
    above: Option<Above>,
}

/// What a price above a bound that was refused would have been.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Above {
    provider: String,
    model: String,
    /// Whose prices would hold instead.
    unit: Unit,
    /// It is reasoning, which has the price of other output where it has none of its own.
    is_reasoning: bool,
    tier: String,
    valid_from: String,
    /// The bound; the greatest there is where it is not understood.
    over: i64,
}

/// Whose price would hold where one is not taken: the unit's own below a bound, and of reasoning that of other output, which has
/// no bound then.
fn instead(unit: Unit, over: Option<i64>) -> Option<(Unit, bool, i64)> {
    match (unit, over) {
        (unit, Some(over)) => Some((unit, false, over)),
        (Unit::OutputReasoning, None) => Some((Unit::OutputText, true, i64::MAX)),
        (_, None) => None,
    }
}

impl Above {
    fn of(row: &RawPrice) -> Option<Self> {
        let (unit, is_reasoning, over) =
            instead(row.unit.parse().ok()?, row.context_over.parse().ok())?;
        Some(Self {
            provider: row.provider.clone(),
            model: row.model.clone(),
            unit,
            is_reasoning,
            tier: row.service_tier.clone(),
            valid_from: row.valid_from.clone(),
            over,
        })
    }

    /// Whether a line of the same name would hold above the bound, or is what holds there.
    fn concerns(&self, row: &RawPrice) -> bool {
        (row.unit.as_str(), &row.service_tier, &row.valid_from)
            == (self.unit.as_str(), &self.tier, &self.valid_from)
    }
}

/// Reads a map.
pub fn import(text: &str, request: &Request) -> Result<Imported, ImportError> {
    let mut found = Found::of(request);
    match request.map {
        Map::LiteLlm => litellm::read(text, &mut found)?,
        Map::GenaiPrices => genai::read(text, &mut found)?,
        Map::ModelsDev => models_dev::read(text, &mut found)?,
        Map::Portkey => portkey::read(text, &mut found)?,
    }
    Ok(found.finish())
}

/// A price as a map has it.
#[derive(Clone, Debug, Default)]
struct Key<'a> {
    entry: &'a str,
    field: &'a str,
    provider: &'a str,
    model: &'a str,
    unit: Option<Unit>,
    tier: &'a str,
    over: Option<i64>,
    valid_from: &'a str,
    valid_to: &'a str,
}

impl Key<'_> {
    fn tier(&self) -> &str {
        if self.tier.is_empty() {
            "default"
        } else {
            self.tier
        }
    }

    /// What is not taken where the price is not: nothing for a unit that nobody counts, and for a base price.
    fn above(&self) -> Option<Above> {
        let (unit, is_reasoning, over) = instead(self.unit?, self.over)?;
        Some(Above {
            provider: self.provider.to_owned(),
            model: self.model.to_owned(),
            unit,
            is_reasoning,
            tier: self.tier().to_owned(),
            valid_from: self.valid_from.to_owned(),
            over,
        })
    }
}

/// What a number of a map is for: `per` units, after it was multiplied by a power of ten.
#[derive(Clone, Copy, Debug)]
struct Scale {
    per: i64,
    power: i32,
}

impl Scale {
    /// Money for one token becomes money for a million.
    const TOKEN: Self = Self {
        per: 1_000_000,
        power: 6,
    };
    /// Already for a million.
    const MILLION: Self = Self {
        per: 1_000_000,
        power: 0,
    };
    /// For a thousand.
    const THOUSAND: Self = Self {
        per: 1_000,
        power: 0,
    };
    /// For one.
    const ONE: Self = Self { per: 1, power: 0 };
    /// Hundredths of money for one token become money for a million.
    const CENTS_A_TOKEN: Self = Self {
        per: 1_000_000,
        power: 4,
    };
    /// Hundredths of money for one.
    const CENTS: Self = Self { per: 1, power: -2 };
}

/// Lines and refusals while a map is read.
struct Found<'a> {
    request: &'a Request,
    rows: Vec<(RawPrice, Refused)>,
    refused: Vec<Refused>,
}

impl<'a> Found<'a> {
    fn of(request: &'a Request) -> Self {
        Self {
            request,
            rows: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Whether lines of this provider are asked for.
    fn wants(&self, provider: &str) -> bool {
        let only = self.request.provider.as_deref();
        only.is_none_or(|only| only == provider)
    }

    fn refuse(&mut self, entry: &str, field: &str, reason: impl Into<String>) {
        self.refuse_above(entry, field, reason, None);
    }

    /// Refuses what is a price above a bound, if it is one.
    fn refuse_above(
        &mut self,
        entry: &str,
        field: &str,
        reason: impl Into<String>,
        above: Option<Above>,
    ) {
        self.refused.push(Refused {
            entry: entry.to_owned(),
            field: field.to_owned(),
            reason: reason.into(),
            above,
        });
    }

    /// Refuses a line that was read.
    fn refuse_row(&mut self, row: &RawPrice, place: &Refused, reason: impl Into<String>) {
        self.refuse_above(&place.entry, &place.field, reason, Above::of(row));
    }

    /// Takes a number of the map, as it is written there, or says why not.
    fn take(&mut self, key: &Key<'_>, value: &RawValue, scale: Scale, currency: &str) {
        let Some(unit) = key.unit else {
            return self.refuse(key.entry, key.field, "no unit of ours counts this");
        };
        match rate(value, scale) {
            Ok(rate) => {
                let row = self.row(key, unit, scale, rate, currency);
                let place = Refused {
                    entry: key.entry.to_owned(),
                    field: key.field.to_owned(),
                    reason: String::new(),
                    above: None,
                };
                self.rows.push((row, place));
            }
            Err(reason) => self.refuse_above(key.entry, key.field, reason, key.above()),
        }
    }

    fn row(
        &self,
        key: &Key<'_>,
        unit: Unit,
        scale: Scale,
        rate: String,
        currency: &str,
    ) -> RawPrice {
        RawPrice {
            line: self.rows.len() + 2,
            provider: key.provider.to_owned(),
            model: key.model.to_owned(),
            unit: unit.to_string(),
            service_tier: key.tier().to_owned(),
            region_class: self.request.region_class.clone(),
            context_over: key.over.map(|over| over.to_string()).unwrap_or_default(),
            per: scale.per.to_string(),
            rate,
            currency: currency.to_owned(),
            valid_from: key.valid_from.to_owned(),
            valid_to: key.valid_to.to_owned(),
            source: self.request.source.clone(),
            read_on: self.request.read_on.clone(),
            ..RawPrice::default()
        }
    }

    /// Leaves out what is no price, what is said twice, and what is said in two ways.
    fn finish(mut self) -> Imported {
        let rows = std::mem::take(&mut self.rows);
        let mut by_key = BTreeMap::<String, Vec<(Entry, Refused)>>::new();
        for (row, place) in rows {
            match Entry::parse(&row) {
                Ok(entry) => by_key.entry(entry.key()).or_default().push((entry, place)),
                Err(errors) => {
                    let reasons: Vec<_> = errors.iter().map(|e| e.problem.to_string()).collect();
                    self.refuse_row(&row, &place, reasons.join("; "));
                }
            }
        }
        let mut kept = Vec::new();
        for entries in by_key.into_values() {
            let values: BTreeSet<_> = entries.iter().map(|(entry, _)| entry.value()).collect();
            if values.len() == 1 {
                kept.extend(entries.into_iter().next());
                continue;
            }
            let values: Vec<_> = values.into_iter().collect();
            for (entry, place) in entries {
                let reason = format!("ambiguous: the map has {} for it", values.join(" and "));
                self.refuse_row(&entry.raw, &place, reason);
            }
        }
        self.without_contradictions(kept)
    }

    /// Where a name's price above a bound was refused, its prices below would hold there too: they are left out, unless
    /// another line says what holds above that very bound. Where that leaves reasoning without a price, so is other output.
    fn without_cut_off_bands(
        &mut self,
        mut kept: Vec<(RawPrice, Refused)>,
    ) -> Vec<(RawPrice, Refused)> {
        loop {
            let cut_off = self.cut_off(&kept);
            if cut_off.is_empty() {
                return kept;
            }
            let (out, rest) = kept
                .into_iter()
                .partition::<Vec<_>, _>(|(row, _)| cut_off.contains_key(&row.line));
            for (row, place) in out {
                let reason = cut_off.get(&row.line).copied().unwrap_or_default();
                self.refuse_row(&row, &place, reason);
            }
            kept = rest;
        }
    }

    /// The lines that would hold instead of what was refused, and why they are left out.
    fn cut_off(&self, kept: &[(RawPrice, Refused)]) -> BTreeMap<usize, &'static str> {
        let over = |row: &RawPrice| row.context_over.parse().unwrap_or(-1_i64);
        let mut of_name = BTreeMap::<(&str, &str), Vec<(&RawPrice, i64)>>::new();
        for (row, _) in kept {
            let rows = of_name.entry((&row.provider, &row.model)).or_default();
            rows.push((row, over(row)));
        }
        let mut cut_off = BTreeMap::new();
        for refused in &self.refused {
            let Some(above) = &refused.above else {
                continue;
            };
            let Some(rows) = of_name.get(&(above.provider.as_str(), above.model.as_str())) else {
                continue;
            };
            let concerned = || rows.iter().filter(|(row, _)| above.concerns(row));
            // Reasoning has no other output's price where the name has any of its own.
            let reasoning = Unit::OutputReasoning.as_str();
            let has_own = above.is_reasoning && rows.iter().any(|(row, _)| row.unit == reasoning);
            if has_own || concerned().any(|(_, over)| *over == above.over) {
                continue;
            }
            let reason = if above.is_reasoning {
                "the price of reasoning is refused, and this one would hold for it too"
            } else {
                "its price above a bound is refused, and this one would hold there too"
            };
            let below = concerned().filter(|(_, over)| *over < above.over);
            cut_off.extend(below.map(|(row, _)| (row.line, reason)));
        }
        cut_off
    }

    /// Lines that cannot stand in one book are all left out.
    fn without_contradictions(mut self, kept: Vec<(Entry, Refused)>) -> Imported {
        let mut kept: Vec<_> = kept
            .into_iter()
            .map(|(entry, place)| (entry.raw, place))
            .collect();
        kept.sort_by_key(|(row, _)| row.line);
        while let Err(errors) = book_of(&kept) {
            let wrong: BTreeMap<_, _> = errors.iter().map(|e| (e.line, &e.problem)).collect();
            let mut rest = Vec::with_capacity(kept.len());
            for (row, place) in kept {
                match wrong.get(&row.line) {
                    Some(problem) => self.refuse_row(&row, &place, problem.to_string()),
                    None => rest.push((row, place)),
                }
            }
            kept = rest;
        }
        let kept = self.without_cut_off_bands(kept);
        self.refused.sort();
        self.refused.dedup();
        Imported {
            rows: kept.into_iter().map(|(row, _)| row).collect(),
            refused: self.refused,
        }
    }
}

fn book_of(rows: &[(RawPrice, Refused)]) -> Result<PriceBook, Vec<schemas::PriceError>> {
    let rows: Vec<_> = rows.iter().map(|(row, _)| row.clone()).collect();
    PriceBook::new(&rows)
}

/// A rate as our files write it. Nothing that is not told is taken for free: a zero may mean either.
fn rate(value: &RawValue, scale: Scale) -> Result<String, String> {
    let text = value.get();
    let decimal = Decimal::parse(text).ok_or_else(|| match text.chars().next() {
        Some('{' | '[') => "a price with parts, of which the book knows none".to_owned(),
        _ => format!("{} is not a number", shortened(text)),
    })?;
    if decimal.is_zero() {
        return Err("zero: it does not say whether it is free or not known".to_owned());
    }
    decimal.times_ten_to(scale.power).plain().ok_or_else(|| {
        format!(
            "{} is not a decimal that the book can hold",
            shortened(text)
        )
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

/// Writing to a cache: Anthropic's maps mean the lifetime of five minutes where they do not say, others have one.
fn cache_write(provider: &str) -> Unit {
    if provider == "anthropic" {
        Unit::CacheWrite5m
    } else {
        Unit::CacheWrite
    }
}

#[cfg(test)]
#[path = "import/litellm_tests.rs"]
mod litellm_tests;
#[cfg(test)]
#[path = "import/refusal_tests.rs"]
mod refusal_tests;
#[cfg(test)]
#[path = "import/import_tests.rs"]
mod tests;
