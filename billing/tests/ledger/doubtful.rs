//! What nobody can know stands on a report as not known: names that somebody made up, bounds that do not hold, costs that have no
//! price. The trail says the same of each record.

use std::collections::BTreeMap;

use crate::common::*;
use crate::export::exported;
use billing::chargeback::Figures;
use billing::export::{ExportFormat, Kind};
use billing::render::{self, Format};
use schemas::{Billable, EventId, Micros, Outcome, UsageEvent, UsageQuality, UsageSource};

const PRICES: &str =
    "m,input_text,default,,1000000,2.50,USD, m,output_text,default,,1000000,10,USD,";

/// A request whose name led nowhere.
fn strange(number: u16, outcome: Outcome) -> UsageEvent {
    let mut event = ended(event(0, &[]), outcome);
    let [high, low] = number.to_be_bytes();
    event.event_id = EventId::mint(Micros(NOON), [0, 0, 0, 0, 0, 0, 0, 9, high, low]);
    event.producer_seq = i64::from(number);
    event.model_requested = text(&format!("name-{number}"));
    (
        event.model_served,
        event.route,
        event.deployment,
        event.provider,
    ) = (None, None, None, None);
    (event.usage_source, event.billable) = (UsageSource::None, Billable::No);
    event
}

/// Whoever has a key can send as many names as there are texts: they are no models, and no groups of a report.
#[tokio::test]
async fn names_that_led_to_no_route_are_one_row_however_many_they_are() {
    let ledger = Ledger::start().await;
    let mut events: Vec<_> = (0..2_000)
        .map(|number| strange(number, Outcome::RefusedInvalid))
        .collect();
    events.push(strange(2_000, Outcome::ClientAborted));
    // one that was let in under a route's name, and one that a limit refused there
    let mut limited = strange(2_001, Outcome::RefusedLimit);
    limited.route = Some(text("r"));
    let mut routed = strange(2_002, Outcome::UpstreamError);
    (routed.route, routed.model_requested) = (Some(text("r")), text("public"));
    events.extend([limited, routed]);
    ledger.write(0, &events).await;
    let request = november("model", "UTC");
    let report = ledger.report(PRICES, &request).await;
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.columns[0].as_str(), row.figures.requests))
        .collect();
    assert_eq!(rows, [("", 2_002), ("public", 1)]);
    let folder = tempfile::tempdir().expect("a folder");
    let trail = (Kind::Trail, ExportFormat::Csv);
    exported(&ledger, &book(PRICES), &request, trail, folder.path()).await;
}

/// What may come on top of a request, alone in its tenant.
async fn exposed(ledger: &Ledger, number: u8, change: impl FnOnce(&mut UsageEvent)) -> Figures {
    let used = r#"{"input_text":1000000,"output_text":300000}"#;
    let mut event = ended(event(number, &[("m", used)]), Outcome::UpstreamError);
    event.billable = Billable::Unclear;
    event.estimated_units =
        serde_json::from_str(r#"{"input_text":2000000,"output_text":100000}"#).expect("units");
    change(&mut event);
    let tenant = format!("t{number}");
    ledger.write(i64::from(number), &[of(event, &tenant)]).await;
    let mut request = november("tenant", "UTC");
    request.tenant = Some(tenant);
    let folder = tempfile::tempdir().expect("a folder");
    let trail = (Kind::Trail, ExportFormat::Csv);
    exported(ledger, &book(PRICES), &request, trail, folder.path()).await;
    ledger.report(PRICES, &request).await.totals
}

fn at_most(figures: &Figures) -> (Vec<String>, i128) {
    let bounds = figures.exposure.at_most.values();
    let bounds = bounds.map(ToString::to_string).collect();
    (bounds, figures.exposure.unbounded_requests)
}

#[tokio::test]
async fn an_unclear_request_whose_figures_do_not_add_up_has_no_bound() {
    let ledger = Ledger::start().await;
    let cases = [
        (UsageQuality::Ok, 0),
        (UsageQuality::Inconsistent, 1),
        (UsageQuality::Unmapped, 1),
        (UsageQuality::Missing, 1),
    ];
    for (number, (quality, unbounded)) in (1..).zip(cases) {
        let figures = exposed(&ledger, number, |event| event.usage_quality = quality).await;
        // a million at 2.50 and 300,000 at 10
        assert_eq!(
            at_most(&figures),
            (vec!["5.50".to_owned()], unbounded),
            "{quality}"
        );
    }
}

#[tokio::test]
async fn an_unclear_request_may_cost_what_was_counted_where_that_is_more_than_was_reserved() {
    let ledger = Ledger::start().await;
    for (number, source) in [(1, UsageSource::Estimated), (2, UsageSource::Partial)] {
        let figures = exposed(&ledger, number, |event| event.usage_source = source).await;
        // of the input two millions were reserved, of the output 300,000 counted
        assert_eq!(at_most(&figures), (vec!["8.00".to_owned()], 0), "{source}");
        let units = &figures.exposure.units;
        let units: BTreeMap<_, _> = units.iter().map(|(unit, n)| (unit.as_str(), *n)).collect();
        let wanted = [("input_text", 2_000_000), ("output_text", 300_000)];
        assert_eq!(units, BTreeMap::from(wanted));
    }
    // what no unit counts is in no reservation
    for (number, quality) in [
        (11, UsageQuality::Unmapped),
        (12, UsageQuality::Inconsistent),
    ] {
        let figures = exposed(&ledger, number, |event| {
            (event.usage_source, event.usage_quality) = (UsageSource::Partial, quality);
        })
        .await;
        assert_eq!(figures.exposure.unbounded_requests, 1, "{quality}");
    }
    // later lines count, and without a reservation what was counted is no bound
    let figures = exposed(&ledger, 3, |event| {
        event.usage_source = UsageSource::Estimated;
        let more = event.lines[0].clone();
        event.lines.push(more);
        event.estimated_units = serde_json::from_str(r#"{"output_text":1}"#).expect("units");
    })
    .await;
    assert_eq!(at_most(&figures), (vec!["11.00".to_owned()], 0));
    let figures = exposed(&ledger, 4, |event| {
        event.usage_source = UsageSource::Estimated;
        event.estimated_units = schemas::Units::default();
    })
    .await;
    assert_eq!(at_most(&figures), (vec!["5.50".to_owned()], 1));
}

/// Null, never zero: in the report, its table and its CSV, and in the files.
#[tokio::test]
async fn what_has_no_price_or_is_not_charged_has_no_cost_in_any_row() {
    let ledger = Ledger::start().await;
    let used = r#"{"input_text":1000000}"#;
    let events = [
        of(event(1, &[("new", used)]), "unpriced"),
        of(strange(2, Outcome::RefusedInvalid), "refused"),
        of(event(3, &[("m", r#"{"input_text":0}"#)]), "zero"),
        of(event(4, &[("m", used)]), "priced"),
        of(event(5, &[]), "untold"),
    ];
    ledger.write(0, &events).await;
    let request = november("tenant", "UTC");
    let report = ledger.report(PRICES, &request).await;
    let rows: BTreeMap<_, _> = report
        .rows
        .iter()
        .map(|row| (row.columns[0].as_str(), costs(&row.figures).join("")))
        .collect();
    let wanted = [
        ("priced", "2.50 USD"),
        ("refused", ""),
        ("unpriced", ""),
        ("untold", ""),
        ("zero", "0.00 USD"),
    ];
    let wanted = wanted.map(|(name, cost)| (name, cost.to_owned()));
    assert_eq!(rows, BTreeMap::from(wanted));
    assert_eq!(costs(&report.totals), ["2.50 USD"]);

    let table = render::report(&report, Format::Table, None).expect("a table");
    let line = |name: &str| {
        table
            .lines()
            .find(|line| line.contains(name))
            .expect("a row")
    };
    assert!(line("unpriced").contains("- *"), "{table}");
    let untold: Vec<_> = line("untold").split_whitespace().collect();
    assert_eq!(untold, ["untold", "1", "-", "-", "*", "0"], "{table}");
    let csv = render::report(&report, Format::Csv, None).expect("a CSV");
    let folder = tempfile::tempdir().expect("a folder");
    let summary = (Kind::Summary, ExportFormat::Csv);
    let (file, manifest) = exported(&ledger, &book(PRICES), &request, summary, folder.path()).await;
    assert_eq!(manifest.complete, Some(false));
    let written = std::fs::read_to_string(file).expect("a file");
    for text in [csv, written] {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let cells: Vec<BTreeMap<String, String>> = reader
            .deserialize()
            .map(|row| row.expect("a record"))
            .collect();
        for (tenant, cost) in [
            ("unpriced", ""),
            ("untold", ""),
            ("refused", ""),
            ("zero", "0.00"),
            ("priced", "2.50"),
        ] {
            let row = cells
                .iter()
                .find(|row| row["tenant"] == tenant)
                .expect("a row");
            assert_eq!(row["cost"], cost, "{tenant} in {text}");
            let is_whole = !tenant.starts_with("un");
            assert_eq!(row["complete"], is_whole.to_string(), "{tenant}");
        }
    }
}
