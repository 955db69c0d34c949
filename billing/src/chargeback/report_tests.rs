//! Tests of rating and adding up, without a store.

use num_bigint::BigInt;
use proptest::prelude::*;
use schemas::price::RawPrice;
use schemas::{Billable, Outcome, Unit, UsageQuality, UsageSource};

use super::*;
use crate::chargeback::groups::Sku;
use crate::chargeback::{Dimension, Why};
use crate::period::Period;

pub(super) fn price(model: &str, unit: &str, rate: &str, per: &str, currency: &str) -> RawPrice {
    RawPrice {
        line: 1,
        provider: "openai".into(),
        model: model.into(),
        unit: unit.into(),
        service_tier: "default".into(),
        per: per.into(),
        rate: rate.into(),
        currency: currency.into(),
        source: "a page".into(),
        read_on: "2026-11-24".into(),
        ..RawPrice::default()
    }
}

fn book() -> PriceBook {
    PriceBook::new(&[
        price("m", "input_text", "2.50", "1000000", "USD"),
        price("m", "output_text", "10", "1000000", "USD"),
        price("n", "input_text", "0.00003", "1", "USD"),
    ])
    .unwrap()
}

pub(super) fn group(tenant: &str, model: &str, units: &[(Unit, i128)]) -> Group {
    Group {
        dims: vec![tenant.into()],
        sku: Sku {
            provider: "openai".into(),
            model: model.into(),
            ..Sku::default()
        },
        at: 0,
        context: 0,
        outcome: Outcome::Completed,
        billable: Billable::Yes,
        source: UsageSource::Provider,
        quality: UsageQuality::Ok,
        synthetic: false,
        is_reserved: false,
        has_units: true,
        doubtful_calls: 0,
        called: Vec::new(),
        names_model: true,
        requests: 1,
        others: Vec::new(),
        units: units.iter().copied().collect(),
        estimated: BTreeMap::new(),
    }
}

pub(super) fn request() -> Request {
    Request {
        period: Period::parse("2026-11", chrono_tz::Tz::UTC).unwrap(),
        by: vec![Dimension::Tenant],
        synthetic: Synthetic::Exclude,
        tenant: None,
    }
}

pub(super) fn made(groups: &[Group]) -> Report {
    assemble(groups, &book(), &request(), Vec::new(), 0).unwrap()
}

pub(super) fn cost(figures: &Figures) -> Vec<String> {
    figures
        .amounts
        .iter()
        .map(|a| format!("{} {}", a.cost, a.currency))
        .collect()
}

#[test]
fn a_million_calls_at_three_hundred_thousandths_cost_thirty() {
    let calls = Group {
        requests: 1_000_000,
        ..group("a", "n", &[(Unit::InputText, 1_000_000)])
    };
    let report = made(&[calls]);
    assert_eq!(cost(&report.totals), ["30.00 USD"]);
    assert!(report.totals.complete);
}

#[test]
fn per_thousand_and_per_million_give_the_same_bill() {
    let groups = [group("a", "m", &[(Unit::InputText, 1_234_567)])];
    let bill = |rate, per| {
        let book = PriceBook::new(&[price("m", "input_text", rate, per, "USD")]).unwrap();
        assemble(&groups, &book, &request(), Vec::new(), 0).unwrap()
    };
    let (million, thousand) = (bill("2.50", "1000000"), bill("0.0025", "1000"));
    assert_eq!(cost(&million.totals), ["3.0864175 USD"]);
    assert_eq!(million.report_hash, thousand.report_hash);
}

#[test]
fn nothing_gives_totals_of_nothing() {
    let report = made(&[]);
    assert_eq!((report.rows.len(), report.totals.requests), (0, 0));
    assert_eq!(cost(&report.totals), ["0.00 USD"]);
    assert!(report.totals.complete);
}

/// A total of what is not known is no total: neither of a row, nor of all.
#[test]
fn no_zero_is_stated_for_what_is_not_known() {
    let no_figures = Group {
        has_units: false,
        ..group("a", "m", &[])
    };
    let unpriced = group("b", "unheard-of", &[(Unit::InputText, 7)]);
    let free = book_of_a_free_model();
    let free_and_unpriced = [group("c", "f", &[(Unit::InputText, 9)]), unpriced.clone()];
    for groups in [
        vec![no_figures.clone()],
        vec![unpriced.clone()],
        vec![no_figures.clone(), unpriced],
        free_and_unpriced.to_vec(),
    ] {
        let report = assemble(&groups, &free, &request(), Vec::new(), 0).unwrap();
        assert_eq!(cost(&report.totals), [""; 0], "{groups:?}");
        assert!(!report.totals.complete);
    }
    let report = made(std::slice::from_ref(&no_figures));
    let figures = &report.rows[0].figures;
    assert_eq!((figures.complete, figures.flawed_requests), (false, 1));
    assert_eq!(
        (cost(figures).len(), figures.coverage.missing.requests),
        (0, 1)
    );
    // What could not be read may have cost something.
    let unread = assemble(&[], &book(), &request(), Vec::new(), 1).unwrap();
    assert_eq!(
        (cost(&unread.totals).len(), unread.totals.complete),
        (0, false)
    );
    // Nothing was used, as the provider says; nothing but a refusal; and what is known to be free.
    let refused = Group {
        outcome: Outcome::RefusedAuth,
        ..no_figures
    };
    for known in [
        vec![group("a", "m", &[])],
        vec![refused],
        vec![group("c", "f", &[(Unit::InputText, 9)])],
    ] {
        let report = assemble(&known, &free, &request(), Vec::new(), 0).unwrap();
        assert_eq!(cost(&report.totals), ["0.00 USD"], "{known:?}");
        assert!(report.totals.complete);
    }
}

fn book_of_a_free_model() -> PriceBook {
    PriceBook::new(&[
        price("m", "input_text", "2.50", "1000000", "USD"),
        price("f", "input_text", "0", "1000000", "USD"),
    ])
    .unwrap()
}

#[test]
fn what_has_no_price_is_named_and_makes_the_total_incomplete() {
    let unheard = group("a", "unheard-of", &[(Unit::InputText, 7)]);
    let sku = |change: fn(&mut Sku)| {
        let mut group = group("a", "m", &[(Unit::InputText, 5)]);
        change(&mut group.sku);
        group
    };
    let groups = [
        group("a", "m", &[(Unit::InputText, 1_000_000)]),
        unheard.clone(),
        unheard,
        sku(|s| s.tier = "batch".into()),
        sku(|s| s.capacity = "ptu".into()),
        sku(|s| s.geography = "us".into()),
        sku(|s| s.speed = "fast".into()),
        sku(|s| s.zone = "eu".into()),
    ];
    let report = made(&groups);
    assert_eq!(cost(&report.totals), ["2.50 USD"]);
    assert!(!report.totals.complete);
    assert_eq!(report.totals.input_tokens, 1_000_000 + 14 + 25);
    let found: Vec<_> = report
        .totals
        .unpriced
        .iter()
        .map(|u| (u.model.as_str(), u.why, u.count))
        .collect();
    let wanted = [
        ("m", Why::NoRate, 5),
        ("m", Why::Ptu, 5),
        ("m", Why::Speed, 5),
        ("m", Why::Geography, 5),
        ("m", Why::NoRate, 5),
        ("unheard-of", Why::NoRate, 14),
    ];
    assert_eq!(found.iter().filter(|u| u.1 == Why::NoRate).count(), 3);
    assert!(wanted.iter().all(|u| found.contains(u)), "{found:?}");
}

#[test]
fn each_request_is_of_one_kind_and_only_billable_ones_are_charged() {
    let units = [(Unit::InputText, 1_000_000)];
    let mut groups = Vec::new();
    for outcome in Outcome::ALL {
        for billable in Billable::ALL {
            groups.push(Group {
                outcome: *outcome,
                billable: *billable,
                ..group("a", "m", &units)
            });
        }
    }
    let totals = made(&groups).totals;
    assert_eq!(totals.requests, 36);
    assert_eq!(totals.unknown_requests, 3);
    assert_eq!(totals.refused_requests, 15);
    assert_eq!(
        (
            totals.charged_requests,
            totals.free_requests,
            totals.unclear_requests
        ),
        (6, 6, 6)
    );
    assert_eq!(totals.aborted_requests, 3);
    assert_eq!(cost(&totals), ["15.00 USD"]);
    // six unclear ones at their price; the unknown ones reserved nothing that is known
    assert_eq!(
        totals
            .exposure
            .at_most
            .values()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["15.00"]
    );
    assert_eq!(totals.exposure.unbounded_requests, 3);
}

#[test]
fn estimated_and_flawed_shares_stand_beside_the_total() {
    let units = [(Unit::InputText, 1_000_000)];
    let guess = Group {
        source: UsageSource::Estimated,
        quality: UsageQuality::Missing,
        ..group("a", "m", &units)
    };
    let part = Group {
        source: UsageSource::Partial,
        quality: UsageQuality::Unmapped,
        ..group("a", "m", &units)
    };
    let totals = made(&[group("a", "m", &units), guess, part]).totals;
    assert_eq!(
        (
            totals.estimated_requests,
            totals.estimated_tokens,
            totals.input_tokens
        ),
        (2, 2_000_000, 3_000_000)
    );
    assert_eq!(totals.amounts[0].estimated_cost.to_string(), "5.00");
    assert_eq!(totals.flawed_requests, 1);
    assert!(!totals.complete);
}

#[test]
fn synthetic_traffic_is_on_no_bill_and_is_counted_where_it_is_left_out() {
    let units = [(Unit::InputText, 1_000_000)];
    let demo = Group {
        synthetic: true,
        requests: 9,
        ..group("demo", "m", &units)
    };
    let groups = [group("a", "m", &units), demo];
    let with = |synthetic| {
        assemble(
            &groups,
            &book(),
            &Request {
                synthetic,
                ..request()
            },
            Vec::new(),
            0,
        )
        .unwrap()
    };
    let exclude = with(Synthetic::Exclude);
    assert_eq!(
        (
            exclude.totals.requests,
            exclude.rows.len(),
            exclude.synthetic_requests_left_out
        ),
        (1, 1, 9)
    );
    let only = with(Synthetic::Only);
    assert_eq!(
        (only.totals.requests, only.synthetic_requests_left_out),
        (9, 0)
    );
    let include = with(Synthetic::Include);
    assert_eq!(
        (
            include.totals.requests,
            include.rows.len(),
            include.synthetic_requests_left_out
        ),
        (10, 2, 0)
    );
}

#[test]
fn two_currencies_are_never_added() {
    let book = PriceBook::new(&[
        price("m", "input_text", "1", "1", "USD"),
        price("e", "input_text", "1", "1", "EUR"),
    ])
    .unwrap();
    let groups = [
        group("a", "m", &[(Unit::InputText, 2)]),
        group("a", "e", &[(Unit::InputText, 3)]),
    ];
    let report = assemble(&groups, &book, &request(), Vec::new(), 0).unwrap();
    assert_eq!(cost(&report.totals), ["3.00 EUR", "2.00 USD"]);
    assert_eq!(cost(&report.rows[0].figures), ["3.00 EUR", "2.00 USD"]);
}

#[test]
fn sums_beyond_64_bits_are_exact_and_beyond_exact_money_an_error() {
    let wide = i128::from(i64::MAX) * 4;
    let report = made(&[group("a", "n", &[(Unit::InputText, wide)])]);
    assert_eq!(report.totals.input_tokens, wide);
    assert_eq!(cost(&report.totals), ["1106804644422573.09684 USD"]);
    assert!(
        serde_json::to_string(&report)
            .unwrap()
            .contains("\"input_tokens\":36893488147419103228")
    );
    let absurd = [group("a", "m", &[(Unit::InputText, i128::MAX)])];
    let error = assemble(&absurd, &book(), &request(), Vec::new(), 0).unwrap_err();
    assert!(matches!(error, BillingError::TooLarge(_)), "{error}");
    let twice = [
        group("a", "m", &[(Unit::Pages, i128::MAX)]),
        group("a", "m", &[(Unit::Pages, 1)]),
    ];
    assert!(assemble(&twice, &book(), &request(), Vec::new(), 0).is_err());
}

#[test]
fn the_hash_is_of_the_figures_and_not_of_when_they_were_taken() {
    let groups = [group("a", "m", &[(Unit::InputText, 3)])];
    let later = vec![LogPosition {
        topic: "journal".into(),
        partition: 0,
        last: 99,
    }];
    let report = assemble(&groups, &book(), &request(), later, 0).unwrap();
    assert_eq!(report.report_hash, made(&groups).report_hash);
    assert_eq!(report.report_hash.len(), 64);
    assert_ne!(
        report.report_hash,
        made(&[group("a", "m", &[(Unit::InputText, 4)])]).report_hash
    );
    let tenant = Request {
        tenant: Some("a".into()),
        ..request()
    };
    assert_ne!(
        report.report_hash,
        assemble(&groups, &book(), &tenant, Vec::new(), 0)
            .unwrap()
            .report_hash
    );
}

fn any_groups() -> impl Strategy<Value = Vec<Group>> {
    let one = (
        0..3_u8,
        0..3_u8,
        0..1_000_000_000_i64,
        0..1_000_000_000_i64,
        any::<bool>(),
    );
    prop::collection::vec(one, 0..30).prop_map(|drawn| {
        let build = |(tenant, model, input, output, guess): (u8, u8, i64, i64, bool)| {
            let units = [
                (Unit::InputText, i128::from(input)),
                (Unit::OutputText, i128::from(output)),
            ];
            let tenant = ["a", "b", "c"][usize::from(tenant)];
            let source = if guess {
                UsageSource::Estimated
            } else {
                UsageSource::Provider
            };
            Group {
                source,
                ..group(tenant, ["m", "n", "x"][usize::from(model)], &units)
            }
        };
        drawn.into_iter().map(build).collect()
    })
}

proptest! {
    /// Whatever way the events fall into groups, in whatever order, the report is the same, and its total is
    /// the exact sum.
    #[test]
    fn order_and_split_change_nothing_and_the_total_is_exact(groups in any_groups(), seed in any::<u64>()) {
        let report = made(&groups);
        let mut halves: Vec<_> = groups.iter().flat_map(|group| {
            let mut first = Group { requests: 0, ..group.clone() };
            let mut second = group.clone();
            for (unit, count) in &mut first.units {
                *count /= 2;
                *second.units.entry(*unit).or_default() -= *count;
            }
            [first, second]
        }).collect();
        if !halves.is_empty() {
            let shift = usize::try_from(seed % halves.len() as u64).unwrap();
            halves.rotate_left(shift);
            halves.reverse();
        }
        prop_assert_eq!(&made(&halves).report_hash, &report.report_hash);

        // in 10^-6 of a dollar for a million units of m and 10^-5 a unit of n: all in 10^-12 of a dollar
        let mut exact = BigInt::from(0);
        for group in &groups {
            let count = |unit| BigInt::from(group.units[&unit]);
            match group.sku.model.as_str() {
                "m" => exact += count(Unit::InputText) * 2_500_000 + count(Unit::OutputText) * 10_000_000,
                "n" => exact += count(Unit::InputText) * 30_000_000,
                _ => {}
            }
        }
        let total = report.totals.amounts.first().map(|amount| BigInt::from(amount.cost.atto()));
        let nothing = exact == BigInt::from(0) && !report.totals.complete;
        prop_assert_eq!(total, (!nothing).then(|| exact * 1_000_000));
        let rows: i128 = report.rows.iter().map(|row| row.figures.requests).sum();
        prop_assert_eq!(rows, report.totals.requests);
    }
}
