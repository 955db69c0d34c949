//! From lines to the shelves of a book: everything is parsed, put in its place, and checked against the rest.

use std::collections::BTreeMap;

use crate::price::book::Shelf;
use crate::price::entry::{Entry, Item, version_of};
use crate::price::error::{PriceError, Problem};
use crate::price::raw::RawPrice;
use crate::price::sku::Sku;
use crate::price::timeline::Timeline;

/// A book in the making.
pub(super) struct Draft {
    pub(super) shelves: BTreeMap<String, Shelf>,
    pub(super) entries: Vec<Entry>,
    pub(super) version: String,
    errors: Vec<PriceError>,
}

impl Draft {
    /// Parses the lines and puts each in its place.
    pub(super) fn read(rows: &[RawPrice]) -> Self {
        let (mut entries, mut errors) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match Entry::parse(row) {
                Ok(entry) => entries.push(entry),
                Err(problems) => errors.extend(problems),
            }
        }
        let mut shelves = BTreeMap::<_, Shelf>::new();
        for entry in &entries {
            let shelf = shelves.entry(entry.raw.provider.clone()).or_default();
            shelf.put(entry.item.clone());
        }
        let version = version_of(&entries);
        Self {
            shelves,
            entries,
            version,
            errors,
        }
    }

    /// The draft, if nothing in it contradicts anything else.
    pub(super) fn finish(mut self) -> Result<Self, Vec<PriceError>> {
        for shelf in self.shelves.values_mut() {
            shelf.settle(&mut self.errors);
            shelf.check_names(&mut self.errors);
            shelf.check_products(&mut self.errors);
        }
        if self.errors.is_empty() {
            return Ok(self);
        }
        self.errors.sort_by_key(|error| error.line);
        Err(self.errors)
    }
}

impl Shelf {
    fn put(&mut self, item: Item) {
        match item {
            Item::Price(price) => self.skus.entry(price.full_name()).or_default().add(price),
            Item::Alias(alias) => {
                let timeline = self.aliases.entry(alias.name.clone()).or_default();
                timeline.push(alias);
            }
            Item::Uplift(uplift) => {
                let key = (
                    uplift.model.clone(),
                    uplift.unit,
                    uplift.region_class.clone(),
                    uplift.geography.clone(),
                );
                self.uplifts.entry(key).or_default().push(uplift);
            }
            Item::Hours(band) => self.calendar.add_band(band),
            Item::Holiday(holiday) => self.calendar.add_holiday(holiday),
        }
    }

    fn settle(&mut self, errors: &mut Vec<PriceError>) {
        for sku in self.skus.values_mut() {
            sku.settle(errors);
        }
        for aliases in self.aliases.values_mut() {
            aliases.settle(errors);
        }
        for uplifts in self.uplifts.values_mut() {
            uplifts.settle(errors);
        }
        self.calendar.check(errors);
    }

    /// An alias has no prices of its own and stands for a name that has; a price's hours exist.
    fn check_names(&self, errors: &mut Vec<PriceError>) {
        for (name, aliases) in &self.aliases {
            let own = self.skus.get(name).and_then(|sku| sku.held().next());
            for alias in aliases.all().map(|held| &held.item) {
                let line = alias.origin.line;
                if let Some(own) = own {
                    let problem = Problem::AliasIsPriced(own.item.line);
                    errors.push(PriceError { line, problem });
                }
                if !self.skus.contains_key(&alias.target) {
                    let problem = Problem::AliasOfNothing(alias.target.clone());
                    errors.push(PriceError { line, problem });
                }
            }
        }
        for price in self.skus.values().flat_map(Sku::held) {
            let (line, hours) = (price.item.line, &price.item.hours);
            if !hours.is_empty() && !self.calendar.has(hours) {
                let problem = Problem::NoSuchHours(hours.clone());
                errors.push(PriceError { line, problem });
            }
        }
    }

    /// Every product of an uplift and a price must be exact.
    fn check_products(&self, errors: &mut Vec<PriceError>) {
        for uplift in self.uplifts.values().flat_map(Timeline::all) {
            let uplift = &uplift.item;
            let inexact = self
                .skus
                .iter()
                .flat_map(|(name, sku)| sku.held().map(move |held| (name, &held.item)))
                .filter(|(name, price)| uplift.concerns(name, price.unit))
                .find(|(_, price)| price.rate.scaled(uplift.factor).is_err());
            if let Some((_, price)) = inexact {
                errors.push(PriceError {
                    line: uplift.origin.line,
                    problem: Problem::InexactProduct(price.line),
                });
            }
        }
    }
}
