//! From a group to its price: which names of the events mean which names of the price book.

use schemas::price::Query;
use schemas::{Micros, Price, PriceBook, Unit};

use crate::chargeback::Why;
use crate::chargeback::groups::Sku;

/// The price of a unit of a group, or why there is none.
pub(super) fn price<'a>(
    book: &'a PriceBook,
    sku: &Sku,
    unit: Unit,
    at: i64,
    context: i64,
) -> Result<&'a Price, Why> {
    if sku.capacity == "ptu" {
        return Err(Why::Ptu);
    }
    // The book has no rates by these yet, and the common rate would be too low.
    if !matches!(sku.speed.as_str(), "" | "standard" | "default") {
        return Err(Why::Speed);
    }
    if !matches!(sku.geography.as_str(), "" | "global" | "not_available") {
        return Err(Why::Geography);
    }
    let query = Query {
        provider: &sku.provider,
        model: &sku.model,
        unit,
        service_tier: tier(&sku.tier),
        region_class: class(&sku.zone),
        context_tokens: context,
        at: Micros(at),
    };
    book.lookup(&query).ok_or(Why::NoRate)
}

/// A provider that reports no tier has one; Anthropic's name for it is `standard`; `OpenAI` renamed `priority`
/// to `fast` on 2026-07-30 and takes both.
fn tier(reported: &str) -> &str {
    match reported {
        "" | "standard" => "default",
        "fast" => "priority",
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
