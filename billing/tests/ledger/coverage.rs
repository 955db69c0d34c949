//! Metering coverage: gaps that are put in show as what they are, and all classes add up to all requests.

use crate::common::*;
use billing::chargeback::{Coverage, Request};
use billing::render::{self, Format};
use billing::{Period, period};
use schemas::{Api, Billable, Outcome, UsageEvent, UsageQuality, UsageSource};

const MILLION: &str = r#"{"input_text":1000000}"#;

/// A hundred calls, one of each gap among them: each is 1%.
fn calls() -> Vec<UsageEvent> {
    let mut calls: Vec<_> = (0..100)
        .map(|number| event(number, &[("m", MILLION)]))
        .collect();
    calls[1].lines = event(1, &[("m", r#"{"input_text":0,"output_text":0}"#)]).lines;
    calls[2].usage_source = UsageSource::Partial;
    calls[3].usage_source = UsageSource::Estimated;
    calls[3].usage_quality = UsageQuality::Missing;
    (calls[4].usage_source, calls[4].usage_quality) = (UsageSource::None, UsageQuality::Missing);
    calls[4].lines.clear();
    calls[5].outcome = Outcome::RefusedLimit;
    (calls[5].usage_source, calls[5].billable) = (UsageSource::None, Billable::No);
    calls[5].lines.clear();
    calls[6].usage_quality = UsageQuality::Unmapped;
    // the second line has no price: the request is unpriced, though its first line is not
    calls[7].lines = event(7, &[("m", MILLION), ("new", r#"{"images":1}"#)]).lines;
    calls[8].outcome = Outcome::Unknown;
    // nothing on the first line, and something on the second: not a zero
    calls[9].lines = event(9, &[("m", r#"{"input_text":0}"#), ("m", MILLION)]).lines;
    calls
}

fn requests(coverage: &Coverage) -> Vec<(&'static str, i128)> {
    let classes = coverage.classes();
    classes
        .iter()
        .map(|(name, share)| (*name, share.requests))
        .collect()
}

#[tokio::test]
async fn one_gap_in_a_hundred_shows_as_one_percent_and_the_classes_add_up() {
    let ledger = Ledger::start().await;
    ledger.write(0, &calls()).await;
    ledger.dead_letters(100, 1).await;
    let report = ledger
        .report(
            "m,input_text,default,,1000000,1,USD,",
            &november("tenant", "UTC"),
        )
        .await;
    let coverage = &report.totals.coverage;
    assert_eq!(
        requests(coverage),
        [
            ("reported", 93),
            ("reported_zero", 1),
            ("partial", 2),
            ("estimated", 1),
            ("missing", 2),
            ("not_metered", 1),
        ]
    );
    let sum: i128 = requests(coverage).iter().map(|(_, count)| count).sum();
    assert_eq!((sum, report.totals.requests), (100, 100));
    assert_eq!(
        (coverage.unpriced_requests, report.unreadable_records),
        (1, 1)
    );
    // each dollar of the cost stands on a class, too
    let mut cost = schemas::Money::ZERO;
    for (_, share) in coverage.classes() {
        for money in share.cost.values() {
            cost = cost.checked_add(*money).unwrap();
        }
    }
    assert_eq!(
        (cost, costs(&report.totals)),
        (report.totals.amounts[0].cost, vec!["96.00 USD".to_owned()])
    );

    let table = render::report(&report, Format::Table, None).unwrap();
    for part in [
        "Metering of 100 requests: reported 93 (93.00%, 96.88% of the cost), reported zero 1 (1.00%), \
         partial 2 (2.00%, 2.08% of the cost), estimated 1 (1.00%, 1.04% of the cost), missing 2 (2.00%), not metered 1 (1.00%)",
        "1 requests (1.00%) used something that has no price",
        "1 records of the log (0.99% beside the requests) could not be read",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let csv = render::report(&report, Format::Csv, None).unwrap();
    let (header, row) = csv.split_once('\n').unwrap();
    let column = |name: &str| {
        let at = header.split(',').position(|column| column == name).unwrap();
        row.trim_end().split(',').nth(at).unwrap().to_owned()
    };
    assert_eq!(
        [column("coverage_missing"), column("unpriced_requests")],
        ["2", "1"]
    );
    let json: serde_json::Value =
        serde_json::from_str(&render::report(&report, Format::Json, None).unwrap()).unwrap();
    assert_eq!(
        json["totals"]["coverage"]["estimated"]["cost"]["USD"],
        "1.00"
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_read_belongs_to_the_time_of_its_batch() {
    let ledger = Ledger::start().await;
    let late = at(event(1, &[("m", MILLION)]), NOON + 20 * 24 * HOUR);
    ledger.write(0, &[late]).await;
    ledger.dead_letters_in_batch_of(0, 1, 3).await;
    let request = november("", "UTC");
    let none = ledger
        .report("m,input_text,default,,1,1,USD,", &request)
        .await;
    assert_eq!(none.unreadable_records, 0, "the batch is of December");
    // a batch of nothing but such records has no time: no report may pass them over
    ledger.dead_letters(10, 2).await;
    let two = ledger
        .report("m,input_text,default,,1,1,USD,", &request)
        .await;
    assert_eq!(two.unreadable_records, 2);
    // what may be on the bill makes its total incomplete, and no other figure
    assert!(none.totals.complete && !two.totals.complete);
    assert_eq!(
        (costs(&none.totals), costs(&two.totals)),
        (vec!["0.00 USD".to_owned()], vec![])
    );
    let csv = render::report(&two, Format::Csv, None).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let row = reader.records().next().unwrap().unwrap();
    let told = ["unreadable_records", "complete", "cost"].map(|name| &row[at(name)]);
    assert_eq!(told, ["2", "false", ""], "{csv}");
    // written a second time, as a repair does, they are the same records
    ledger
        .run("INSERT INTO audit_log (topic, offset, fate, reason) SELECT 'journal:p', 10 + number, 'dead_letter', 'not JSON' FROM numbers(2)")
        .await;
    let again = ledger
        .report("m,input_text,default,,1,1,USD,", &request)
        .await;
    assert_eq!(again.unreadable_records, 2);
}

/// Nobody knows on which side of the border it was received.
#[tokio::test]
async fn a_record_that_cannot_be_read_in_a_batch_over_a_months_end_counts_on_both_sides() {
    let ledger = Ledger::start().await;
    let days_after = |days: i64, number| {
        let noon = NOON + days * 24 * HOUR;
        at(event(number, &[("m", MILLION)]), noon)
    };
    ledger.write(0, &[days_after(6, 1), days_after(7, 2)]).await;
    ledger.dead_letters_in_batch_of(0, 2, 3).await;
    for (month, wanted) in [
        ("2026-10", 0),
        ("2026-11", 3),
        ("2026-12", 3),
        ("2027-01", 0),
    ] {
        let request = Request {
            period: Period::parse(month, period::zone("UTC").unwrap()).unwrap(),
            ..november("", "UTC")
        };
        let report = ledger
            .report("m,input_text,default,,1,1,USD,", &request)
            .await;
        assert_eq!(report.unreadable_records, wanted, "{month}");
    }
}

/// Few batches are looked at one by one, many by the stretch of the log that the period has.
#[tokio::test]
async fn few_batches_and_many_with_records_that_cannot_be_read_are_counted_alike() {
    const PRICES: &str = "m,input_text,default,,1,1,USD,";
    let ledger = Ledger::start().await;
    ledger.write(0, &[event(1, &[("m", MILLION)])]).await;
    ledger.dead_letters_in_batch_of(0, 1, 3).await;
    let december = Request {
        period: Period::parse("2026-12", period::zone("UTC").unwrap()).unwrap(),
        ..november("", "UTC")
    };
    // Its events are of before November and of after it.
    for sql in [
        "INSERT INTO audit_log (topic, offset, fate, received) VALUES \
         ('journal:r', 0, 'event', toDateTime64('2026-10-05 10:00:00', 6, 'UTC')), \
         ('journal:r', 2, 'event', toDateTime64('2026-12-05 10:00:00', 6, 'UTC'))",
        "INSERT INTO audit_log (topic, offset, fate) VALUES ('journal:r', 1, 'dead_letter')",
        "INSERT INTO cuts (topic, first, last, records, events, dead_letters) VALUES ('journal:r', 0, 2, 3, 2, 1)",
    ] {
        ledger.run(sql).await;
    }
    let mut first = 100;
    for batches in [100, 200] {
        // An event of December and a record that cannot be read each.
        let rows = format!("FROM numbers({batches})");
        let columns = "audit_log (topic, offset, fate, received)";
        for sql in [
            format!(
                "INSERT INTO {columns} SELECT 'journal:q', {first} + 2 * number, 'event', toDateTime64('2026-12-05 10:00:00', 6, 'UTC') {rows}"
            ),
            format!(
                "INSERT INTO {columns} SELECT 'journal:q', {first} + 2 * number + 1, 'dead_letter', toDateTime64(0, 6, 'UTC') {rows}"
            ),
            format!(
                "INSERT INTO cuts (topic, first, last, records, events, dead_letters) \
                 SELECT 'journal:q', {first} + 2 * number, {first} + 2 * number + 1, 2, 1, 1 {rows}"
            ),
        ] {
            ledger.run(&sql).await;
        }
        first += 2 * batches;
        let all = i128::from((first - 100) / 2);
        let of_november = ledger.report(PRICES, &november("", "UTC")).await;
        assert_eq!(of_november.unreadable_records, 3 + 1, "{batches}");
        let of_december = ledger.report(PRICES, &december).await;
        assert_eq!(of_december.unreadable_records, all + 1, "{batches}");
    }
}

#[tokio::test]
async fn a_moderation_uses_nothing_and_leaves_a_bill_complete() {
    let ledger = Ledger::start().await;
    let mut calls = [0, 1].map(|number| event(number, &[("m", MILLION)]));
    calls[1].api = Api::Moderations;
    calls[1].lines.clear();
    ledger.write(0, &calls).await;
    let report = ledger
        .report(
            "m,input_text,default,,1000000,1,USD,",
            &november("tenant", "UTC"),
        )
        .await;
    let totals = &report.totals;
    assert!(totals.complete);
    assert_eq!((totals.requests, totals.flawed_requests), (2, 0));
}

/// Its event is on the bill: the letter is closed.
#[tokio::test]
async fn a_record_that_was_mended_and_put_back_counts_no_more() {
    let ledger = Ledger::start().await;
    ledger.write(0, &calls()).await;
    ledger.dead_letters(100, 2).await;
    let unreadable = async || {
        let request = november("tenant", "UTC");
        let report = ledger
            .report("m,input_text,default,,1000000,1,USD,", &request)
            .await;
        report.unreadable_records
    };
    assert_eq!(unreadable().await, 2);
    for (reason, open) in [
        ("replay of journal:p/0/10", 2),
        ("replay of journal:p/0/101", 1),
        ("replay of journal:p/0/100", 0),
    ] {
        ledger
            .run(&format!(
                "INSERT INTO audit_log (topic, offset, fate, received, reason) \
                 SELECT 'journal:p', 200 + length(topic), 'event', received, '{reason}' FROM audit_log WHERE offset = 0"
            ))
            .await;
        assert_eq!(unreadable().await, open, "{reason}");
    }
}
