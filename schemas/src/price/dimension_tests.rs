//! Tests of what a price depends on besides model, tier, band and time: speed, capacity, place, hours, and names that
//! stand for others.

use proptest::prelude::*;

use super::tests::{errors, instant, line, query, raw, with};
use super::*;

fn row(line: usize, columns: &[(&str, &str)]) -> RawPrice {
    let mut row = RawPrice {
        line,
        provider: "openai".into(),
        source: "a page".into(),
        read_on: "2026-11-24".into(),
        ..RawPrice::default()
    };
    for (name, text) in columns {
        (*text).clone_into(row.column_mut(name).unwrap());
    }
    row
}

fn uplift(line: usize, columns: &[(&str, &str)]) -> RawPrice {
    let all = [("kind", "uplift"), ("model", "m"), ("unit", "tokens")];
    row(line, &[&all, columns].concat())
}

fn alias(line: usize, name: &str, of: &str, columns: &[(&str, &str)]) -> RawPrice {
    let all = [("kind", "alias"), ("model", name), ("alias_of", of)];
    row(line, &[&all, columns].concat())
}

fn rate(book: &PriceBook, query: &Query<'_>) -> Option<String> {
    let priced = book.lookup(query)?;
    Some(priced.rate.times(1_000_000).unwrap().to_string())
}

type Change = fn(&mut Query<'static>);

#[test]
fn speed_capacity_region_and_geography_are_matched_and_never_guessed() {
    let only = |line, column, text: &str| {
        let set = |r: &mut RawPrice| text.clone_into(r.column_mut(column).unwrap());
        with(raw(line, "m", "input_text", "9"), set)
    };
    let book = PriceBook::new(&[
        raw(1, "m", "input_text", "1"),
        raw(2, "m", "output_text", "2"),
        only(3, "speed", "fast"),
        only(4, "capacity", "ptu"),
        only(5, "region", "norwayeast"),
        only(6, "geography", "us"),
    ])
    .unwrap();
    let input = query("m", Unit::InputText);
    let output = query("m", Unit::OutputText);
    let places: [(Change, Option<usize>, Option<usize>); 8] = [
        (|_| {}, Some(1), Some(2)),
        (|q| q.speed = "fast", Some(3), None),
        (|q| q.speed = "slow", None, None),
        (|q| q.capacity = "ptu", Some(4), None),
        // a region with a price of its own is never mixed with the others, one without has the common price
        (|q| q.region = "norwayeast", Some(5), None),
        (|q| q.region = "swedencentral", Some(1), Some(2)),
        (|q| q.geography = "us", Some(6), None),
        (|q| q.geography = "eu", None, None),
    ];
    for (change, of_input, of_output) in places {
        for (query, wanted) in [(&input, of_input), (&output, of_output)] {
            let mut asked = *query;
            change(&mut asked);
            assert_eq!(line(&book, &asked), wanted, "{asked:?}");
        }
    }
}

#[test]
fn an_uplift_multiplies_exactly_in_its_place_and_time_only() {
    let book = PriceBook::new(&[
        raw(1, "m", "input_text", "0.15"),
        raw(2, "m", "output_reasoning", "0.000007"),
        raw(3, "m", "web_search_calls", "10"),
        raw(4, "n", "input_text", "1"),
        uplift(
            5,
            &[
                ("region_class", "eu"),
                ("rate", "1.1"),
                ("valid_from", "2026-11-01"),
            ],
        ),
        uplift(6, &[("geography", "us"), ("rate", "1.25"), ("model", "*")]),
        uplift(
            7,
            &[("geography", "us"), ("rate", "1"), ("unit", "input_text")],
        ),
    ])
    .unwrap();
    let in_eu = |unit| Query {
        region_class: "eu",
        ..query("m", unit)
    };
    assert_eq!(rate(&book, &in_eu(Unit::InputText)).unwrap(), "0.165");
    assert_eq!(
        rate(&book, &in_eu(Unit::OutputReasoning)).unwrap(),
        "0.0000077"
    );
    // not a token, so the uplift of tokens says nothing of it
    assert_eq!(rate(&book, &in_eu(Unit::WebSearchCalls)), None);
    let before = Query {
        at: instant("2026-10-31"),
        ..in_eu(Unit::InputText)
    };
    assert_eq!(rate(&book, &before), None);
    let in_us = |model, unit| Query {
        geography: "us",
        ..query(model, unit)
    };
    // the model's own line for the unit, then the provider's for all tokens
    assert_eq!(rate(&book, &in_us("m", Unit::InputText)).unwrap(), "0.15");
    assert_eq!(
        rate(&book, &in_us("m", Unit::OutputReasoning)).unwrap(),
        "0.00000875"
    );
    assert_eq!(rate(&book, &in_us("n", Unit::InputText)).unwrap(), "1.25");
    // two places at once have no line of their own
    let both = Query {
        region_class: "eu",
        ..in_us("m", Unit::InputText)
    };
    assert_eq!(rate(&book, &both), None);
    let dearest = book.dearest(Some("openai"), "n", Side::Input, instant("2026-11-24"));
    assert_eq!(
        dearest.unwrap().rate.times(4).unwrap().to_string(),
        "0.000005"
    );
}

#[test]
fn an_uplift_without_a_place_a_product_that_is_not_exact_and_a_factor_of_nothing_are_refused() {
    let price = raw(1, "m", "input_text", "0.000000000001");
    let told = errors(&[price, uplift(2, &[("geography", "us"), ("rate", "1.1")])]);
    assert!(
        told[0].contains("line 2: times the rate of line 1"),
        "{told:?}"
    );
    for (columns, wanted) in [
        ([("rate", "1.1"), ("geography", "global")], "needs a place"),
        ([("rate", "0"), ("geography", "us")], "not above zero"),
        (
            [("rate", "1.1e0"), ("geography", "us")],
            "not a plain decimal",
        ),
    ] {
        let told = errors(&[uplift(2, &columns)]);
        assert!(told[0].contains(wanted), "{told:?}");
    }
}

#[test]
fn an_alias_that_moves_is_priced_by_the_date_and_followed_once() {
    let book = PriceBook::new(&[
        raw(1, "old", "input_text", "1"),
        with(raw(2, "new", "input_text", "2"), |r| {
            r.model_version = "2026-03-05".into();
        }),
        alias(3, "latest", "old", &[("valid_from", "2026-01-01")]),
        alias(
            4,
            "latest",
            "new-2026-03-05",
            &[("valid_from", "2026-06-01T12:00+02:00")],
        ),
    ])
    .unwrap();
    let at = |model, at| Query {
        at: instant(at),
        ..query(model, Unit::InputText)
    };
    assert_eq!(line(&book, &at("latest", "2025-12-31")), None);
    assert_eq!(
        line(&book, &at("latest", "2026-06-01T09:59:59.999999Z")),
        Some(1)
    );
    assert_eq!(line(&book, &at("latest", "2026-06-01T10:00Z")), Some(2));
    // a name that merely looks like it, or that has a date after it, is another name
    assert_eq!(line(&book, &at("latest-2026-06-02", "2026-07-01")), None);
    assert_eq!(line(&book, &at("lates", "2026-07-01")), None);
    let name = book.priced_name("openai", "latest", instant("2026-07-01"));
    assert_eq!(name, Some("new-2026-03-05"));
}

#[test]
fn an_alias_of_nothing_of_itself_of_an_alias_or_beside_a_price_is_refused() {
    let price = raw(1, "m", "input_text", "1");
    for (lines, wanted) in [
        (
            vec![alias(2, "a", "nothing", &[])],
            "alias_of = `nothing` has no price",
        ),
        (vec![alias(2, "a", "a", &[])], "stands for one other name"),
        (
            vec![alias(2, "m", "m-2", &[])],
            "has a price of its own on line 1",
        ),
        (
            vec![alias(2, "a", "m", &[]), alias(3, "b", "a", &[])],
            "an alias of an alias is not followed",
        ),
        (
            vec![alias(2, "a", "m", &[]), alias(3, "a", "m", &[])],
            "says the same as line 2",
        ),
        (
            vec![alias(2, "a", "m", &[("rate", "1")])],
            "`rate` is filled, but a line of kind alias",
        ),
    ] {
        let told = errors(&[std::slice::from_ref(&price), lines.as_slice()].concat());
        assert!(told.iter().any(|error| error.contains(wanted)), "{told:?}");
    }
}

#[test]
fn a_region_of_another_class_says_nothing_of_this_one() {
    let of = |line, class: &str, region: &str| {
        with(raw(line, "m", "input_text", "1"), |r| {
            (r.region_class, r.region) = (class.into(), region.into());
        })
    };
    let rows = [
        of(1, "global", ""),
        of(2, "datazone", ""),
        of(3, "datazone", "norwayeast"),
    ];
    let book = PriceBook::new(&rows).unwrap();
    for (region_class, region, wanted) in [
        ("global", "norwayeast", 1),
        ("datazone", "norwayeast", 3),
        ("datazone", "swedencentral", 2),
    ] {
        let asked = Query {
            region_class,
            region,
            ..query("m", Unit::InputText)
        };
        assert_eq!(line(&book, &asked), Some(wanted), "{region_class} {region}");
    }
}

#[test]
fn what_is_otherwise_is_known_only_while_the_other_hours_are() {
    let mut rows = hours(3);
    // somebody extends the one and forgets the other: not everything becomes cheap
    rows[1].valid_to = "2028-01-01".into();
    rows.extend([hourly(1, "peak", "2"), hourly(2, "off_peak", "1")]);
    let book = PriceBook::new(&rows).unwrap();
    let at = |at| Query {
        at: instant(at),
        ..query("m", Unit::InputText)
    };
    assert_eq!(line(&book, &at("2026-12-31T23:00Z")), Some(2));
    assert_eq!(line(&book, &at("2027-01-05T12:00Z")), None);
}

/// Peak from 01:00 to 04:00 and 06:00 to 10:00 on weekdays, but not on 1 to 7 October; known until the year's end.
fn hours(line: usize) -> Vec<RawPrice> {
    let known = [("valid_from", "2026-08-17"), ("valid_to", "2027-01-01")];
    let band = |line, name, days, hours_utc| {
        let columns = [
            ("kind", "hours"),
            ("hours", name),
            ("days", days),
            ("hours_utc", hours_utc),
        ];
        row(line, &[&columns[..], &known].concat())
    };
    let october = [
        ("kind", "holiday"),
        ("hours", "peak"),
        ("valid_from", "2026-10-01"),
        ("valid_to", "2026-10-08"),
    ];
    vec![
        band(line, "peak", "mon-fri", "01:00-04:00 06:00-10:00"),
        band(line + 1, "off_peak", "", "otherwise"),
        row(line + 2, &october),
    ]
}

fn hourly(line: usize, hours: &str, rate: &str) -> RawPrice {
    with(raw(line, "m", "input_text", rate), |r| {
        r.hours = hours.into();
    })
}

fn hourly_book() -> PriceBook {
    let prices = [hourly(1, "peak", "2"), hourly(2, "off_peak", "1")];
    PriceBook::new(&[&prices[..], &hours(3)].concat()).unwrap()
}

#[test]
fn hours_days_and_holidays_decide_and_what_the_calendar_does_not_reach_is_unpriced() {
    let book = hourly_book();
    for (at, wanted) in [
        ("2026-11-24T00:59:59.999999Z", Some(2)), // a Tuesday
        ("2026-11-24T01:00Z", Some(1)),
        ("2026-11-24T03:59:59.999999Z", Some(1)),
        ("2026-11-24T04:00Z", Some(2)),
        ("2026-11-24T06:00Z", Some(1)),
        ("2026-11-24T10:00Z", Some(2)),
        ("2026-11-24T15:30+05:45", Some(1)), // 09:45 UTC
        ("2026-11-28T02:00Z", Some(2)),      // a Saturday
        ("2026-10-01T02:00Z", Some(2)),      // a holiday
        ("2026-10-08T02:00Z", Some(1)),
        ("2026-08-16T23:00Z", None), // before the hours begin
        ("2027-01-01", None),        // no list of holidays yet
    ] {
        let asked = Query {
            at: instant(at),
            ..query("m", Unit::InputText)
        };
        assert_eq!(line(&book, &asked), wanted, "{at}");
    }
}

#[test]
fn an_uplift_for_a_place_that_no_request_is_looked_up_by_is_refused() {
    for (column, text, wanted) in [
        ("region_class", "data_zone", "write datazone"),
        ("region_class", "zone", "write datazone"),
        ("region_class", "region", "write regional"),
        ("geography", "global", "leave it empty"),
        ("geography", "not_available", "leave it empty"),
    ] {
        let columns = [
            ("kind", "uplift"),
            ("model", "*"),
            ("unit", "tokens"),
            ("rate", "1.1"),
            ("region_class", "datazone"),
        ];
        let up = with(row(1, &columns), |r| {
            text.clone_into(r.column_mut(column).unwrap());
        });
        let told = errors(&[up]);
        assert!(told[0].contains(wanted), "{told:?}");
    }
}

#[test]
fn hours_that_collide_do_not_exist_or_cover_a_price_for_all_hours_are_refused() {
    let prices = [hourly(1, "peak", "2"), hourly(2, "off_peak", "1")];
    let with_lines = |more: Vec<RawPrice>| errors(&[&prices[..], &hours(3), &more].concat());
    let band = |columns: &[(&str, &str)]| {
        let all = [("kind", "hours"), ("hours", "night")];
        row(9, &[&all, columns].concat())
    };
    let night = |days, hours| band(&[("days", days), ("hours_utc", hours)]);
    for (line, wanted) in [
        (
            night("wed", "03:59-05:00"),
            "line 9: is in force at the same time as the hours of line 3",
        ),
        (
            band(&[("hours_utc", "otherwise")]),
            "line 9: is in force at the same time as the hours of line 4",
        ),
        (night("fri-mon", "00:00-01:00"), "days = `fri-mon`"),
        (night("", "00:00-01:00"), "days = ``"),
        (night("sun", "22:00-02:00"), "hours_utc = `22:00-02:00`"),
        (night("sun", "1:00-02:00"), "hours_utc = `1:00-02:00`"),
        (night("sun", "23:00-24:01"), "hours_utc = `23:00-24:01`"),
        (
            hourly(9, "dawn", "1"),
            "line 9: hours = `dawn` are not defined",
        ),
        (
            hourly(9, "", "1"),
            "holds for some hours while the price of line 9 holds for all",
        ),
    ] {
        let told = with_lines(vec![line]);
        assert!(told.iter().any(|error| error.contains(wanted)), "{told:?}");
    }
    // a price for all hours that ends before the hours begin is what came before
    let flat = with(hourly(9, "", "1"), |r| r.valid_to = "2026-08-17".into());
    let from = |row: &RawPrice| with(row.clone(), |r| r.valid_from = "2026-08-17".into());
    let rows = [
        &[from(&prices[0]), from(&prices[1]), flat],
        hours(3).as_slice(),
    ]
    .concat();
    let book = PriceBook::new(&rows).unwrap();
    let early = Query {
        at: instant("2026-01-01"),
        ..query("m", Unit::InputText)
    };
    assert_eq!(line(&book, &early), Some(9));
}

#[test]
fn a_spelling_that_no_request_is_looked_up_by_is_refused() {
    for (column, text, wanted) in [
        ("service_tier", "standard", "write default"),
        ("service_tier", "fast", "write priority"),
        ("speed", "standard", "leave it empty"),
        ("geography", "global", "leave it empty"),
        ("region_class", "data_zone", "write datazone"),
        ("kind", "prices", "is not a kind of line"),
        ("days", "mon", "no such column"),
    ] {
        let set = |r: &mut RawPrice| text.clone_into(r.column_mut(column).unwrap());
        let told = errors(&[with(raw(1, "m", "input_text", "1"), set)]);
        assert!(told[0].contains(wanted), "{told:?}");
    }
}

proptest! {
    /// A report adds units up per part of its period: every instant of a part is priced as the part's stand-in.
    #[test]
    fn an_instant_is_priced_as_the_stand_in_of_its_part(minute in 0..150_i64 * 1_440, start in 0..150_i64 * 1_440) {
        let mut rows = vec![hourly(1, "peak", "2"), hourly(2, "off_peak", "1")];
        rows.extend(hours(3));
        let dated = |line, from: &str, rate| with(hourly(line, "peak", rate), |r| r.valid_from = from.into());
        rows.extend([dated(9, "2026-09-03T02:30Z", "5"), dated(10, "2026-11-11", "6")]);
        let book = PriceBook::new(&rows).unwrap();
        let base = instant("2026-08-10").0;
        let start = Micros(base + start * 60_000_000);
        let at = Micros(start.0 + minute * 60_000_000);
        let end = Micros(start.0 + 151 * 86_400_000_000);
        let parts = book.intervals(start, end, 1_000).unwrap();
        prop_assert_eq!(parts[0].from, start);
        let part = parts.iter().rev().find(|part| part.from <= at).unwrap();
        let price = |at| line(&book, &Query { at, ..query("m", Unit::InputText) });
        prop_assert_eq!(price(at), price(part.priced_as));
    }
}

#[test]
fn the_same_hours_of_other_days_are_one_part() {
    let book = hourly_book();
    let (start, end) = (instant("2026-11-01"), instant("2026-12-01"));
    assert_eq!(book.intervals(start, end, 80), None);
    let parts = book.intervals(start, end, 1_000).unwrap();
    let stand_ins: BTreeSet<_> = parts.iter().map(|part| part.priced_as).collect();
    assert!(parts.len() > 80, "{}", parts.len());
    assert_eq!(stand_ins.len(), 2);
}
