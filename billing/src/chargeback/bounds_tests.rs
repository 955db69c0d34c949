//! What bounds a request of which nobody knows how it ended.

use std::collections::BTreeMap;

use schemas::price::RawPrice;
use schemas::{Outcome, PriceBook, Unit};

use super::tests::{cost, group, made, price, request};
use super::*;
use crate::chargeback::groups::{Called, Sku};

#[test]
fn an_unknown_request_is_exposure_at_the_dearest_price_and_never_cost() {
    let reserved = BTreeMap::from([(Unit::InputText, 1_000_000), (Unit::OutputText, 1_000_000)]);
    let unknown = Group {
        outcome: Outcome::Unknown,
        estimated: reserved,
        is_reserved: true,
        ..group("a", "m", &[])
    };
    let report = made(std::slice::from_ref(&unknown));
    // It may cost something: that nothing was charged is not that it cost nothing.
    assert_eq!(cost(&report.totals), [""; 0]);
    assert_eq!(
        report
            .totals
            .exposure
            .at_most
            .values()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["12.50"]
    );
    assert_eq!(report.totals.exposure.unbounded_requests, 0);
    assert!(report.totals.units.is_empty());
    let mut elsewhere = unknown;
    elsewhere.sku.model = "unheard-of".into();
    assert_eq!(made(&[elsewhere]).totals.exposure.unbounded_requests, 1);
}

#[test]
fn the_price_of_another_place_bounds_nothing() {
    let regional = |unit: &str| RawPrice {
        region_class: "regional".into(),
        ..price("m", unit, "3", "1000000", "USD")
    };
    let prices = [
        price("m", "input_text", "2.50", "1000000", "USD"),
        price("m", "output_text", "10", "1000000", "USD"),
    ];
    let unknown = |zone: &str| Group {
        outcome: Outcome::Unknown,
        estimated: BTreeMap::from([(Unit::InputText, 1_000_000), (Unit::OutputText, 1_000_000)]),
        is_reserved: true,
        sku: Sku {
            zone: zone.into(),
            ..group("a", "m", &[]).sku
        },
        ..group("a", "m", &[])
    };
    let unbounded = |zone: &str, prices: &[RawPrice]| {
        let book = PriceBook::new(prices).unwrap();
        let report = assemble(&[unknown(zone)], &book, &request(), Vec::new(), 0).unwrap();
        report.totals.exposure.unbounded_requests
    };
    assert_eq!(unbounded("", &prices), 0);
    assert_eq!(unbounded("region", &prices), 1);
    let [input, output] = prices;
    let half = [input.clone(), output.clone(), regional("input_text")];
    assert_eq!(unbounded("region", &half), 1, "of the output nobody knows");
    let whole = [
        input,
        output,
        regional("input_text"),
        regional("output_text"),
    ];
    assert_eq!(unbounded("region", &whole), 0);
}

/// Where a call before the last was served is not known: one to another provider is bounded by all of that provider's prices.
#[test]
fn a_call_before_to_another_provider_is_bounded_by_its_own_prices() {
    let of = |provider: &str, class: &str, rate: &str| RawPrice {
        provider: provider.into(),
        region_class: class.into(),
        ..price("m", "output_text", rate, "1000000", "USD")
    };
    let prices = [
        of("openai", "", "10"),
        of("azure", "global", "11"),
        of("azure", "datazone", "12"),
    ];
    let book = PriceBook::new(&prices).unwrap();
    let doubtful = Group {
        outcome: Outcome::Unknown,
        estimated: BTreeMap::from([(Unit::OutputText, 1_000_000)]),
        is_reserved: true,
        doubtful_calls: 1,
        called: vec![Called {
            provider: "azure".into(),
            model: "m".into(),
        }],
        ..group("a", "m", &[])
    };
    let report = assemble(&[doubtful], &book, &request(), Vec::new(), 0).unwrap();
    let exposure = &report.totals.exposure;
    let most: Vec<_> = exposure.at_most.values().map(ToString::to_string).collect();
    assert_eq!(
        (exposure.unbounded_requests, most),
        (0, vec!["12.00".to_owned()])
    );
}
