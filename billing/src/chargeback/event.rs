//! One record rated by itself: the same rules as the report's, without a store. The sum over the records of a period
//! is the report's total, to the last digit.

use std::collections::{BTreeMap, BTreeSet};

use schemas::units::Side;
use schemas::{Line, PriceBook, Unit, Units, UsageEvent};

use crate::BillingError;
use crate::chargeback::groups::{Called, Group, Other, Sku, context_of};
use crate::chargeback::{Figures, rate};

/// What one record counts and costs. Whether synthetic traffic is shown is the caller's to decide.
pub fn rate_event(event: &UsageEvent, book: &PriceBook) -> Result<Figures, BillingError> {
    let mut figures = Figures::none();
    for group in groups_of(event) {
        figures.add(&rate::figures(&group, book)?)?;
    }
    Ok(figures)
}

/// A group for each line, the request counted with the first; a record without lines has one without units.
fn groups_of(event: &UsageEvent) -> Vec<Group> {
    let sku = sku_of(event);
    let later = event.lines.get(1..).unwrap_or_default();
    let mut groups = vec![first_group(event, &sku)];
    groups.extend(later.iter().map(|line| Group {
        sku: sku_of_line(&sku, line),
        context: context(event, line),
        requests: 0,
        units: counts(&line.units),
        ..bare_group(event)
    }));
    groups
}

fn first_group(event: &UsageEvent, sku: &Sku) -> Group {
    let later = event.lines.get(1..).unwrap_or_default();
    let used = |line: &Line| counts(&line.units).into_keys().collect();
    let first = event.lines.first();
    let mut group = Group {
        sku: first.map_or_else(|| sku.clone(), |line| sku_of_line(sku, line)),
        context: first.map_or(0, |line| context(event, line)),
        requests: i128::from(event.count),
        units: first.map(|line| counts(&line.units)).unwrap_or_default(),
        others: later
            .iter()
            .map(|line| Other {
                sku: sku_of_line(sku, line),
                context: context(event, line),
                used: used(line),
            })
            .collect(),
        ..bare_group(event)
    };
    group.doubtful_calls = u8::try_from(event.doubtful_calls().count()).unwrap_or(u8::MAX);
    group.called = called(event);
    let reserved = event.estimated_units.iter();
    let reserved = reserved.map(|(unit, count)| (unit, i128::from(count)));
    let mut counted = BTreeMap::new();
    for (unit, count) in event.lines.iter().flat_map(|line| counts(&line.units)) {
        *counted.entry(unit).or_insert(0) += count;
    }
    group.reserve(&reserved.collect(), &counted);
    group
}

/// What the calls went to that the provider may bill beside the last.
fn called(event: &UsageEvent) -> Vec<Called> {
    let named = event.doubtful_calls().filter_map(|call| {
        let provider = call.provider.as_ref().map(ToString::to_string);
        Some(Called {
            provider: provider.unwrap_or_default(),
            model: call.priced_as.as_ref()?.to_string(),
        })
    });
    let distinct: BTreeSet<_> = named.collect();
    distinct.into_iter().collect()
}

/// What all groups of a record have in common.
fn bare_group(event: &UsageEvent) -> Group {
    Group {
        dims: Vec::new(),
        sku: Sku::default(),
        at: event.received_us.0,
        context: 0,
        outcome: event.outcome,
        billable: event.billable,
        source: event.usage_source,
        quality: event.usage_quality,
        synthetic: event.synthetic,
        is_reserved: false,
        doubtful_calls: 0,
        called: Vec::new(),
        names_model: !event.lines.is_empty() || named(event).is_some(),
        requests: 0,
        others: Vec::new(),
        units: BTreeMap::new(),
        estimated: BTreeMap::new(),
    }
}

/// The request's own names; model, tier, speed and geography are a line's, or those of a record without lines.
fn sku_of(event: &UsageEvent) -> Sku {
    let text = |text: &Option<schemas::Text>| text.as_ref().map(ToString::to_string);
    let was_routed = event.route.is_some() || event.deployment.is_some();
    let asked = Some(&event.model_requested).filter(|_| was_routed && !event.outcome.is_refusal());
    let model = named(event).or(asked).map(ToString::to_string);
    Sku {
        provider: text(&event.provider).unwrap_or_default(),
        model: model.unwrap_or_default(),
        zone: text(&event.data_zone).unwrap_or_default(),
        region: text(&event.region).unwrap_or_default(),
        capacity: event.capacity.map(|c| c.to_string()).unwrap_or_default(),
        ..Sku::default()
    }
}

/// The model that is priced where no line names one. Records of the first draft have only what the provider called it.
fn named(event: &UsageEvent) -> Option<&schemas::Text> {
    event.priced_as.as_ref().or(event.model_served.as_ref())
}

fn sku_of_line(sku: &Sku, line: &Line) -> Sku {
    let text = |text: &Option<schemas::Text>| text.as_ref().map(ToString::to_string);
    sku.of_line(
        line.model.as_str(),
        &text(&line.service_tier).unwrap_or_default(),
        &text(&line.speed).unwrap_or_default(),
        &text(&line.geography).unwrap_or_default(),
    )
}

fn context(event: &UsageEvent, of: &Line) -> i64 {
    let inputs = |line: &Line| line.units.total(Side::Input).unwrap_or(0);
    let lines = event.lines.iter();
    let lines = lines.map(|line| (line.model.as_str(), inputs(line)));
    context_of(of.model.as_str(), lines)
}

fn counts(units: &Units) -> BTreeMap<Unit, i128> {
    let used = units.iter().filter(|(_, count)| *count != 0);
    used.map(|(unit, count)| (unit, i128::from(count)))
        .collect()
}
