//! Without claims the records themselves say what must be there, and places say where a dead letter belongs.

use billing::completeness::{AsOf, Completeness, Report, Request, Verdict, check};
use billing::{Period, period};
use schemas::{EventId, Micros, UsageEvent};

use super::books::{BOOT, Books, DAY, LATER, NEXT_BOOT, NEXT_DAY, SECOND, record, said};
use crate::common::HOUR;

fn at(number: i64, received: i64) -> UsageEvent {
    let mut event = record(number);
    event.received_us = Micros(received + number);
    let small = u8::try_from(number).expect("small");
    event.event_id = EventId::mint(event.received_us, [small; 10]);
    event
}

fn next_day(number: i64) -> UsageEvent {
    at(number, NEXT_DAY + HOUR)
}

fn missing(report: &Report) -> Vec<String> {
    let said = said(report, Verdict::Completeness);
    let missing = said.iter().filter(|text| text.contains(": missing"));
    missing
        .filter_map(|text| text.split("number ").nth(1)?.split(':').next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_head_of_a_start_and_what_lies_between_two_days_is_missed() {
    let books = Books::open().await;
    books.events(0, &[record(3), record(4), record(6)]).await;
    books.events(4, &[next_day(9), next_day(10)]).await;
    for (day, gaps) in [
        ("2026-11-24", vec!["0-2", "5", "7-8"]),
        ("2026-11-25", vec!["7-8"]),
    ] {
        let report = books.check(day).await;
        assert_eq!(missing(&report), gaps, "{day}: {:#?}", report.findings);
        assert_eq!(report.verdicts.completeness, Completeness::Incomplete);
    }
}

fn json(event: &UsageEvent) -> Vec<u8> {
    serde_json::to_vec(event).expect("an event has a JSON form")
}

fn letter(boot: &str, number: i64) -> Vec<u8> {
    format!(r#"{{"wire":"v1","producer":"p","boot":"{boot}","producer_seq":{number}}}"#)
        .into_bytes()
}

fn places(report: &Report) -> Vec<(i64, Option<i64>)> {
    let letters = report.dead_letters.iter();
    letters
        .map(|letter| (letter.offset, letter.number))
        .collect()
}

#[tokio::test]
async fn a_dead_letter_at_the_end_or_of_a_start_without_a_readable_record_is_seen() {
    let books = Books::open().await;
    // at the tail of what can be read of its start that day; of a start of which nothing else is there; after all others
    let first = [json(&record(0)), json(&record(1)), letter(BOOT, 2)];
    books.batch(0, &first).await;
    books.batch(4, &[letter(NEXT_BOOT, 0)]).await;
    books.events(6, &[next_day(3)]).await;
    books.batch(8, &[letter(NEXT_BOOT, 1)]).await;
    for (day, wanted) in [
        ("2026-11-23", vec![]),
        ("2026-11-24", vec![(2, Some(2)), (4, None)]),
        ("2026-11-25", vec![(2, Some(2)), (4, None), (8, None)]),
        ("2026-11-26", vec![(8, None)]),
    ] {
        let report = books.check(day).await;
        assert_eq!(places(&report), wanted, "{day}");
        if !wanted.is_empty() {
            assert_eq!(
                report.verdicts.completeness,
                Completeness::Incomplete,
                "{day}"
            );
        }
    }
}

/// However many there were before: those of the period are looked for, and too many of these are a finding.
#[tokio::test]
async fn old_dead_letters_hide_no_new_one() {
    let books = Books::open().await;
    books
        .ledger
        .run(
            "INSERT INTO audit_log (topic, offset, fate, reason) \
             SELECT 'journal:p', number, 'dead_letter', 'not JSON' FROM numbers(10050)",
        )
        .await;
    books.events(20_000, &[at(0, DAY - HOUR)]).await;
    books
        .batch(20_002, &[json(&record(1)), b"{".to_vec()])
        .await;
    assert_eq!(places(&books.check("2026-11-24").await), [(20_003, None)]);
    let before = books.check("2026-11-23").await;
    assert_eq!(before.dead_letters.len(), 10_000);
    let more = "more than 10000 records could not be read; check a shorter period";
    let said = said(&before, Verdict::Completeness);
    assert!(said.contains(&more.to_owned()), "{:?}", said.last());
}

/// Any number of letters that say whose they are, and belong elsewhere, stand before one of the period.
#[tokio::test]
async fn letters_of_other_periods_hide_none_of_this_one() {
    let books = Books::open().await;
    books.quiet_day().await;
    // What follows 19 was claimed on the next day.
    for (kind, clock, last) in [
        ("heartbeat", NEXT_DAY + 62 * SECOND, 19),
        ("closed", NEXT_DAY + HOUR, 6_000),
    ] {
        let counts = (last - 2, last - 2, 0);
        let claim = books.claim(BOOT, kind, clock, Some(last), counts, (None, ""));
        claim.await;
    }
    let elsewhere = String::from_utf8(letter(BOOT, 5_000)).expect("text");
    books
        .ledger
        .run(&format!(
            "INSERT INTO audit_log (topic, offset, fate, reason, bytes) \
             SELECT 'journal:p', 200 + number, 'dead_letter', 'not an event', '{elsewhere}' FROM numbers(10050)"
        ))
        .await;
    let last = [b"{".to_vec(), json(&record(19))];
    books.batch(20_000, &last).await;
    let report = books.check("2026-11-24").await;
    assert_eq!(places(&report), [(20_000, None)]);
    assert_eq!(report.verdicts.completeness, Completeness::Incomplete);
}

/// A number that nobody claimed, or that is none, says of no period that the record is of it: its place does.
#[tokio::test]
async fn a_letter_whose_number_was_never_claimed_belongs_where_it_stands() {
    let books = Books::open().await;
    books.quiet_day().await;
    let no_number =
        format!(r#"{{"wire":"v1","producer":"p","boot":"{BOOT}","producer_seq":null}}"#);
    let letters = [
        letter(BOOT, 5_000),
        no_number.into_bytes(),
        json(&record(19)),
    ];
    books.batch(20_000, &letters).await;
    let report = books.check("2026-11-24").await;
    assert_eq!(places(&report), [(20_000, None), (20_001, None)]);
    assert_eq!(report.verdicts.completeness, Completeness::Incomplete);
    assert_eq!(places(&books.check("2026-11-23").await), []);
}

/// Of whom there is nothing, nothing is proven: the name may be misspelt.
#[tokio::test]
async fn a_producer_that_nobody_knows_is_never_complete() {
    let books = Books::open().await;
    books.quiet_day().await;
    let ask = async |producer: &str| {
        let zone = period::zone("UTC").expect("a zone");
        let request = Request {
            period: Period::parse("2026-11-24", zone).expect("a period"),
            producer: Some(producer.to_owned()),
            as_of: AsOf::At(LATER),
        };
        let report = check(&books.ledger.reader(), &request).await;
        let report = report.expect("a report");
        (report.verdicts.completeness, report.is_final)
    };
    assert_eq!(ask("p").await, (Completeness::Complete, true));
    assert_eq!(ask("q").await, (Completeness::Unproven, false));
}
