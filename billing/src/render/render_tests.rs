//! Tests of printing: alignment, widths, names that stay, and harmless texts.

use std::collections::BTreeMap;

use schemas::Unit;

use super::*;
use crate::chargeback::{
    Amount, Exposure, Figures, LogPosition, PeriodSpan, Row, Synthetic, Unpriced, Why,
};

fn figures(requests: i128, cost: &str) -> Figures {
    Figures {
        requests,
        charged_requests: requests,
        units: BTreeMap::from([(Unit::InputText, requests * 1_000)]),
        input_tokens: requests * 1_000,
        amounts: vec![Amount {
            currency: "USD".parse().unwrap(),
            cost: cost.parse().unwrap(),
            estimated_cost: schemas::Money::ZERO,
        }],
        ..Figures::none()
    }
}

fn sample() -> Report {
    let row = |name: &str, requests, cost| Row {
        columns: vec![name.into(), "m".into()],
        figures: figures(requests, cost),
    };
    Report {
        format_version: 1,
        period: PeriodSpan {
            name: "2026-11".into(),
            zone: "UTC".into(),
            start_us: 0,
            end_us: 1_000_000,
        },
        by: vec!["tenant".into(), "model".into()],
        synthetic: Synthetic::Exclude,
        tenant: None,
        rows: vec![row("acme", 1_234, "12.5"), row("=cmd\u{1b}", 2, "0.00003")],
        totals: figures(1_236, "12.50003"),
        synthetic_requests_left_out: 7,
        unreadable_records: 0,
        position: vec![LogPosition {
            topic: "journal:a".into(),
            partition: 0,
            last: 41,
        }],
        price_version: "abc".into(),
        report_hash: "def".into(),
    }
}

#[test]
fn the_table_aligns_numbers_to_the_right_and_tells_what_to_know() {
    let text = report(&sample(), Format::Table, None).unwrap();
    let ends: Vec<_> = ["12.50 USD", "0.00003 USD", "12.50003 USD"]
        .iter()
        .map(|cost| {
            let line = text.lines().find(|line| line.contains(cost)).unwrap();
            line.find(cost).unwrap() + cost.len()
        })
        .collect();
    // the second row has a character of three bytes, the first and the total have none
    assert_eq!(ends[0], ends[2], "{text}");
    assert_eq!(ends[1], ends[0] + 2, "{text}");
    for part in [
        "1,234,000",
        "TOTAL",
        "7 synthetic requests",
        "journal:a/0 to record 41",
        "Price book abc",
        "before 1970-01-01T00:00:01Z",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains('*'), "{text}");
}

#[test]
fn texts_give_way_to_fit_the_width_and_numbers_stay_whole() {
    let mut sample = sample();
    sample.rows[0].columns[0] = "a tenant with a rather long name".into();
    let text = report(&sample, Format::Table, Some(60)).unwrap();
    let table = text.lines().take_while(|line| !line.starts_with("Period"));
    for line in table {
        assert!(line.chars().count() <= 60, "{line}");
    }
    let narrow = report(&sample, Format::Table, Some(20)).unwrap();
    assert!(
        narrow.contains("1,234,000") && narrow.contains("12.50003 USD"),
        "{narrow}"
    );
}

#[test]
fn what_is_missing_or_may_come_stands_under_the_table() {
    let mut sample = sample();
    sample.totals.complete = false;
    sample.totals.unpriced = vec![Unpriced {
        provider: "openai".into(),
        model: "new".into(),
        service_tier: String::new(),
        unit: Unit::OutputText,
        why: Why::NoRate,
        count: 5_000,
    }];
    sample.totals.unknown_requests = 3;
    sample.totals.exposure = Exposure {
        at_most: BTreeMap::from([("USD".parse().unwrap(), "1.5".parse().unwrap())]),
        unbounded_requests: 1,
        ..Exposure::default()
    };
    let text = report(&sample, Format::Table, None).unwrap();
    for part in [
        "12.50003 USD *",
        "not complete",
        "unpriced: 5,000 output_text of openai/new (default): no rate",
        "Not charged: 3 requests whose end is unknown",
        "at most 1.50 USD and an unknown amount for 1 of them",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn csv_has_names_exact_amounts_and_no_formulas() {
    let mut sample = sample();
    let euro = Amount {
        currency: "EUR".parse().unwrap(),
        cost: "3".parse().unwrap(),
        estimated_cost: schemas::Money::ZERO,
    };
    sample.rows[0].figures.amounts.insert(0, euro);
    let text = report(&sample, Format::Csv, None).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    let field = |record: &csv::StringRecord, name: &str| {
        record
            .get(header.iter().position(|column| column == name).unwrap())
            .unwrap()
            .to_owned()
    };
    let names: std::collections::BTreeSet<_> = header.iter().collect();
    assert_eq!(
        names.len(),
        header.len(),
        "no name stands twice: {header:?}"
    );
    assert_eq!(records.len(), 3);
    let row = |at: usize| {
        ["tenant", "currency", "cost", "requests", "unit_input_text"]
            .map(|name| field(&records[at], name))
    };
    assert_eq!(row(0), ["acme", "EUR", "3.00", "1234", "1234000"]);
    assert_eq!(row(1), ["acme", "USD", "12.50", "", ""]);
    assert_eq!(row(2), ["'=cmd\u{1b}", "USD", "0.00003", "2", "2000"]);
}

#[test]
fn json_names_are_stable() {
    let value: serde_json::Value =
        serde_json::from_str(&report(&sample(), Format::Json, None).unwrap()).unwrap();
    assert_eq!(value["rows"][0]["columns"][0], "acme");
    assert_eq!(value["rows"][0]["requests"], 1_234);
    assert_eq!(value["rows"][0]["units"]["input_text"], 1_234_000);
    assert_eq!(value["totals"]["amounts"][0]["cost"], "12.50003");
    assert_eq!(value["totals"]["complete"], true);
    for name in [
        "format_version",
        "period",
        "by",
        "synthetic",
        "tenant",
        "synthetic_requests_left_out",
        "position",
        "price_version",
        "report_hash",
    ] {
        assert!(value.get(name).is_some(), "{name}");
    }
}

#[test]
fn an_empty_report_and_an_empty_page_say_so() {
    let mut empty = sample();
    empty.rows.clear();
    empty.totals = Figures::none();
    let text = report(&empty, Format::Table, Some(80)).unwrap();
    assert!(
        text.contains("No requests in this period.") && text.contains("TOTAL"),
        "{text}"
    );
    assert_eq!(
        report(&empty, Format::Csv, None).unwrap().lines().count(),
        1
    );
    let nothing = Page {
        events: Vec::new(),
        next: None,
    };
    assert!(
        page(&nothing, Format::Table, None)
            .unwrap()
            .contains("No events match.")
    );
    assert_eq!(
        page(&nothing, Format::Csv, None).unwrap().lines().count(),
        1
    );
}

#[test]
fn an_unknown_format_names_the_known_ones() {
    assert!(
        "xml"
            .parse::<Format>()
            .unwrap_err()
            .to_string()
            .contains("table, csv or json")
    );
}
