//! What stands in an entry beside a price and says that it is not the price of every request: taken alone, it would be wrong. Nothing
//! is taken or refused here.

use std::collections::{BTreeMap, BTreeSet};

use schemas::Unit;

use super::field::{self, Field};
use crate::prices::import::once::Once;

/// Prices by ranges of the input, instead of the flat ones or beside them.
pub(super) const RANGES: &str = "tiered_pricing";
/// Prices of some hours of the day.
pub(super) const HOURS: &str = "off_peak_pricing";
/// What each request costs, whatever it uses.
const FEE: &str = "input_cost_per_request";
/// What is read from a cache that the app has made itself.
const EXPLICIT: &str = "explicit_cache_read_input_token_cost";

/// The names of an entry's fields, and what follows from them.
#[derive(Debug, Default)]
pub(super) struct Beside<'a> {
    of_all: Option<&'static str>,
    has_explicit_cache: bool,
    /// For how many hours what is written can be kept, at prices of their own.
    hours: BTreeSet<i64>,
    /// The bounds above which a kind has other prices, by tier.
    bands: BTreeMap<(&'a str, &'a str), BTreeSet<i64>>,
}

impl<'a> Beside<'a> {
    pub(super) fn of(object: &'a Once) -> Self {
        let mut beside = Self {
            of_all: whole(object),
            has_explicit_cache: object.has(EXPLICIT),
            ..Self::default()
        };
        for field in object.names().filter_map(|name| field::read(name).ok()) {
            beside.hours.extend(field.hours);
            let bands = beside.bands.entry((field.kind, field.tier)).or_default();
            bands.extend(field.over);
        }
        beside
    }

    /// Why no price of the entry is that of every request.
    pub(super) fn of_all(&self, field: &str) -> Option<&'static str> {
        self.of_all.filter(|_| field != FEE)
    }

    /// Whether what is kept for an hour has a price of its own.
    pub(super) fn keeps_an_hour(&self) -> bool {
        self.hours.contains(&1)
    }

    /// Why a price is not that of every request.
    pub(super) fn of_price(&self, field: &Field<'_>, unit: Unit) -> Option<&'static str> {
        if unit == Unit::InputCached && self.has_explicit_cache {
            return Some(
                "what the app has cached itself has another price (explicit_cache_read_input_token_cost), and no unit says which it was",
            );
        }
        if unit == Unit::CacheWrite && !self.hours.is_empty() {
            return Some(
                "what is kept for longer has another price, and the unit does not say how long that is",
            );
        }
        if !field.tier.is_empty() && field.over.is_none() && self.lacks_a_band(field) {
            return Some(
                "above a bound the default tier has another price, and of this tier none is said",
            );
        }
        None
    }

    fn lacks_a_band(&self, field: &Field<'_>) -> bool {
        let Some(all) = self.bands.get(&(field.kind, "")) else {
            return false;
        };
        let own = self.bands.get(&(field.kind, field.tier));
        own.is_none_or(|own| !own.is_superset(all))
    }
}

fn whole(object: &Once) -> Option<&'static str> {
    let reasons = [
        (
            RANGES,
            "the entry prices by ranges of the input beside it (tiered_pricing): this is not the price of every request",
        ),
        (
            HOURS,
            "the entry has other prices at some hours (off_peak_pricing): this is not the price of every request",
        ),
        (
            FEE,
            "each request costs something beside it (input_cost_per_request), which no unit of ours counts",
        ),
    ];
    let found = reasons.iter().find(|(name, _)| object.has(name));
    found.map(|(_, reason)| *reason)
}
