//! Two ways to add a period up, over what rows are rated by and over all their columns: each row goes one of them, whoever wrote it,
//! and the report is the same.

use crate::common::*;
use crate::export::random;
use crate::fractions::{BOOK, Draw};
use billing::chargeback::{Report, Request, Synthetic, report};
use schemas::{Outcome, PriceBook, UsageEvent, UsageQuality, UsageSource};

/// Rows as a version wrote them that did not rate.
const UNRATED: &str = "rated_as = '', rated_input = 0, rated_1 = 0, rated_2 = 0, rated_3 = 0, rated_4 = 0, rated_5 = 0, \
     rated_6 = 0, rated_7 = 0, rated_8 = 0";

async fn change(ledger: &Ledger, which: &str) {
    let sql = format!("ALTER TABLE usage_events UPDATE {UNRATED} WHERE {which}");
    let changed = ledger
        .writer()
        .statement(&sql)
        .setting("mutations_sync", "2");
    changed.execute().await.expect("rows are changed");
}

async fn count(ledger: &Ledger, which: &str) -> u64 {
    let sql = format!("SELECT count() FROM usage_events FINAL WHERE {which}");
    let count = ledger.writer().query(&sql).fetch_one().await;
    count.expect("a count")
}

fn requests() -> Vec<Request> {
    let columns = [
        ("", "UTC"),
        ("tenant,project,model", "UTC"),
        (
            "key,provider,deployment,route,api,day,outcome,label:team0,label:none",
            "Asia/Kathmandu",
        ),
    ];
    let all = columns.map(|(by, zone)| Request {
        synthetic: Synthetic::Include,
        ..november(by, zone)
    });
    let one = Request {
        tenant: Some("acme".to_owned()),
        ..november("label:team1,outcome", "Europe/Berlin")
    };
    all.into_iter().chain([one]).collect()
}

async fn reports(ledger: &Ledger, book: &PriceBook) -> Vec<Report> {
    let mut made = Vec::new();
    for request in requests() {
        let made_one = report(&ledger.reader(), book, &request).await;
        made.push(made_one.expect("a report"));
    }
    made
}

#[tokio::test]
async fn a_report_is_the_same_whichever_way_its_rows_go() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    std::fs::write(folder.path().join("book.csv"), BOOK).expect("a file");
    let book = billing::prices::load(&folder.path().join("book.csv")).expect("prices");
    let ledger = Ledger::start().await;
    let mut draw = Draw(0x0070_0115);
    let all = (0..6_000).map(|number| {
        let mut event = random(&mut draw, number);
        // Most answers have one line.
        if number % 5 != 0 {
            event.lines.truncate(1);
        }
        event
    });
    let all: Vec<_> = all.collect();
    ledger.write(0, &all).await;
    ledger.write(10_000, &all[..500]).await;
    let (rated, unrated) = (
        count(&ledger, "rated_as != ''").await,
        count(&ledger, "rated_as = ''").await,
    );
    assert_eq!(rated + unrated, 6_000);
    assert!(unrated > 0 && unrated < rated / 4, "{unrated} and {rated}");
    let expected = reports(&ledger, &book).await;
    assert!(expected.iter().all(|report| !report.rows.is_empty()));

    // Some rows, and then all, as an older version wrote them.
    change(&ledger, "cityHash64(event_id) % 10 = 0").await;
    assert!(count(&ledger, "rated_as = ''").await > unrated);
    assert_eq!(reports(&ledger, &book).await, expected);
    change(&ledger, "1").await;
    assert_eq!(count(&ledger, "rated_as = ''").await, 6_000);
    assert_eq!(reports(&ledger, &book).await, expected);
}

/// Of two requests alike but for what was reserved, one unit of one has no price: only that one has no bound.
#[tokio::test]
async fn what_was_reserved_of_one_request_bounds_no_other() {
    let ledger = Ledger::start().await;
    let reserved = |number: u8, units: &str| {
        let mut lost = ended(event(number, &[]), Outcome::Unknown);
        (lost.usage_source, lost.usage_quality) = (UsageSource::None, UsageQuality::Missing);
        lost.priced_as = Some(text("m"));
        lost.estimated_units = serde_json::from_str(units).expect("units");
        lost
    };
    let events = [
        reserved(1, r#"{"input_text":10,"output_text":20}"#),
        reserved(2, r#"{"images":1}"#),
    ];
    ledger.write(0, &events).await;
    let book = book("m,input_text,default,,1000000,2,USD, m,output_text,default,,1000000,4,USD,");
    let expected = reports(&ledger, &book).await;
    assert_eq!(expected[0].totals.unknown_requests, 2);
    assert_eq!(expected[0].totals.exposure.unbounded_requests, 1);
    change(&ledger, "1").await;
    assert_eq!(reports(&ledger, &book).await, expected);
}

/// A batch each, so that the copies of an event lie in several parts.
async fn write_each(ledger: &Ledger, first: i64, records: &[&UsageEvent]) {
    for (offset, record) in (first..).zip(records) {
        ledger.write(offset, std::slice::from_ref(*record)).await;
    }
}

#[tokio::test]
async fn of_copies_that_go_two_ways_one_counts() {
    const PRICES: &str = "m,input_text,default,,1000000,2.50,USD,";
    let ledger = Ledger::start().await;
    let others: Vec<_> = (10..60)
        .map(|number| event(number, &[("m", r#"{"input_text":1}"#)]))
        .collect();
    let two_lines = |input: &str| event(1, &[("m", input), ("n", r#"{"images":0}"#)]);
    let lost = |lines: UsageEvent| {
        let mut lost = ended(lines, Outcome::Unknown);
        (lost.usage_source, lost.usage_quality) = (UsageSource::None, UsageQuality::Missing);
        lost
    };
    let one = event(1, &[("m", r#"{"input_text":1000000}"#)]);
    let two = two_lines(r#"{"input_text":1000000}"#);
    let mut first = 100;
    for (known, guess) in [
        (&one, lost(two_lines(r#"{"input_text":7}"#))),
        (&two, lost(event(1, &[("m", r#"{"input_text":7}"#)]))),
    ] {
        for order in [[known, &guess], [&guess, known]] {
            ledger.run("TRUNCATE TABLE usage_events").await;
            ledger.run("SYSTEM STOP MERGES usage_events").await;
            ledger.write(first, &others).await;
            write_each(&ledger, first + 50, &order).await;
            first += 100;
            let totals = ledger.report(PRICES, &november("", "UTC")).await.totals;
            let found = (
                totals.requests,
                totals.unknown_requests,
                totals.input_tokens,
            );
            assert_eq!(found, (51, 0, 1_000_050));
            assert_eq!(costs(&totals), ["2.500125 USD"]);
        }
    }
}
