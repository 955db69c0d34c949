//! What is in the log and in no figure, and what an operator gave up.

use billing::completeness::{Completeness, Integrity, State, Verdict};

use super::books::{BOOT, Books, LATER, NEXT_DAY, SECOND, record, said, verdicts};
use crate::common::{HOUR, NOON};

const THIRD_BOOT: &str = "9-00000000000000ff";

#[tokio::test]
async fn dead_letters_declared_losses_and_what_nobody_claimed_are_not_complete() {
    let books = Books::open().await;
    let mut records: Vec<Vec<u8>> = (0..4)
        .map(|number| serde_json::to_vec(&record(number)).expect("JSON"))
        .collect();
    records[2] =
        br#"{"wire":"v1","producer":"p","boot":"7-0123456789abcdef","producer_seq":2}"#.to_vec();
    books.batch(0, &records).await;
    // Without a claim nobody knows how far it came.
    let report = books.check("2026-11-24").await;
    assert_eq!(
        (report.boots[0].state, report.is_final),
        (State::Unclaimed, false)
    );
    books
        .claim(
            BOOT,
            "heartbeat",
            NOON + HOUR,
            Some(5),
            (7, 6, 1),
            (Some(NOON), ""),
        )
        .await;
    books
        .ledger
        .run(&format!(
            "INSERT INTO producer_log (producer, boot, kind, clock, synced_position, by_whom, why, exposure_missing, exposure_open, reserved_units) \
             SELECT 'p', '{BOOT}', 'declared_lost', fromUnixTimestamp64Micro(toInt64({NEXT_DAY}), 'UTC'), 15, 'ann', 'disk gone', 2, 1, \
             map('output_text', 500)"
        ))
        .await;
    books.speaks_on().await;
    let report = books.check("2026-11-24").await;
    assert!(report.is_final, "{:?}", report.held_up_by);
    let boot = &report.boots[0];
    assert_eq!((boot.found, boot.dead_letters, boot.missing), (3, 1, 2));
    let lost = boot.lost.as_ref().expect("a declared loss");
    assert_eq!((lost.by.as_str(), lost.open), ("ann", Some(1)));
    assert_eq!(lost.reserved_units.get("output_text"), Some(&500));
    let missing = said(&report, Verdict::Completeness);
    let dead = "producer p, boot 7-0123456789abcdef, number 2: a record that could not be read: not a usage event of v1";
    assert!(
        missing.iter().any(|finding| finding.starts_with(dead)),
        "{missing:#?}"
    );
    assert!(
        missing
            .iter()
            .any(|finding| finding.contains("number 4-5: missing; the start was declared lost")),
        "{missing:#?}"
    );
    assert_eq!(
        verdicts(&report),
        (Completeness::Incomplete, Integrity::Intact)
    );
}

/// What was admitted after the last sign of life nobody knows, even if all is there that was claimed.
#[tokio::test]
async fn a_declared_loss_is_never_complete() {
    let books = Books::open().await;
    let events: Vec<_> = (0..4).map(record).collect();
    books.events(0, &events).await;
    let (alive, counts) = (NOON + HOUR, (5, 4, 1));
    let claim = books.claim(BOOT, "heartbeat", alive, Some(3), counts, (Some(NOON), ""));
    claim.await;
    books
        .ledger
        .run(&format!(
            "INSERT INTO producer_log (producer, boot, kind, clock, synced_position, by_whom, why, exposure_missing, exposure_open, exposure_known_until) \
             SELECT 'p', '{BOOT}', 'declared_lost', fromUnixTimestamp64Micro(toInt64({NEXT_DAY}), 'UTC'), 13, 'ann', 'disk gone', 0, 1, \
             fromUnixTimestamp64Micro(toInt64({alive}), 'UTC')"
        ))
        .await;
    books.speaks_on().await;
    let report = books.check("2026-11-24").await;
    assert_eq!(said(&report, Verdict::Completeness), [""; 0]);
    assert!(report.is_final, "{:?}", report.held_up_by);
    assert_eq!(
        verdicts(&report),
        (Completeness::Unproven, Integrity::Intact)
    );
}

/// It comes back, goes silent, and what it wrote since may be in its journal alone.
#[tokio::test]
async fn a_start_that_is_heard_again_after_its_loss_was_declared_holds_the_days_after_up() {
    let books = Books::open().await;
    let events: Vec<_> = (0..4).map(record).collect();
    books.events(0, &events).await;
    let said = async |clock: i64, last: i64| {
        let counts = (last + 1, last + 1, 0);
        let claim = books.claim(BOOT, "heartbeat", clock, Some(last), counts, (None, ""));
        claim.await;
    };
    said(NOON, 2).await;
    books
        .ledger
        .run(&format!(
            "INSERT INTO producer_log (producer, boot, kind, clock, synced_position, by_whom, why, exposure_missing, exposure_open) \
             SELECT 'p', '{BOOT}', 'declared_lost', fromUnixTimestamp64Micro(toInt64({NOON} + 60000000), 'UTC'), 12, 'ann', 'no network', 0, 0"
        ))
        .await;
    books.speaks_on().await;
    let after = LATER + 61 * SECOND;
    let third = books.claim(THIRD_BOOT, "live", after, None, (0, 0, 0), (None, ""));
    third.await;
    let next_day = books.check_as_of("2026-11-25", LATER + HOUR).await;
    assert!(next_day.is_final, "{:?}", next_day.held_up_by);
    said(NOON + HOUR, 3).await;
    let next_day = books.check_as_of("2026-11-25", LATER + HOUR).await;
    assert!(!next_day.is_final);
    assert_eq!(next_day.held_up_by[0].boot, BOOT);
    assert_eq!(next_day.verdicts.completeness, Completeness::Unproven);
}

#[tokio::test]
async fn a_dead_letter_that_was_put_back_is_found_no_more() {
    let books = Books::open().await;
    books
        .batch(
            0,
            &[serde_json::to_vec(&record(0)).expect("JSON"), b"{".to_vec()],
        )
        .await;
    books.speaks_on().await;
    let letters = books.check("2026-11-24").await.dead_letters;
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}");
    };
    let place = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
    books
        .ledger
        .run(&format!(
            "INSERT INTO audit_log (topic, offset, fate, received, reason) \
             SELECT topic, 9, 'event', received, 'replay of {place}' FROM audit_log WHERE offset = 0"
        ))
        .await;
    let letters = books.check("2026-11-24").await.dead_letters;
    assert!(letters.is_empty(), "{letters:?}");
}
