//! What an event's cost depends on beside its time, as one text and a few counts. By these a store adds up a month without
//! looking at the columns that they are made of.
//!
//! The text says everything that decides a price or a class of a report; the counts are of the units that it names, in its
//! order. An event that does not fit (several lines, many units, counts of more than 32 bits) has no text, and no counts: it is
//! read from its other columns. So has a row that was written before there were these. What a price is must not live here.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::enums::{Api, Billable, Capacity, Outcome, UsageQuality, UsageSource};
use crate::event::{Line, UsageEvent};
use crate::name::Text;
use crate::units::{Side, Unit};

/// So many counts a row has room for.
pub const MAX_COUNTS: usize = 8;

/// All that is alike for events that are rated together. Empty texts, lists and `false` are left out of its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the records of its own"
)]
pub struct RatedAs<'a> {
    /// Who bills.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub provider: Cow<'a, str>,
    /// The model that is priced: of the line, or else as planned, as served, as asked where that led to a route.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub model: Cow<'a, str>,
    /// The service tier as reported.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub tier: Cow<'a, str>,
    /// The speed as reported.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub speed: Cow<'a, str>,
    /// The geography as reported.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub geography: Cow<'a, str>,
    /// The deployment's class: global, zone, region.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub zone: Cow<'a, str>,
    /// Its region.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub region: Cow<'a, str>,
    /// How its capacity is paid.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub capacity: Cow<'a, str>,
    /// The final fate.
    pub outcome: Outcome,
    /// By the provider's rules.
    pub billable: Billable,
    /// Where the counts come from.
    pub source: UsageSource,
    /// Whether they add up.
    pub quality: UsageQuality,
    /// On no bill.
    #[serde(default, skip_serializing_if = "is_false")]
    pub synthetic: bool,
    /// Whether it says how many of any unit were used, be it 0. A moderation uses none: `OpenAI`, API reference.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_units: bool,
    /// Whether the record names the model that is priced, and not only what was asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub names_model: bool,
    /// Whether admission reserved anything, where that bounds something.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_reserved: bool,
    /// Calls before the last that failed and that the provider may bill.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub doubtful_calls: u8,
    /// What these went to, provider and model, each once, in the order of the texts.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub called: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The units that were used, in the order of their numbers: the first counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<Unit>,
    /// The units that bound what is not known, in the order of their numbers: the counts behind those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub estimated: Vec<Unit>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u8) -> bool {
    *count == 0
}

impl<'a> RatedAs<'a> {
    /// Reads a text of a row. Fails on what a newer version wrote.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Its one text.
    ///
    /// # Panics
    /// Never: it holds nothing that JSON cannot.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("texts, names and numbers have a JSON form")
    }
}

/// An event as it is rated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rated<'a> {
    /// All but the counts.
    pub key: RatedAs<'a>,
    /// Units of the input side: they choose the context band.
    pub input: u32,
    /// Of the units that were used, then of those that bound it.
    pub counts: [u32; MAX_COUNTS],
}

/// An event as it is rated; `None` where it does not fit.
#[must_use]
pub fn rated(event: &UsageEvent) -> Option<Rated<'_>> {
    let line = match event.lines.as_slice() {
        [] => None,
        [line] => Some(line),
        _ => return None,
    };
    // Sums of counts are taken in 64 bits.
    u32::try_from(event.count).ok()?;
    let doubtful_calls = u8::try_from(event.doubtful_calls().count()).ok()?;
    let is_bounded = is_bounded_by_reservation(event.outcome, event.billable, event.usage_source);
    let is_estimated = is_bounded || doubtful_calls > 0;
    let units = line.into_iter().flat_map(|line| line.units.iter());
    let used: Counts = units
        .filter(|(_, count)| *count != 0)
        .map(|(unit, count)| (unit, i128::from(count)))
        .collect();
    let mut estimated = Counts::new();
    if is_estimated {
        let reserved = |unit| i128::from(event.estimated_units.get(unit).unwrap_or(0));
        let counted = |unit| {
            let of = used.iter().find(|(of, _)| *of == unit);
            of.map_or(0, |(_, count)| *count)
        };
        let all = bounds(doubtful_calls, is_bounded, reserved, counted);
        estimated.extend(all.filter(|(_, count)| *count != 0));
    }
    let mut counts = [0; MAX_COUNTS];
    for (at, (_, count)) in used.iter().chain(&estimated).enumerate() {
        *counts.get_mut(at)? = u32::try_from(*count).ok()?;
    }
    let inputs = used.iter().filter(|(unit, _)| unit.side() == Side::Input);
    let input: i128 = inputs.map(|(_, count)| *count).sum();
    Some(Rated {
        key: RatedAs {
            is_reserved: is_estimated && event.estimated_units.iter().any(|(_, count)| count > 0),
            doubtful_calls,
            called: called(event),
            used: used.iter().map(|(unit, _)| *unit).collect(),
            estimated: estimated.iter().map(|(unit, _)| *unit).collect(),
            ..key(event, line)
        },
        input: u32::try_from(input).ok()?,
        counts,
    })
}

type Counts = SmallVec<[(Unit, i128); MAX_COUNTS]>;

/// All of it that is no list.
fn key<'a>(event: &'a UsageEvent, line: Option<&'a Line>) -> RatedAs<'a> {
    fn text(text: Option<&Text>) -> Cow<'_, str> {
        text.map_or("", Text::as_str).into()
    }
    let named = line.map(|line| &line.model);
    let named = named.or(event.priced_as.as_ref());
    let named = named.or(event.model_served.as_ref());
    // Of a request that was refused or never routed the name that was asked for may be any text: it is no model.
    let was_routed = event.route.is_some() || event.deployment.is_some();
    let asked = Some(&event.model_requested).filter(|_| was_routed && !event.outcome.is_refusal());
    RatedAs {
        provider: text(event.provider.as_ref()),
        model: text(named.or(asked)),
        tier: text(line.and_then(|line| line.service_tier.as_ref())),
        speed: text(line.and_then(|line| line.speed.as_ref())),
        geography: text(line.and_then(|line| line.geography.as_ref())),
        zone: text(event.data_zone.as_ref()),
        region: text(event.region.as_ref()),
        capacity: event.capacity.map_or("", Capacity::as_str).into(),
        outcome: event.outcome,
        billable: event.billable,
        source: event.usage_source,
        quality: event.usage_quality,
        synthetic: event.synthetic,
        has_units: event.api == Api::Moderations || line.is_some_and(|line| !line.units.is_empty()),
        names_model: named.is_some(),
        is_reserved: false,
        doubtful_calls: 0,
        called: Vec::new(),
        used: Vec::new(),
        estimated: Vec::new(),
    }
}

/// What calls before the last went to that the provider may bill, as far as it is named.
fn called(event: &UsageEvent) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let named = event.doubtful_calls().filter_map(|call| {
        let model = call.priced_as.as_ref().map(Text::as_str);
        let provider = call.provider.as_ref().map_or("", Text::as_str);
        model
            .filter(|model| !model.is_empty())
            .map(|model| (provider, model))
    });
    let each: BTreeSet<_> = named.collect();
    let each = each.into_iter();
    each.map(|(provider, model)| (provider.into(), model.into()))
        .collect()
}

/// Whether the provider said nothing whole about a request that it may bill: then only what was reserved bounds it.
#[must_use]
pub fn is_bounded_by_reservation(
    outcome: Outcome,
    billable: Billable,
    source: UsageSource,
) -> bool {
    let is_reported = matches!(source, UsageSource::Provider | UsageSource::Drained);
    outcome == Outcome::Unknown || (billable == Billable::Unclear && !is_reported)
}

/// What bounds a request, by unit: what was reserved for each doubtful call, and once more, where the request itself is bounded
/// by it, of each side the greater of that and of what was counted.
pub fn bounds(
    doubtful_calls: u8,
    is_bounded: bool,
    reserved: impl Fn(Unit) -> i128,
    counted: impl Fn(Unit) -> i128,
) -> impl Iterator<Item = (Unit, i128)> {
    let total = |of: &dyn Fn(Unit) -> i128, side: Side| -> i128 {
        let units = Unit::ALL.iter().filter(|unit| unit.side() == side);
        units.map(|unit| of(*unit)).sum()
    };
    let is_counted = |side| total(&counted, side) > total(&reserved, side);
    let (input, output) = (is_counted(Side::Input), is_counted(Side::Output));
    Unit::ALL.iter().map(move |unit| {
        let (reserved, counted) = (reserved(*unit), counted(*unit));
        let last = match unit.side() {
            _ if !is_bounded => 0,
            Side::Apart => reserved.max(counted),
            Side::Input if input => counted,
            Side::Output if output => counted,
            Side::Input | Side::Output => reserved,
        };
        // A reservation is a 64-bit count and the calls are few.
        (*unit, reserved * i128::from(doubtful_calls) + last)
    })
}

#[cfg(test)]
#[path = "rated_tests.rs"]
mod tests;
