//! The price book: all prices of a file, checked against one another, and the one rule of looking one up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::money::Currency;
use crate::price::error::{PriceError, Problem};
use crate::price::row::{Price, RawPrice};
use crate::time::Micros;
use crate::units::{Side, Unit};

/// The name of a price that holds for every model of a provider.
pub const ANY_MODEL: &str = "*";
/// The region class of a deployment that may run anywhere.
const GLOBAL: &str = "global";
/// Hex digits of a version.
const VERSION_DIGITS: usize = 12;

/// What a price is asked for: everything that one request decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Who bills.
    pub provider: &'a str,
    /// The model as served.
    pub model: &'a str,
    /// What was counted.
    pub unit: Unit,
    /// The tier that the provider reported.
    pub service_tier: &'a str,
    /// The region class of the deployment; empty where there is none.
    pub region_class: &'a str,
    /// All input units of the request: its context band binds the whole of it.
    pub context_tokens: i64,
    /// When the request was received.
    pub at: Micros,
}

/// A set of prices without contradiction.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    skus: BTreeMap<(String, String), Sku>,
    version: String,
}

/// All prices of one name at one provider.
#[derive(Clone, Debug, Default)]
struct Sku {
    slots: BTreeMap<Slot, Vec<Held>>,
    has_undated: bool,
    has_classes: bool,
    prices_reasoning: bool,
}

/// Which of a name's prices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    unit: Unit,
    service_tier: String,
    region_class: String,
    context_over: Option<i64>,
}

/// A price with the time in which it holds: a later price of its slot has replaced it at `until`.
#[derive(Clone, Debug)]
struct Held {
    price: Price,
    until: Option<Micros>,
}

impl Held {
    fn holds(&self, at: Micros) -> bool {
        self.price.valid_from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
    }
}

impl PriceBook {
    /// Parses the lines of a file and checks them against one another; every error is told.
    pub fn new(rows: &[RawPrice]) -> Result<Self, Vec<PriceError>> {
        let mut errors = Vec::new();
        let mut prices = Vec::with_capacity(rows.len());
        for row in rows {
            match Price::parse(row) {
                Ok(price) => prices.push(price),
                Err(problems) => errors.extend(problems),
            }
        }
        let version = version_of(&prices);
        let mut skus = BTreeMap::<_, Sku>::new();
        for price in prices {
            let name = (price.provider.clone(), price.full_name());
            skus.entry(name).or_default().add(price);
        }
        for sku in skus.values_mut() {
            for held in sku.slots.values_mut() {
                settle(held, &mut errors);
            }
        }
        if !errors.is_empty() {
            errors.sort_by_key(|error| error.line);
            return Err(errors);
        }
        Ok(Self { skus, version })
    }

    /// The one price that holds, or `None`: unpriced. Never another tier, another band, or a similar name.
    ///
    /// The name is looked up whole (model and version); if the book does not have it, without a trailing
    /// `-YYYY-MM-DD`, where the undated price applies. A name that the book has is never mixed with another.
    /// A price for any model (`*`) fills what the name's own prices leave open.
    #[must_use]
    pub fn lookup(&self, query: &Query<'_>) -> Option<&Price> {
        let own = self.sku(query.provider, query.model);
        own.and_then(|sku| sku.lookup(query)).or_else(|| {
            let any = self.named(query.provider, ANY_MODEL)?;
            any.lookup(query)
        })
    }

    /// The dearest price of any unit of a side, over all tiers, classes and bands: the bound of what a request
    /// may cost of which only an estimate is known. Without a provider, over all that sell the model. `None`
    /// where nothing is priced, or where prices in two currencies cannot be compared.
    #[must_use]
    pub fn dearest(
        &self,
        provider: Option<&str>,
        model: &str,
        side: Side,
        at: Micros,
    ) -> Option<&Price> {
        let providers: BTreeSet<_> = match provider {
            Some(one) => BTreeSet::from([one]),
            None => self.skus.keys().map(|(name, _)| name.as_str()).collect(),
        };
        let skus = providers.iter().filter_map(|name| self.sku(name, model));
        let prices: Vec<_> = skus
            .flat_map(Sku::held)
            .filter(|held| held.price.unit.side() == side && held.holds(at))
            .map(|held| &held.price)
            .collect();
        let currencies: BTreeSet<_> = prices.iter().map(|price| price.currency).collect();
        if currencies.len() > 1 {
            return None;
        }
        prices
            .into_iter()
            .max_by_key(|price| (price.rate.per_unit(), Reverse(price.line)))
    }

    /// All instants at which some price begins or ends, in order.
    #[must_use]
    pub fn boundaries(&self) -> Vec<Micros> {
        let ends = |held: &Held| [held.price.valid_from, held.until];
        let all: BTreeSet<_> = self.all().flat_map(ends).flatten().collect();
        all.into_iter().collect()
    }

    /// All bounds of context bands, in order.
    #[must_use]
    pub fn bands(&self) -> Vec<i64> {
        let all: BTreeSet<_> = self
            .all()
            .filter_map(|held| held.price.context_over)
            .collect();
        all.into_iter().collect()
    }

    /// All currencies in the book, in order.
    #[must_use]
    pub fn currencies(&self) -> Vec<Currency> {
        let all: BTreeSet<_> = self.all().map(|held| held.price.currency).collect();
        all.into_iter().collect()
    }

    /// Every price, by name.
    pub fn prices(&self) -> impl Iterator<Item = &Price> {
        self.all().map(|held| &held.price)
    }

    /// A short digest of the prices; the order of the lines does not matter.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    fn all(&self) -> impl Iterator<Item = &Held> {
        self.skus.values().flat_map(Sku::held)
    }

    fn named(&self, provider: &str, name: &str) -> Option<&Sku> {
        self.skus.get(&(provider.to_owned(), name.to_owned()))
    }

    fn sku(&self, provider: &str, served: &str) -> Option<&Sku> {
        if served == ANY_MODEL {
            return None;
        }
        self.named(provider, served).or_else(|| {
            let undated = without_date(served)?;
            self.named(provider, undated).filter(|sku| sku.has_undated)
        })
    }
}

impl Sku {
    fn add(&mut self, price: Price) {
        self.has_undated |= price.model_version.is_empty();
        self.has_classes |= !price.region_class.is_empty();
        self.prices_reasoning |= price.unit == Unit::OutputReasoning;
        let slot = Slot {
            unit: price.unit,
            service_tier: price.service_tier.clone(),
            region_class: price.region_class.clone(),
            context_over: price.context_over,
        };
        let until = price.valid_to;
        self.slots
            .entry(slot)
            .or_default()
            .push(Held { price, until });
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.slots.values().flatten()
    }

    fn lookup(&self, query: &Query<'_>) -> Option<&Price> {
        // Where a provider does not tell classes apart, a deployment that may run anywhere has its one price.
        let classless = !self.has_classes && query.region_class == GLOBAL;
        let slot = Slot {
            unit: self.priced_as(query.unit),
            service_tier: query.service_tier.to_owned(),
            region_class: if classless { "" } else { query.region_class }.to_owned(),
            context_over: self.band(query.context_tokens, query.at),
        };
        let held = self.slots.get(&slot)?;
        let price = held.iter().find(|held| held.holds(query.at))?;
        Some(&price.price)
    }

    /// Reasoning is billed as output wherever a name has no price of its own for it.
    fn priced_as(&self, unit: Unit) -> Unit {
        if unit == Unit::OutputReasoning && !self.prices_reasoning {
            return Unit::OutputText;
        }
        unit
    }

    /// The band of a request: the highest bound below its context, of those the name has at that time.
    fn band(&self, context_tokens: i64, at: Micros) -> Option<i64> {
        self.held()
            .filter(|held| held.holds(at))
            .filter_map(|held| held.price.context_over)
            .filter(|bound| context_tokens > *bound)
            .max()
    }
}

/// Orders the prices of one slot by time, ends each where the next begins, and finds contradictions.
fn settle(held: &mut [Held], errors: &mut Vec<PriceError>) {
    held.sort_by_key(|held| (held.price.valid_from, held.price.line));
    let mut longest: Option<(Micros, usize)> = None;
    for at in 1..held.len() {
        let (before, rest) = held.split_at_mut(at);
        let (previous, this) = (&mut before[at - 1], &rest[0].price);
        if let Some(end) = previous.price.valid_to {
            longest = longest.max(Some((end, previous.price.line)));
        }
        if let Some(problem) = contradiction(&previous.price, this, longest) {
            errors.push(PriceError {
                line: this.line,
                problem,
            });
        }
        if previous.until.is_none() {
            previous.until = this.valid_from;
        }
    }
}

fn contradiction(
    previous: &Price,
    this: &Price,
    longest: Option<(Micros, usize)>,
) -> Option<Problem> {
    if previous.currency != this.currency {
        return Some(Problem::TwoCurrencies {
            ours: this.currency,
            line: previous.line,
            theirs: previous.currency,
        });
    }
    if previous.valid_from == this.valid_from {
        let same = previous.rate == this.rate && previous.valid_to == this.valid_to;
        let problem = if same {
            Problem::Duplicate
        } else {
            Problem::Overlap
        };
        return Some(problem(previous.line));
    }
    let (end, line) = longest?;
    this.valid_from
        .is_none_or(|from| from < end)
        .then_some(Problem::Overlap(line))
}

/// `gpt-4o` of `gpt-4o-2024-08-06`; `None` where the name does not end in a date.
fn without_date(name: &str) -> Option<&str> {
    let at = name.len().checked_sub("-2024-08-06".len())?;
    let (stem, date) = name.split_at_checked(at)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (is_date && !stem.is_empty()).then_some(stem)
}

fn version_of(prices: &[Price]) -> String {
    let mut lines: Vec<_> = prices.iter().map(canonical).collect();
    lines.sort_unstable();
    let mut digest = Sha256::new();
    for line in lines {
        digest.update(line);
        digest.update(b"\n");
    }
    let mut text = hex::encode(digest.finalize());
    text.truncate(VERSION_DIGITS);
    text
}

/// One line of JSON; the rate as the exact price of one unit, so that `2.5` and `2.50` are one price.
fn canonical(price: &Price) -> String {
    serde_json::json!([
        price.provider,
        price.model,
        price.model_version,
        price.unit,
        price.service_tier,
        price.region_class,
        price.context_over,
        price.rate.per_unit(),
        price.currency,
        price.valid_from,
        price.valid_to,
        price.source,
        price.read_on.to_string(),
    ])
    .to_string()
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
