//! Kills and midnights: which numbers belong to which day, and what they must add up to.

use billing::completeness::{AsOf, Completeness, Integrity, Request, State, Verdict, check};
use billing::{Period, period};
use schemas::{EventId, Micros, Outcome};

use super::books::{
    BOOT, Books, DAY, LATER, NEXT_BOOT, NEXT_DAY, SECOND, of_boot, record, said, verdicts,
};
use crate::common::{HOUR, NOON, text};

/// A start that was killed with three requests running, of which the next one closed two before it was killed itself.
async fn two_kills() -> Books {
    let books = Books::open().await;
    let died = |number: i64, boot: &str| {
        let mut event = of_boot(record(number), boot);
        event.received_us = Micros(NOON + number * SECOND);
        event.event_id = EventId::mint(event.received_us, [9; 10]);
        event.outcome = Outcome::Unknown;
        event.outcome_detail = Some(text("gateway_died"));
        event
    };
    let before: Vec<_> = (0..5).map(record).collect();
    books.events(0, &before).await;
    let mut after = vec![died(0, NEXT_BOOT), died(1, NEXT_BOOT)];
    let mut next_day = of_boot(record(2), NEXT_BOOT);
    next_day.received_us = Micros(NEXT_DAY + 9 * HOUR);
    after.push(next_day);
    books.events(6, &after).await;
    // Its last two records came after its last sign of life; the next start found them in the journal.
    let opened = NEXT_DAY + 8 * HOUR;
    let (alive, ended) = (NOON + 200 * SECOND, opened + 2 * HOUR);
    for (boot, kind, clock, seq, counts, oldest, by) in [
        (BOOT, "heartbeat", alive, 2, (6, 3, 3), Some(NOON), ""),
        (BOOT, "closed", opened, 4, (7, 5, 2), None, NEXT_BOOT),
        (NEXT_BOOT, "live", opened + 1, 1, (0, 0, 0), None, ""),
        (NEXT_BOOT, "closed", ended, 2, (1, 1, 0), None, ""),
    ] {
        let claim = books.claim(boot, kind, clock, Some(seq), counts, (oldest, by));
        claim.await;
    }
    books
}

#[tokio::test]
async fn after_a_kill_the_equation_holds_and_what_was_open_belongs_to_the_day_of_the_kill() {
    let books = two_kills().await;
    let report = books.check("2026-11-24").await;
    assert_eq!(
        verdicts(&report),
        (Completeness::Complete, Integrity::Intact),
        "{:#?}",
        report.findings
    );
    let [dead, heir] = report.boots.as_slice() else {
        panic!("{:#?}", report.boots)
    };
    assert_eq!((dead.state, dead.balanced), (State::Recovered, Some(true)));
    assert_eq!(
        (dead.admitted, dead.settled, dead.unknown, dead.open),
        (Some(7), Some(5), Some(2), Some(0))
    );
    let numbers = heir.numbers.map(|range| range.to_string());
    assert_eq!((numbers.as_deref(), heir.found), (Some("0-1"), 2));
    // A request that was left open, and whose record is gone, is missed on the day on which it was received.
    books.keep().await;
    books
        .change("DELETE FROM audit_log WHERE boot = '8-00000000000000ff' AND producer_seq = 1")
        .await;
    books
        .change("DELETE FROM usage_events WHERE boot = '8-00000000000000ff' AND producer_seq = 1")
        .await;
    let missing = said(&books.check("2026-11-24").await, Verdict::Completeness);
    assert!(
        missing.contains(&"producer p, boot 8-00000000000000ff, number 1: missing, up to the last number that was claimed".to_owned()),
        "{missing:#?}"
    );
    books.restore().await;
    // One request more was let in than the records account for.
    books
        .change(
            "ALTER TABLE producer_log UPDATE admitted = 8 WHERE kind = 'closed' AND admitted = 7",
        )
        .await;
    let report = books.check("2026-11-24").await;
    assert_eq!(report.verdicts.completeness, Completeness::Incomplete);
    assert_eq!(report.boots[0].balanced, Some(false));
}

/// A start that runs over two midnights: each day has the numbers between its claims, and no number is in none.
async fn three_days() -> Books {
    let books = Books::open().await;
    let at = |number: i64, received: i64| {
        let mut event = record(number);
        event.received_us = Micros(received);
        event
    };
    // Received before midnight and closed after it, behind one of the next day.
    let events = [
        at(0, DAY + HOUR),
        at(1, NEXT_DAY + 10 * SECOND),
        at(2, NEXT_DAY - SECOND),
        at(3, NEXT_DAY + HOUR),
        at(4, NEXT_DAY + 30 * HOUR),
    ];
    books.events(0, &events[..4]).await;
    books.events(5, &events[4..]).await;
    let running = Some(NEXT_DAY - SECOND);
    for (clock, seq, counts, oldest) in [
        (NEXT_DAY - SECOND / 2, 0, (2, 1, 1), running),
        (NEXT_DAY + SECOND / 2, 0, (2, 1, 1), running),
        (NEXT_DAY + 11 * SECOND, 1, (3, 2, 1), running),
        (NEXT_DAY + 80 * SECOND, 1, (3, 2, 1), running),
        (NEXT_DAY + 90 * SECOND, 2, (3, 3, 0), None),
        (NEXT_DAY + 2 * HOUR, 3, (4, 4, 0), None),
        (NEXT_DAY + 31 * HOUR, 4, (5, 5, 0), None),
    ] {
        books
            .claim(BOOT, "heartbeat", clock, Some(seq), counts, (oldest, ""))
            .await;
    }
    books
}

async fn numbers(books: &Books, day: &str) -> (Vec<Option<String>>, Completeness) {
    let report = books.check(day).await;
    let numbers = report.boots.iter().map(|boot| boot.numbers);
    let shown = numbers.map(|range| range.map(|range| range.to_string()));
    (shown.collect(), report.verdicts.completeness)
}

#[tokio::test]
async fn a_start_that_spans_days_is_held_to_each_days_claims() {
    let books = three_days().await;
    let some = |text: &str| vec![Some(text.to_owned())];
    assert_eq!(
        numbers(&books, "2026-11-24").await,
        (some("0-2"), Completeness::Complete)
    );
    assert_eq!(
        numbers(&books, "2026-11-25").await,
        (some("1-4"), Completeness::Complete)
    );
    // The last day is not over yet; it has heard of the start within the minute.
    let zone = period::zone("UTC").expect("a zone");
    let request = Request {
        period: Period::parse("2026-11-26", zone).expect("a day"),
        producer: None,
        as_of: AsOf::NewestClaim,
    };
    let report = check(&books.ledger.reader(), &request)
        .await
        .expect("a check");
    assert_eq!(
        (report.verdicts.completeness, report.is_final),
        (Completeness::Complete, false)
    );
    // When it is over, the start has not claimed past its end.
    let report = books.check_as_of("2026-11-26", LATER + 24 * HOUR).await;
    assert_eq!(
        (report.verdicts.completeness, report.is_final),
        (Completeness::Unproven, false)
    );
    assert_eq!(report.held_up_by.len(), 1);
}

#[tokio::test]
async fn the_first_number_of_a_start_is_under_way_for_a_minute() {
    let books = Books::open().await;
    let began = DAY + HOUR;
    let live = books.claim(BOOT, "live", began, None, (0, 0, 0), (None, ""));
    live.await;
    let said = began + 10 * SECOND;
    let running = Some(began + 9 * SECOND);
    let beat = books.claim(BOOT, "heartbeat", said, Some(0), (2, 1, 1), (running, ""));
    beat.await;
    for (later, missing) in [(20, 0), (50, 0), (90, 1)] {
        let report = books
            .check_as_of("2026-11-24", began + later * SECOND)
            .await;
        let lacks: i64 = report.boots.iter().map(|boot| boot.missing).sum();
        assert_eq!(lacks, missing, "{later} s: {report:#?}");
    }
}

#[tokio::test]
async fn a_number_missing_at_midnight_is_missed_on_both_days_and_another_on_its_own() {
    let books = three_days().await;
    books.keep().await;
    // What is missing between the two claims may belong to either day and is missed in both.
    books
        .change("DELETE FROM audit_log WHERE producer_seq = 2")
        .await;
    books
        .change("DELETE FROM usage_events WHERE producer_seq = 2")
        .await;
    for day in ["2026-11-24", "2026-11-25"] {
        let missing = said(&books.check(day).await, Verdict::Completeness);
        assert!(
            missing
                .iter()
                .any(|finding| finding.contains("number 2: missing")),
            "{day}: {missing:#?}"
        );
    }
    books.restore().await;
    books
        .change("DELETE FROM audit_log WHERE producer_seq = 4")
        .await;
    books
        .change("DELETE FROM usage_events WHERE producer_seq = 4")
        .await;
    assert_eq!(
        numbers(&books, "2026-11-24").await.1,
        Completeness::Complete
    );
}

/// Without a claim nothing is complete, nothing is final, and nothing is excused as still under way.
#[tokio::test]
async fn what_no_gateway_speaks_of_is_never_complete_and_hides_nothing() {
    let books = Books::open().await;
    let zone = period::zone("UTC").expect("a zone");
    let look = async |day: &str| {
        let request = Request {
            period: Period::parse(day, zone).expect("a day"),
            producer: None,
            as_of: AsOf::NewestClaim,
        };
        let report = check(&books.ledger.reader(), &request).await;
        report.expect("a check")
    };
    let empty = look("2026-11-24").await;
    assert_eq!(
        (empty.verdicts.completeness, empty.is_final),
        (Completeness::Unproven, false)
    );
    let events: Vec<_> = (0..4).map(record).collect();
    books.events(0, &events).await;
    books.keep().await;
    assert_eq!(
        verdicts(&look("2026-11-24").await),
        (Completeness::Unproven, Integrity::Intact)
    );
    for spoil in [
        // A charge without a record of the log.
        "DELETE FROM audit_log WHERE producer_seq = 3",
        "DELETE FROM cuts WHERE 1",
    ] {
        books.change(spoil).await;
        let report = look("2026-11-24").await;
        assert_ne!(report.verdicts.integrity, Integrity::Intact, "{spoil}");
        assert_ne!(
            report.verdicts.completeness,
            Completeness::Complete,
            "{spoil}"
        );
        assert!(!report.is_final, "{spoil}");
        books.restore().await;
    }
}
