//! Tests of the price book: the lookup rule, the contradictions, and properties against a plain model.

use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;
use crate::price::parse_instant;

pub(super) fn raw(line: usize, model: &str, unit: &str, rate: &str) -> RawPrice {
    RawPrice {
        line,
        provider: "openai".into(),
        model: model.into(),
        unit: unit.into(),
        service_tier: "default".into(),
        per: "1000000".into(),
        rate: rate.into(),
        currency: "USD".into(),
        source: "a page".into(),
        read_on: "2026-11-24".into(),
        ..RawPrice::default()
    }
}

pub(super) fn with(mut row: RawPrice, change: impl FnOnce(&mut RawPrice)) -> RawPrice {
    change(&mut row);
    row
}

pub(super) fn query(model: &str, unit: Unit) -> Query<'_> {
    Query {
        context_tokens: 10,
        ..Query::new("openai", model, unit, instant("2026-11-24T12:00Z"))
    }
}

pub(super) fn instant(text: &str) -> Micros {
    parse_instant(text).unwrap()
}

pub(super) fn line(book: &PriceBook, query: &Query<'_>) -> Option<usize> {
    book.lookup(query).map(|priced| priced.price.line)
}

pub(super) fn errors(rows: &[RawPrice]) -> Vec<String> {
    let errors = PriceBook::new(rows).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_name_is_looked_up_whole_then_without_its_date_and_never_by_its_beginning() {
    let book = PriceBook::new(&[
        raw(1, "gpt-4o", "input_text", "2.50"),
        raw(2, "gpt-4o", "input_cached", "1.25"),
        with(raw(3, "gpt-4o", "input_text", "5.00"), |r| {
            r.model_version = "2024-05-13".into();
        }),
        raw(4, "gpt-4o-mini", "input_text", "0.15"),
        with(raw(5, "o9", "input_text", "1"), |r| {
            r.model_version = "2026-01-01".into();
        }),
    ])
    .unwrap();
    let text = Unit::InputText;
    assert_eq!(line(&book, &query("gpt-4o", text)), Some(1));
    assert_eq!(line(&book, &query("gpt-4o-2024-08-06", text)), Some(1));
    assert_eq!(line(&book, &query("gpt-4o-2024-05-13", text)), Some(3));
    assert_eq!(line(&book, &query("gpt-4o-mini-2024-07-18", text)), Some(4));
    for unknown in [
        "gpt-4o-audio-preview",
        "gpt-4",
        "gpt-4o-2024",
        "gpt-4o-mini-x-2024-07-18",
        "GPT-4o",
        "-2024-07-18",
        "é-2024-07-18",
        // only dated prices: the undated name has none, nor has another date
        "o9",
        "o9-2026-02-02",
        "*",
        "",
    ] {
        assert_eq!(line(&book, &query(unknown, text)), None, "{unknown}");
    }
    // The dated name has prices of its own, so what they leave open is not taken from the undated one.
    let cached = query("gpt-4o-2024-05-13", Unit::InputCached);
    assert_eq!(line(&book, &cached), None);
}

#[test]
fn reasoning_is_output_unless_it_has_a_price_of_its_own() {
    let plain = [raw(1, "o3", "output_text", "8")];
    let own = [
        raw(1, "o3", "output_text", "8"),
        raw(2, "o3", "output_reasoning", "9"),
        with(raw(3, "o3", "output_text", "4"), |r| {
            r.service_tier = "batch".into();
        }),
    ];
    let reasoning = query("o3", Unit::OutputReasoning);
    assert_eq!(line(&PriceBook::new(&plain).unwrap(), &reasoning), Some(1));
    let book = PriceBook::new(&own).unwrap();
    assert_eq!(line(&book, &reasoning), Some(2));
    let batch = Query {
        service_tier: "batch",
        ..reasoning
    };
    assert_eq!(line(&book, &batch), None);
}

#[test]
fn a_missing_tier_class_or_band_is_unpriced() {
    let book = PriceBook::new(&[
        raw(1, "g", "input_text", "2"),
        with(raw(2, "g", "input_text", "4"), |r| {
            r.context_over = "200000".into();
        }),
        raw(3, "g", "output_text", "8"),
        with(raw(4, "z", "input_text", "2"), |r| {
            r.region_class = "datazone".into();
        }),
    ])
    .unwrap();
    let input = query("g", Unit::InputText);
    let over = |tokens, unit| Query {
        context_tokens: tokens,
        ..query("g", unit)
    };
    assert_eq!(line(&book, &over(200_000, Unit::InputText)), Some(1));
    assert_eq!(line(&book, &over(200_001, Unit::InputText)), Some(2));
    assert_eq!(line(&book, &over(i64::MAX, Unit::InputText)), Some(2));
    // The band binds the whole request: output above it has no price here, and the base one does not apply.
    assert_eq!(line(&book, &over(200_001, Unit::OutputText)), None);
    let batch = Query {
        service_tier: "batch",
        ..input
    };
    assert_eq!(line(&book, &batch), None);
    let class = |model, region_class| Query {
        region_class,
        ..query(model, Unit::InputText)
    };
    assert_eq!(line(&book, &class("g", "global")), Some(1));
    assert_eq!(line(&book, &class("g", "eu")), None);
    assert_eq!(line(&book, &class("z", "global")), None);
    assert_eq!(line(&book, &class("z", "")), None);
    assert_eq!(line(&book, &class("z", "datazone")), Some(4));
}

#[test]
fn a_price_for_any_model_fills_what_is_open_at_its_provider_only() {
    let book = PriceBook::new(&[
        raw(1, "*", "web_search_calls", "10"),
        raw(2, "gpt-4o", "input_text", "2.50"),
    ])
    .unwrap();
    let search = query("gpt-4o", Unit::WebSearchCalls);
    assert_eq!(line(&book, &search), Some(1));
    let elsewhere = Query {
        provider: "azure",
        ..search
    };
    assert_eq!(line(&book, &elsewhere), None);
    assert_eq!(line(&book, &query("unheard-of", Unit::InputText)), None);
}

#[test]
fn a_later_price_replaces_the_earlier_at_its_instant_in_every_zone() {
    let noons = [
        "2026-11-24T12:00Z",
        "2026-11-24T12:00+01:00",
        "2026-11-24T12:00-08:00",
    ];
    for noon in noons {
        let book = PriceBook::new(&[
            raw(1, "m", "input_text", "1"),
            with(raw(2, "m", "input_text", "2"), |r| {
                r.valid_from = noon.into();
            }),
        ])
        .unwrap();
        let change = parse_instant(noon).unwrap();
        assert_eq!(book.boundaries(), [change]);
        for (offset, wanted) in [(-1, 1), (0, 2), (1, 2)] {
            let at = Micros(change.0 + offset);
            let query = Query {
                at,
                ..query("m", Unit::InputText)
            };
            assert_eq!(line(&book, &query), Some(wanted), "{noon} {offset}");
        }
    }
}

#[test]
fn before_the_first_and_after_the_last_price_nothing_holds() {
    let book = PriceBook::new(&[with(raw(1, "m", "input_text", "1"), |r| {
        r.valid_from = "2026-11-01".into();
        r.valid_to = "2026-11-24T12:00Z".into();
    })])
    .unwrap();
    let at = |text| Query {
        at: parse_instant(text).unwrap(),
        ..query("m", Unit::InputText)
    };
    assert_eq!(line(&book, &at("2026-10-31T23:59:59.999999Z")), None);
    assert_eq!(line(&book, &at("2026-11-01")), Some(1));
    assert_eq!(line(&book, &at("2026-11-24T12:00Z")), None);
    assert_eq!(book.boundaries().len(), 2);
}

#[test]
fn contradictions_name_both_lines_and_the_way_out() {
    let first = raw(3, "m", "input_text", "1");
    let again = errors(&[first.clone(), raw(9, "m", "input_text", "1.00")]);
    assert_eq!(
        again,
        ["line 9: says the same as line 3: remove one of the two"]
    );
    let other = errors(&[first.clone(), raw(9, "m", "input_text", "2")]);
    assert!(other[0].starts_with("line 9: holds at the same time as line 3"));
    let euro = with(raw(9, "m", "input_text", "1"), |r| {
        r.currency = "EUR".into();
        r.valid_from = "2026-01-01".into();
    });
    let currencies = errors(&[first.clone(), euro]);
    assert!(currencies[0].starts_with("line 9: is in EUR, but line 3"));
    // A price with an end that covers two later ones contradicts both.
    let long = with(first, |r| r.valid_to = "2026-12-01".into());
    let dated = |line, from: &str| {
        with(raw(line, "m", "input_text", "2"), |r| {
            r.valid_from = from.into();
            r.valid_to = format!("{from}T06:00Z");
        })
    };
    let both = errors(&[long, dated(5, "2026-01-01"), dated(6, "2026-02-01")]);
    assert_eq!(both.len(), 2);
    assert!(
        both.iter().all(|e| e.contains("same time as line 3")),
        "{both:?}"
    );
}

#[test]
fn a_name_written_in_two_ways_is_one_name() {
    let split = with(raw(1, "m", "input_text", "1"), |r| {
        r.model_version = "2026-01-01".into();
    });
    let whole = raw(2, "m-2026-01-01", "input_text", "2");
    assert!(errors(&[split, whole])[0].contains("same time as line 1"));
}

#[test]
fn the_dearest_price_bounds_every_tier_band_and_unit_of_a_side() {
    let mut rows = vec![
        raw(1, "m", "input_text", "1"),
        raw(2, "m", "cache_write", "1.25"),
        with(raw(3, "m", "input_text", "3"), |r| {
            r.service_tier = "priority".into();
        }),
        raw(4, "m", "output_text", "9"),
        with(raw(5, "m", "input_text", "7"), |r| {
            r.provider = "azure".into();
        }),
    ];
    let at = parse_instant("2026-11-24").unwrap();
    let book = PriceBook::new(&rows).unwrap();
    let dearest = |book: &PriceBook, provider| {
        let price = book.dearest(provider, "m-2026-01-01", Side::Input, at);
        price.map(|priced| priced.price.line)
    };
    assert_eq!(dearest(&book, Some("openai")), Some(3));
    assert_eq!(dearest(&book, None), Some(5));
    assert_eq!(dearest(&book, Some("google")), None);
    // What the model leaves open is priced as any model's.
    let any = with(raw(6, "*", "input_audio", "4"), |_| {});
    let with_any: Vec<_> = rows.iter().cloned().chain([any]).collect();
    let book = PriceBook::new(&with_any).unwrap();
    assert_eq!(dearest(&book, Some("openai")), Some(6));
    rows[4].currency = "EUR".into();
    assert_eq!(dearest(&PriceBook::new(&rows).unwrap(), None), None);
}

type Drawn = (u8, u8, u8, u8, u8, u32, u8);

fn any_rows() -> impl Strategy<Value = Vec<RawPrice>> {
    let row = (
        0..3_u8,
        0..3_u8,
        0..2_u8,
        0..3_u8,
        0..12_u8,
        0_u32..9_999_999,
        0..3_u8,
    );
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        let build = |(at, (model, unit, tier, band, month, rate, per)): (usize, Drawn)| RawPrice {
            line: at + 2,
            provider: "openai".into(),
            model: ["a", "a-2026-01-01", "b"][usize::from(model)].into(),
            unit: ["input_text", "output_text", "output_reasoning"][usize::from(unit)].into(),
            service_tier: ["default", "batch"][usize::from(tier)].into(),
            context_over: ["", "1000", "2000"][usize::from(band)].into(),
            per: ["1", "1000", "1000000"][usize::from(per)].into(),
            rate: format!("{}.{:06}", rate / 1_000_000, rate % 1_000_000),
            currency: "USD".into(),
            valid_from: if month == 0 {
                String::new()
            } else {
                format!("2026-{month:02}-01")
            },
            source: "s".into(),
            read_on: "2026-11-24".into(),
            ..RawPrice::default()
        };
        let mut rows: Vec<_> = rows.into_iter().enumerate().map(build).collect();
        // One price for a key and a start: contradictions have a test of their own.
        let mut seen = BTreeSet::new();
        rows.retain(|r| {
            let key = [
                &r.model,
                &r.unit,
                &r.service_tier,
                &r.context_over,
                &r.valid_from,
            ];
            seen.insert(key.map(Clone::clone))
        });
        rows
    })
}

/// The rule said again, over the lines themselves.
fn plain_lookup<'a>(rows: &'a [RawPrice], query: &Query<'_>) -> Option<&'a RawPrice> {
    let has = |name: &str| rows.iter().any(|r| r.model == name);
    let name = if has(query.model) {
        query.model
    } else {
        query.model.strip_suffix("-2026-01-01")?
    };
    let from = |r: &RawPrice| match r.valid_from.as_str() {
        "" => i64::MIN,
        text => parse_instant(text).unwrap().0,
    };
    let own: Vec<_> = rows.iter().filter(|r| r.model == name).collect();
    let reasoning = own.iter().any(|r| r.unit == "output_reasoning");
    let unit = match query.unit {
        Unit::OutputReasoning if !reasoning => "output_text",
        unit => unit.as_str(),
    };
    let bound = |r: &RawPrice| r.context_over.parse().unwrap_or(-1_i64);
    let begun = own.iter().filter(|r| from(r) <= query.at.0);
    let band = begun
        .clone()
        .map(|r| bound(r))
        .filter(|b| *b < query.context_tokens && *b >= 0)
        .max()
        .unwrap_or(-1);
    begun
        .filter(|r| r.unit == unit && r.service_tier == query.service_tier && bound(r) == band)
        .max_by_key(|r| from(r))
        .copied()
}

proptest! {
    #[test]
    fn lookup_equals_the_rule_said_plainly_and_costs_equal_big_integers(
        rows in any_rows(),
        shuffle in any::<u64>(),
        model in prop::sample::select(vec!["a", "a-2026-01-01", "b", "b-2026-01-01", "c"]),
        unit in prop::sample::select(vec![Unit::InputText, Unit::OutputText, Unit::OutputReasoning]),
        tier in prop::sample::select(vec!["default", "batch"]),
        tokens in prop::sample::select(vec![0, 1_000, 1_001, 2_000, 2_001, i64::MAX]),
        month in 1..13_u8,
        count in 0..i64::MAX / 1_000,
    ) {
        let book = PriceBook::new(&rows).unwrap();
        let at = parse_instant(&format!("2026-{month:02}-15")).unwrap();
        let query = Query { service_tier: tier, context_tokens: tokens, at, ..query(model, unit) };
        let found = book.lookup(&query).map(|priced| priced.price);
        let wanted = plain_lookup(&rows, &query);
        prop_assert_eq!(found.map(|p| p.line), wanted.map(|r| r.line));

        // The order of the lines changes neither the answer nor the version.
        let mut shuffled = rows.clone();
        shuffled.sort_by_key(|r| (r.line as u64).wrapping_mul(shuffle | 1).rotate_left(17));
        let other = PriceBook::new(&shuffled).unwrap();
        prop_assert_eq!(other.version(), book.version());
        prop_assert_eq!(other.lookup(&query).map(|priced| priced.price), found);

        if let (Some(price), Some(row)) = (found, wanted)
            && let Ok(cost) = price.rate.times(i128::from(count))
        {
            // rate has six places; money eighteen
            let micro: BigInt = row.rate.replace('.', "").parse().unwrap();
            let per: BigInt = row.per.parse().unwrap();
            let left = BigInt::from(cost.atto()) * per;
            prop_assert_eq!(left, micro * BigInt::from(count) * BigInt::from(1_000_000_000_000_i64));
        }
    }

    /// Between two boundaries and two bands nothing changes: one representative prices all.
    #[test]
    fn a_representative_of_an_interval_and_a_band_prices_all_in_it(
        rows in any_rows(),
        offset in 0..400_i64 * 86_400_000_000,
        tokens in 0..3_000_i64,
    ) {
        let book = PriceBook::new(&rows).unwrap();
        let at = Micros(parse_instant("2025-12-01").unwrap().0 + offset);
        let boundaries = book.boundaries();
        let interval = boundaries.iter().rev().find(|b| **b <= at).copied();
        let band = book.bands().iter().rev().find(|b| **b < tokens).map(|b| b + 1);
        for model in ["a", "a-2026-01-01", "b"] {
            let exact = Query { at, context_tokens: tokens, ..query(model, Unit::InputText) };
            let representative = Query {
                at: interval.unwrap_or(Micros(i64::MIN)),
                context_tokens: band.unwrap_or(0),
                ..exact
            };
            prop_assert_eq!(book.lookup(&exact), book.lookup(&representative));
        }
    }
}
