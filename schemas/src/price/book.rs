//! The price book: all prices of a file, checked against one another, and the one rule of looking one up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::money::{Currency, Rate};
use crate::price::alias::Alias;
use crate::price::build::Draft;
use crate::price::calendar::Calendar;
use crate::price::entry::{Entry, Item};
use crate::price::error::PriceError;
use crate::price::raw::RawPrice;
use crate::price::row::Price;
use crate::price::sku::{Place, Sku};
use crate::price::timeline::Timeline;
use crate::price::uplift::{Uplift, UpliftUnit};
use crate::time::Micros;
use crate::units::{Side, Unit};

/// The name of a price that holds for every model of a provider.
pub const ANY_MODEL: &str = "*";

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
    /// The speed that the provider reported; empty for the common one.
    pub speed: &'a str,
    /// `ptu` on capacity that is paid by the hour; else empty.
    pub capacity: &'a str,
    /// The region class of the deployment; empty where there is none.
    pub region_class: &'a str,
    /// The region of the deployment; empty where it is not known.
    pub region: &'a str,
    /// Where the model ran, as the provider reported it; empty for anywhere.
    pub geography: &'a str,
    /// All input units of the request: its context band binds the whole of it.
    pub context_tokens: i64,
    /// When the request was received.
    pub at: Micros,
}

impl<'a> Query<'a> {
    /// A query for the common case: default tier, common speed, anywhere, base band.
    #[must_use]
    pub const fn new(provider: &'a str, model: &'a str, unit: Unit, at: Micros) -> Self {
        Self {
            provider,
            model,
            unit,
            service_tier: "default",
            speed: "",
            capacity: "",
            region_class: "",
            region: "",
            geography: "",
            context_tokens: 0,
            at,
        }
    }
}

/// A price that was found, and what the place adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced<'a> {
    /// The price.
    pub price: &'a Price,
    /// What is on top of it.
    pub uplift: Option<&'a Uplift>,
    /// The exact price of one unit, with what is on top.
    pub rate: Rate,
}

impl<'a> Priced<'a> {
    fn plain(price: &'a Price) -> Self {
        Self {
            price,
            uplift: None,
            rate: price.rate,
        }
    }

    /// `None` where the product is not exact; a book with such a product is refused when it is made.
    fn uplifted(price: &'a Price, uplift: &'a Uplift) -> Option<Self> {
        Some(Self {
            price,
            uplift: Some(uplift),
            rate: price.rate.scaled(uplift.factor).ok()?,
        })
    }
}

/// A part of a period in which no price changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Its first instant.
    pub from: Micros,
    /// An instant of the period at which everything has the price that it has in this part.
    pub priced_as: Micros,
}

/// Key of an uplift: model, unit, region class, geography.
pub(super) type UpliftKey = (String, UpliftUnit, String, String);

/// All that is known of one provider.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    pub(super) skus: BTreeMap<String, Sku>,
    pub(super) aliases: BTreeMap<String, Timeline<Alias>>,
    pub(super) uplifts: BTreeMap<UpliftKey, Timeline<Uplift>>,
    pub(super) calendar: Calendar,
}

/// A set of prices without contradiction.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    shelves: BTreeMap<String, Shelf>,
    entries: Vec<Entry>,
    version: String,
}

impl PriceBook {
    /// Parses the lines of a file and checks them against one another; every error is told.
    pub fn new(rows: &[RawPrice]) -> Result<Self, Vec<PriceError>> {
        let draft = Draft::read(rows).finish()?;
        Ok(Self {
            shelves: draft.shelves,
            entries: draft.entries,
            version: draft.version,
        })
    }

    /// The one price that holds, or `None`: unpriced. Never another tier, another band, or a similar name.
    ///
    /// The name is looked up whole (model and version), then as an alias; if the book has neither, without a
    /// trailing `-YYYY-MM-DD`, where the undated price applies. A name that the book has is never mixed with
    /// another. A price for any model (`*`) fills what the name's own prices leave open.
    #[must_use]
    pub fn lookup(&self, query: &Query<'_>) -> Option<Priced<'_>> {
        let sold = self.shelves.get(query.provider)?;
        let own = sold.resolve(query.model, query.at);
        own.and_then(|(name, sku)| sold.priced(name, sku, query))
            .or_else(|| {
                let any = sold.skus.get(ANY_MODEL)?;
                sold.priced(ANY_MODEL, any, query)
            })
    }

    /// The name whose prices a served name has at an instant; `None` where the book knows neither.
    #[must_use]
    pub fn priced_name(&self, provider: &str, served: &str, at: Micros) -> Option<&str> {
        let (name, _) = self.shelves.get(provider)?.resolve(served, at)?;
        Some(name)
    }

    /// Whether a name has any price of a tier at an instant, whatever its unit, band or place.
    #[must_use]
    pub fn has_tier(&self, provider: &str, model: &str, tier: &str, at: Micros) -> bool {
        let sold = self.shelves.get(provider);
        let own = sold.and_then(|sold| sold.resolve(model, at));
        own.is_some_and(|(_, sku)| {
            let mut held = sku.held().filter(|held| held.holds(at));
            held.any(|held| held.item.service_tier == tier)
        })
    }

    /// The dearest price of any unit of a side, over all tiers, classes, places, hours and bands: the bound of
    /// what a request may cost of which only an estimate is known. Without a provider, over all that sell the
    /// model. `None` where nothing is priced, or where prices in two currencies cannot be compared.
    #[must_use]
    pub fn dearest(
        &self,
        provider: Option<&str>,
        model: &str,
        side: Side,
        at: Micros,
    ) -> Option<Priced<'_>> {
        let shelves = self.shelves.iter();
        let sold_by = shelves.filter(|(name, _)| provider.is_none_or(|one| one == name.as_str()));
        let prices: Vec<_> = sold_by
            .filter_map(|(_, shelf)| Some((shelf, shelf.resolve(model, at)?)))
            .flat_map(|(shelf, own)| {
                // What the name's own prices leave open has the price for any model.
                let any = shelf.skus.get(ANY_MODEL).map(|any| (ANY_MODEL, any));
                let both = std::iter::once(own).chain(any);
                both.flat_map(move |(name, sku)| shelf.dearest(name, sku, side, at))
            })
            .collect();
        let currencies: BTreeSet<_> = prices.iter().map(|priced| priced.price.currency).collect();
        if currencies.len() > 1 {
            return None;
        }
        prices
            .into_iter()
            .max_by_key(|priced| (priced.rate.per_unit(), Reverse(priced.price.line)))
    }

    /// All instants at which a price, an uplift or an alias begins or ends, in order.
    #[must_use]
    pub fn boundaries(&self) -> Vec<Micros> {
        let of_calendar = |entry: &&Entry| matches!(entry.item, Item::Hours(_) | Item::Holiday(_));
        let fixed = self.entries.iter().filter(|entry| !of_calendar(entry));
        let spans = fixed.map(Entry::span);
        let all: BTreeSet<_> = spans.flat_map(|(from, to)| [from, to]).flatten().collect();
        all.into_iter().collect()
    }

    /// Cuts a period where prices change. Parts in which everything is priced alike, such as the same hours of two
    /// days, have one `priced_as`. `None` where there are more than `most`.
    #[must_use]
    pub fn intervals(&self, start: Micros, end: Micros, most: usize) -> Option<Vec<Interval>> {
        let inside = |at: &Micros| start < *at && *at < end;
        let fixed: BTreeSet<_> = self.boundaries().into_iter().filter(inside).collect();
        let mut edges = fixed.clone();
        let calendars: Vec<_> = self.shelves.values().map(|shelf| &shelf.calendar).collect();
        for calendar in &calendars {
            calendar.edges(start, end, most, &mut edges);
        }
        edges.insert(start);
        if edges.len() > most {
            return None;
        }
        let (mut seen, mut since) = (BTreeMap::new(), start);
        let interval = |from: Micros| {
            if fixed.contains(&from) {
                since = from;
            }
            let bands: Vec<_> = calendars.iter().map(|c| c.band_at(from)).collect();
            let priced_as = *seen.entry((since, bands)).or_insert(from);
            Interval { from, priced_as }
        };
        Some(edges.into_iter().map(interval).collect())
    }

    /// All bounds of context bands, in order.
    #[must_use]
    pub fn bands(&self) -> Vec<i64> {
        let all: BTreeSet<_> = self
            .prices()
            .filter_map(|price| price.context_over)
            .collect();
        all.into_iter().collect()
    }

    /// All regions that have prices of their own, in order.
    #[must_use]
    pub fn regions(&self) -> Vec<&str> {
        let all: BTreeSet<_> = self.prices().map(|price| price.region.as_str()).collect();
        all.into_iter()
            .filter(|region| !region.is_empty())
            .collect()
    }

    /// All currencies in the book, in order.
    #[must_use]
    pub fn currencies(&self) -> Vec<Currency> {
        let all: BTreeSet<_> = self.prices().map(|price| price.currency).collect();
        all.into_iter().collect()
    }

    /// Every line, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The lines of the file that hold at an instant.
    #[must_use]
    pub fn lines_at(&self, at: Micros) -> BTreeSet<usize> {
        let shelves = self.shelves.values();
        shelves.flat_map(|shelf| shelf.lines_at(at)).collect()
    }

    /// Every price, in the order of the file.
    pub fn prices(&self) -> impl Iterator<Item = &Price> {
        self.entries.iter().filter_map(|entry| match &entry.item {
            Item::Price(price) => Some(price),
            _ => None,
        })
    }

    /// A short digest of the lines; their order does not matter.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Shelf {
    /// The prices of a served name, and the name they stand under.
    fn resolve(&self, served: &str, at: Micros) -> Option<(&str, &Sku)> {
        if served == ANY_MODEL {
            return None;
        }
        if let Some((name, sku)) = self.skus.get_key_value(served) {
            return Some((name, sku));
        }
        if let Some(alias) = self.aliases.get(served) {
            let (name, sku) = self.skus.get_key_value(alias.at(at)?.target.as_str())?;
            return Some((name, sku));
        }
        let (name, sku) = self.skus.get_key_value(without_date(served)?)?;
        sku.has_undated().then_some((name, sku))
    }

    fn priced<'a>(&'a self, name: &str, sku: &'a Sku, query: &Query<'_>) -> Option<Priced<'a>> {
        let place = sku.place(query);
        let hours = self.calendar.band_at(query.at);
        let price = sku.find(query, &place, hours)?;
        if !place.needs_uplift() {
            return Some(Priced::plain(price));
        }
        Priced::uplifted(price, self.uplift(name, price.unit, &place, query.at)?)
    }

    /// The uplift of a place: the model's own before the provider's, a unit's own before that of all tokens. The
    /// first that the book has decides, even where it does not hold.
    fn uplift(&self, name: &str, unit: Unit, place: &Place<'_>, at: Micros) -> Option<&Uplift> {
        let of_unit = [UpliftUnit::One(unit), UpliftUnit::Tokens];
        let keys = [name, ANY_MODEL]
            .into_iter()
            .flat_map(|model| of_unit.into_iter().map(move |unit| (model, unit)));
        let known = keys.filter(|(_, of)| *of != UpliftUnit::Tokens || unit.side() != Side::Apart);
        let mut timelines = known.filter_map(|(model, unit)| {
            let (class, geography) = (place.uplifted_class, place.uplifted_geography);
            let key = (
                model.to_owned(),
                unit,
                class.to_owned(),
                geography.to_owned(),
            );
            self.uplifts.get(&key)
        });
        timelines.next()?.at(at)
    }

    fn lines_at(&self, at: Micros) -> impl Iterator<Item = usize> {
        let prices = self.skus.values().flat_map(Sku::held);
        let prices = prices.filter(move |held| held.holds(at));
        let prices = prices.map(|held| held.item.line);
        let aliases = self.aliases.values().filter_map(move |alias| alias.at(at));
        let uplifts = self
            .uplifts
            .values()
            .filter_map(move |uplift| uplift.at(at));
        prices
            .chain(aliases.map(|alias| alias.origin.line))
            .chain(uplifts.map(|uplift| uplift.origin.line))
            .chain(self.calendar.lines_at(at))
    }

    fn dearest<'a>(
        &'a self,
        name: &'a str,
        sku: &'a Sku,
        side: Side,
        at: Micros,
    ) -> impl Iterator<Item = Priced<'a>> {
        let of_side = sku
            .held()
            .filter(move |held| held.item.unit.side() == side && held.holds(at));
        of_side.flat_map(move |held| {
            let price = &held.item;
            let uplifts = self
                .uplifts
                .values()
                .filter_map(move |uplift| uplift.at(at));
            let concerned = uplifts.filter(move |uplift| uplift.concerns(name, price.unit));
            let raised = concerned.filter_map(move |uplift| Priced::uplifted(price, uplift));
            std::iter::once(Priced::plain(price)).chain(raised)
        })
    }
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

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "dimension_tests.rs"]
mod dimension_tests;
