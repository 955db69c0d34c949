//! All prices of one name at one provider, and which of them a request has.

use std::collections::{BTreeMap, BTreeSet};

use crate::price::book::Query;
use crate::price::error::{PriceError, Problem};
use crate::price::row::Price;
use crate::price::timeline::{Held, Timeline};
use crate::time::Micros;
use crate::units::Unit;

/// The region class of a deployment that may run anywhere.
const GLOBAL: &str = "global";

/// The prices of a name.
#[derive(Clone, Debug, Default)]
pub(super) struct Sku {
    slots: BTreeMap<Unit, Vec<Slot>>,
    has_undated: bool,
    has_classes: bool,
    has_bands: bool,
    regions: BTreeSet<(String, String)>,
    geographies: BTreeSet<String>,
}

/// The prices of one key, one after another.
#[derive(Clone, Debug)]
struct Slot {
    key: Price,
    prices: Timeline<Price>,
}

/// Where a request ran, in the words of a name's prices; what these do not tell apart is left to an uplift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    class: &'a str,
    region: &'a str,
    geography: &'a str,
    pub(super) uplifted_class: &'a str,
    pub(super) uplifted_geography: &'a str,
}

impl Place<'_> {
    pub(super) fn needs_uplift(&self) -> bool {
        !self.uplifted_class.is_empty() || !self.uplifted_geography.is_empty()
    }
}

/// Whether two prices differ in nothing but rate and time.
fn same_key(a: &Price, b: &Price) -> bool {
    a.hours == b.hours && same_but_hours(a, b)
}

fn same_but_hours(a: &Price, b: &Price) -> bool {
    let key = |p: &Price| (p.unit, p.context_over);
    let texts = |p: &Price| {
        [
            p.service_tier.clone(),
            p.speed.clone(),
            p.capacity.clone(),
            p.region_class.clone(),
            p.region.clone(),
            p.geography.clone(),
        ]
    };
    key(a) == key(b) && texts(a) == texts(b)
}

impl Sku {
    pub(super) fn add(&mut self, price: Price) {
        self.has_undated |= price.model_version.is_empty();
        self.has_classes |= !price.region_class.is_empty();
        self.has_bands |= price.context_over.is_some();
        if !price.region.is_empty() {
            let region = (price.region_class.clone(), price.region.clone());
            self.regions.insert(region);
        }
        if !price.geography.is_empty() {
            self.geographies.insert(price.geography.clone());
        }
        let slots = self.slots.entry(price.unit).or_default();
        if let Some(slot) = slots.iter_mut().find(|slot| same_key(&slot.key, &price)) {
            slot.prices.push(price);
            return;
        }
        let key = price.clone();
        let mut prices = Timeline::default();
        prices.push(price);
        slots.push(Slot { key, prices });
    }

    /// Orders the prices and finds contradictions.
    pub(super) fn settle(&mut self, errors: &mut Vec<PriceError>) {
        for slot in self.slots.values_mut().flatten() {
            slot.prices.settle(errors);
        }
        for slots in self.slots.values() {
            let all_hours = slots.iter().filter(|slot| slot.key.hours.is_empty());
            for whole in all_hours {
                let parts = slots
                    .iter()
                    .filter(|slot| !slot.key.hours.is_empty())
                    .filter(|slot| same_but_hours(&slot.key, &whole.key));
                for part in parts {
                    errors.extend(whole_and_part(whole, part));
                }
            }
        }
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &Held<Price>> {
        self.slots
            .values()
            .flatten()
            .flat_map(|slot| slot.prices.all())
    }

    pub(super) fn has_undated(&self) -> bool {
        self.has_undated
    }

    pub(super) fn place<'a>(&self, query: &Query<'a>) -> Place<'a> {
        // Where a provider does not tell classes apart, a deployment that may run anywhere has its one price.
        let (class, uplifted_class) = match query.region_class {
            class if self.has_classes => (class, ""),
            "" | GLOBAL => ("", ""),
            class => ("", class),
        };
        let (geography, uplifted_geography) = match query.geography {
            geography if self.geographies.contains(geography) => (geography, ""),
            geography => ("", geography),
        };
        // A region of another class says nothing of this one.
        let mut regions = self.regions.iter();
        let has_region = regions.any(|(of, name)| of == class && name == query.region);
        Place {
            class,
            region: if has_region { query.region } else { "" },
            geography,
            uplifted_class,
            uplifted_geography,
        }
    }

    pub(super) fn find(
        &self,
        query: &Query<'_>,
        place: &Place<'_>,
        hours: Option<&str>,
    ) -> Option<&Price> {
        let band = self.band(query.context_tokens, query.at);
        let slots = self.slots.get(&self.priced_as(query.unit))?;
        let mut matching = slots.iter().filter(|slot| {
            let key = &slot.key;
            (key.hours.is_empty() || Some(key.hours.as_str()) == hours)
                && key.context_over == band
                && key.service_tier == query.service_tier
                && key.speed == query.speed
                && key.capacity == query.capacity
                && key.region_class == place.class
                && key.region == place.region
                && key.geography == place.geography
        });
        matching.find_map(|slot| slot.prices.at(query.at))
    }

    /// Reasoning is billed as output wherever a name has no price of its own for it.
    fn priced_as(&self, unit: Unit) -> Unit {
        if unit == Unit::OutputReasoning && !self.slots.contains_key(&unit) {
            return Unit::OutputText;
        }
        unit
    }

    /// The band of a request: the highest bound below its context, of those the name has at that time.
    fn band(&self, context_tokens: i64, at: Micros) -> Option<i64> {
        if !self.has_bands {
            return None;
        }
        self.held()
            .filter(|held| held.holds(at))
            .filter_map(|held| held.item.context_over)
            .filter(|bound| context_tokens > *bound)
            .max()
    }
}

/// A price for all hours and one for some of them at one time: which would hold?
fn whole_and_part(whole: &Slot, part: &Slot) -> Vec<PriceError> {
    let collide = |part: &Held<Price>| {
        let whole = whole.prices.all().find(|whole| whole.overlaps(part))?;
        Some(PriceError {
            line: part.item.line,
            problem: Problem::AllHours(whole.item.line),
        })
    };
    part.prices.all().filter_map(collide).collect()
}
