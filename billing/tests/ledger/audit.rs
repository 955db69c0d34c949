//! The trail: filters, pages, places in the log, copies.

use crate::common::*;
use billing::audit::{Filter, LabelFilter, query};
use billing::render::{Format, page};
use schemas::{Micros, Outcome, Unit, UsageEvent};

fn events() -> Vec<UsageEvent> {
    let mut events: Vec<_> = (0..10_u8)
        .map(|number| at(event(number, &[]), NOON + i64::from(number / 2)))
        .collect();
    events[3] = at(ended(event(3, &[]), Outcome::RefusedAuth), NOON + 1);
    events[4] = of(events[4].clone(), "other's");
    events[5].labels.insert(text("team"), text("x=y"));
    let lines = [
        ("m", r#"{"input_text":0,"output_text":7}"#),
        ("n", r#"{"images":1}"#),
    ];
    events[6] = at(event(6, &lines), NOON + 3);
    events
}

async fn found(ledger: &Ledger, filter: &Filter) -> Vec<String> {
    let page = query(&ledger.reader(), filter).await.expect("a page");
    assert_eq!(page.next, None);
    page.events
        .into_iter()
        .map(|event| event.request_id)
        .collect()
}

#[tokio::test]
async fn each_filter_finds_what_it_says() {
    let ledger = Ledger::start().await;
    ledger.write(0, &events()).await;
    let all = found(&ledger, &Filter::default()).await;
    assert_eq!(all.len(), 10);
    let filters = [
        (
            Filter {
                tenant: Some("other's".into()),
                ..Filter::default()
            },
            vec!["request-4"],
        ),
        (
            Filter {
                outcome: Some(Outcome::RefusedAuth),
                ..Filter::default()
            },
            vec!["request-3"],
        ),
        (
            Filter {
                request_id: Some("request-8".into()),
                ..Filter::default()
            },
            vec!["request-8"],
        ),
        (
            Filter {
                labels: vec![LabelFilter {
                    name: "team".into(),
                    value: "x=y".into(),
                }],
                ..Filter::default()
            },
            vec!["request-5"],
        ),
        (
            Filter {
                since: Some(Micros(NOON + 1)),
                until: Some(Micros(NOON + 2)),
                ..Filter::default()
            },
            vec!["request-2", "request-3"],
        ),
        (
            Filter {
                project: Some("no".into()),
                ..Filter::default()
            },
            vec![],
        ),
        (
            Filter {
                key: Some("' OR 1 --".into()),
                ..Filter::default()
            },
            vec![],
        ),
    ];
    for (filter, wanted) in filters {
        assert_eq!(found(&ledger, &filter).await, wanted, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_are_in_one_order_without_gap_or_repeat() {
    let ledger = Ledger::start().await;
    let mut events = events();
    events.reverse();
    ledger.write(0, &events).await;
    let whole = found(&ledger, &Filter::default()).await;
    let (mut filter, mut seen) = (
        Filter {
            limit: 3,
            ..Filter::default()
        },
        Vec::new(),
    );
    loop {
        let page = query(&ledger.reader(), &filter).await.unwrap();
        assert!(page.events.len() <= 3);
        seen.extend(page.events.into_iter().map(|event| event.request_id));
        match page.next {
            Some(next) => filter.after = Some(next.parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, whole);
    assert_eq!(seen.len(), 10);
}

#[tokio::test]
async fn an_event_shows_its_units_its_place_and_its_copies() {
    let ledger = Ledger::start().await;
    ledger.write(0, &events()).await;
    ledger.write(50, &events()[6..7]).await;
    let result = query(&ledger.reader(), &Filter::default()).await.unwrap();
    let one = result
        .events
        .iter()
        .find(|event| event.request_id == "request-6")
        .unwrap();
    assert_eq!(one.copies, 2);
    assert_eq!((one.topic.as_str(), one.partition), ("journal:p", 0));
    assert!([6, 50].contains(&one.offset));
    assert_eq!(one.received, "2026-11-24T12:00:00.000003Z");
    // a reported zero stays, what was not reported is absent
    assert_eq!(
        (
            one.total(Unit::InputText),
            one.total(Unit::OutputText),
            one.total(Unit::InputCached)
        ),
        (Some(0), Some(7), None)
    );
    assert_eq!((one.lines.len(), one.total(Unit::Images)), (2, Some(1)));
    assert!(
        result
            .events
            .iter()
            .filter(|event| event.request_id != "request-6")
            .all(|event| event.copies == 1)
    );

    let csv = page(&result, Format::Csv, None).unwrap();
    assert_eq!(csv.lines().count(), 11);
    let json: serde_json::Value =
        serde_json::from_str(&page(&result, Format::Json, None).unwrap()).unwrap();
    assert_eq!(json["events"][3]["outcome"], "refused_auth");
    assert!(
        page(&result, Format::Table, Some(200))
            .unwrap()
            .contains("10 events, the last ones.")
    );
}

#[tokio::test]
async fn what_was_changed_and_what_the_provider_said_of_usage_and_cost_is_shown() {
    let ledger = Ledger::start().await;
    let mut told = event(1, &[("m", r#"{"input_text":7}"#)]);
    told.policies = text("max_tokens:9000->4096");
    told.usage_raw = Some(r#"{"prompt_tokens":7}"#.to_owned());
    told.provider_cost = Some(text("0.00125"));
    told.provider_cost_currency = Some(text("USD"));
    ledger.write(0, &[told, event(2, &[])]).await;
    let result = query(&ledger.reader(), &Filter::default()).await.unwrap();
    let json = page(&result, Format::Json, None).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let (told, silent) = (&json["events"][0], &json["events"][1]);
    for (name, wanted) in [
        ("policies", "max_tokens:9000->4096"),
        ("usage_raw", r#"{"prompt_tokens":7}"#),
        ("provider_cost", "0.00125"),
        ("provider_cost_currency", "USD"),
    ] {
        assert_eq!(told[name], wanted, "{name}");
        let nothing = silent[name].as_str().is_none_or(str::is_empty);
        assert!(nothing, "{name}: {}", silent[name]);
    }
    let csv = page(&result, Format::Csv, None).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();
    let cell = |name: &str| &row[header.iter().position(|of| of == name).unwrap()];
    assert_eq!(cell("policies"), "max_tokens:9000->4096");
    assert_eq!(
        (cell("provider_cost"), cell("provider_cost_currency")),
        ("0.00125", "USD")
    );
    assert!(!header.iter().any(|of| of == "usage_raw"));
}
