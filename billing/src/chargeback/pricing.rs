//! From what a record says to its price: which names of the records mean which names of the price book.

use schemas::price::{Priced, Query};
use schemas::units::Side;
use schemas::{Micros, PriceBook, Unit};

use crate::chargeback::Why;
use crate::chargeback::groups::{Group, Sku};

/// The price of a unit of a group, or why there is none.
pub(crate) fn price<'a>(
    book: &'a PriceBook,
    sku: &Sku,
    unit: Unit,
    at: i64,
    context: i64,
) -> Result<Priced<'a>, Why> {
    let query = Query {
        provider: &sku.provider,
        model: &sku.model,
        unit,
        service_tier: tier(&sku.provider, &sku.tier),
        speed: speed(&sku.speed),
        capacity: capacity(&sku.capacity),
        region_class: class(&sku.zone),
        region: &sku.region,
        geography: geography(&sku.geography),
        context_tokens: context,
        at: Micros(at),
    };
    let query = Query {
        service_tier: opened(book, &query),
        ..query
    };
    book.lookup(&query).ok_or_else(|| why(book, &query))
}

/// The tier whose prices hold for all units of a line: never one tier's price for one unit and another's for the next.
fn opened<'a>(book: &PriceBook, query: &Query<'a>) -> &'a str {
    let is_open = matches!(
        (query.provider, query.service_tier),
        ("openai" | "azure", "auto")
    );
    // Where the tier's lines leave out a band or a place, that is no other tier's.
    if is_open && !book.has_tier(query.provider, query.model, query.service_tier, query.at) {
        return "default";
    }
    query.service_tier
}

/// The dearest price of a unit's side, over all models that the requests name, also those that only a call before the last
/// went to: the bound of what was reserved. A unit
/// that stands apart has none, nor have models of two currencies, nor has a request of which only a route's name is known, nor one of a
/// place for which the book has no price: that of another place is no bound.
pub(crate) fn dearest<'a>(
    book: &'a PriceBook,
    group: &Group,
    unit: Unit,
) -> Result<Priced<'a>, Why> {
    if !group.names_model {
        return Err(Why::NoModel);
    }
    let side = match unit.side() {
        Side::Apart => return Err(Why::NoRate),
        side => side,
    };
    let own = group.sku.provider.as_str();
    let of = |provider: &str, model: &str| {
        let provider = Some(provider).filter(|name| !name.is_empty());
        let found = book.dearest(provider, model, side, Micros(group.at));
        found.ok_or(Why::NoRate)
    };
    // Of the last call it is known where it was served. A call before it to the same provider is taken to have been there too.
    let here = |sku: &Sku| {
        if sku.provider.is_empty() {
            return Ok(());
        }
        let text = match side {
            Side::Input => Unit::InputText,
            _ => Unit::OutputText,
        };
        let sku = Sku {
            capacity: String::new(),
            ..sku.clone()
        };
        price(book, &sku, text, group.at, group.context).map(drop)
    };
    here(&group.sku)?;
    for other in &group.others {
        here(&other.sku)?;
    }
    let others = group.others.iter().map(|other| (own, &other.sku.model));
    let called = group.called.iter().map(|call| {
        let provider = Some(call.provider.as_str()).filter(|name| !name.is_empty());
        (provider.unwrap_or(own), &call.model)
    });
    let mut dearest = of(own, &group.sku.model)?;
    for (provider, model) in others.chain(called) {
        let found = of(provider, model)?;
        if found.price.currency != dearest.price.currency {
            return Err(Why::NoRate);
        }
        if found.rate.per_unit() > dearest.rate.per_unit() {
            dearest = found;
        }
    }
    Ok(dearest)
}

/// What the price fails on: the first of these without which there would be one.
fn why(book: &PriceBook, query: &Query<'_>) -> Why {
    if !query.capacity.is_empty() {
        return Why::Ptu;
    }
    let has_without = |other: Query<'_>| book.lookup(&other).is_some();
    if !query.speed.is_empty()
        && has_without(Query {
            speed: "",
            ..*query
        })
    {
        return Why::Speed;
    }
    let anywhere = Query {
        geography: "",
        ..*query
    };
    if !query.geography.is_empty() && has_without(anywhere) {
        return Why::Geography;
    }
    Why::NoRate
}

/// The book's name of a tier that a provider reports. All that is known of other names stands here:
///
/// - A provider that reports no tier has one. Anthropic's name for it is `standard`.
/// - `OpenAI` renamed `priority` to `fast` on 2026-07-30 and takes both.
/// - Groq: `on_demand` is the tier of a request that asks for none, and `auto` takes it first, then `flex`, which costs the
///   same (console.groq.com/docs/service-tiers and /flex-processing, 2026-11-25).
/// - `OpenAI`, and Azure with it: `auto` is the tier that the project is set to, `default` if nothing else is set (API
///   reference, `service_tier`, 2026-11-25); it can be set to `fast` or `scale` (administration API, the projects'
///   `service_tier_settings`, 2026-11-17). A whole answer names the tier it had; a stream that was cut may only have `auto`.
///   So the model's prices of the tier `auto` hold, where whoever set the project wrote any, else those of `default`.
pub(crate) fn tier<'a>(provider: &str, reported: &'a str) -> &'a str {
    match (provider, reported) {
        (_, "" | "standard") | ("groq", "on_demand" | "auto") => "default",
        (_, "fast") => "priority",
        (_, other) => other,
    }
}

fn speed(reported: &str) -> &str {
    match reported {
        "standard" | "default" => "",
        other => other,
    }
}

/// Only capacity by the hour is priced apart.
fn capacity(name: &str) -> &str {
    match name {
        "paygo" => "",
        other => other,
    }
}

fn geography(reported: &str) -> &str {
    match reported {
        "global" | "not_available" => "",
        other => other,
    }
}

/// The spellings of a deployment's class; anything else is looked up as it stands.
fn class(zone: &str) -> &str {
    match zone {
        "data_zone" | "zone" => "datazone",
        "region" => "regional",
        other => other,
    }
}
