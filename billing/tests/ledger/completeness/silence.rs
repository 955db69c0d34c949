//! Starts of which nobody has heard: a period is not final where there may have been one.

use billing::completeness::Completeness;

use super::books::{BOOT, Books, DAY, LATER, NEXT_BOOT, NEXT_DAY, SECOND};
use crate::common::{HOUR, NOON};

async fn finality(books: &Books) -> (Completeness, bool, Vec<String>) {
    let report = books.check("2026-11-24").await;
    let why = report.held_up_by.into_iter().map(|held| held.why);
    (report.verdicts.completeness, report.is_final, why.collect())
}

/// The first start closed in order, another serves on, and the consumer has stopped: of the other there is nothing yet.
#[tokio::test]
async fn a_day_is_not_final_before_anybody_has_spoken_after_it() {
    let books = Books::open().await;
    books.quiet_day_and_silence().await;
    let (completeness, is_final, why) = finality(&books).await;
    assert_eq!((completeness, is_final), (Completeness::Unproven, false));
    assert!(
        why.len() == 1 && why[0].contains("claimed anything since"),
        "{why:?}"
    );
    books.speaks_on().await;
    let known = (Completeness::Complete, true, Vec::new());
    assert_eq!(finality(&books).await, known);
}

/// A producer counts its starts: one that is not known may have lived in between.
#[tokio::test]
async fn a_day_is_not_final_where_a_start_is_not_known() {
    let books = Books::open().await;
    books.quiet_day_and_silence().await;
    let claim = async |boot: &str, kind: &str, clock: i64| {
        let claim = books.claim(boot, kind, clock, None, (0, 0, 0), (None, ""));
        claim.await;
    };
    let ninth = "9-00000000000000ff";
    claim(ninth, "live", NEXT_DAY + 61 * SECOND).await;
    claim(ninth, "closed", LATER - 30 * SECOND).await;
    let (completeness, is_final, why) = finality(&books).await;
    assert_eq!((completeness, is_final), (Completeness::Unproven, false));
    assert!(
        why.len() == 1 && why[0].contains("its start 8 is not known"),
        "{why:?}"
    );
    claim(NEXT_BOOT, "live", NOON + 2 * HOUR).await;
    claim(NEXT_BOOT, "closed", NOON + 3 * HOUR).await;
    let known = (Completeness::Complete, true, Vec::new());
    assert_eq!(finality(&books).await, known);
}

/// A producer counts from 1: what it counted before the first start that is known may have lived since the store heard of anybody.
#[tokio::test]
async fn starts_before_the_first_that_is_known_are_named_as_far_as_the_store_reaches() {
    let books = Books::open().await;
    let claim = async |boot: &str, kind: &str, clock: i64| {
        let claim = books.claim(boot, kind, clock, None, (0, 0, 0), (None, ""));
        claim.await;
    };
    claim(BOOT, "live", NOON).await;
    claim(BOOT, "closed", NOON + HOUR).await;
    books.speaks_on().await;
    // Nobody spoke before: starts 1 to 6 may be older than the store.
    let known = (Completeness::Complete, true, Vec::new());
    assert_eq!(finality(&books).await, known);
    for (kind, clock) in [("registered", DAY - HOUR), ("closed", NOON)] {
        let said = format!(
            "INSERT INTO producer_log (producer, boot, kind, clock, admitted, settled, open, synced_position) \
             SELECT 'o', '1-0123456789abcdef', '{kind}', fromUnixTimestamp64Micro(toInt64({clock}), 'UTC'), 0, 0, 0, 1"
        );
        books.ledger.run(&said).await;
    }
    let (completeness, is_final, why) = finality(&books).await;
    assert_eq!((completeness, is_final), (Completeness::Unproven, false));
    assert!(
        why.len() == 1 && why[0].contains("its starts 1 to 6 are not known: the first"),
        "{why:?}"
    );
}

/// It may have lived for the whole of a day of which its producer says nothing.
#[tokio::test]
async fn a_day_on_which_only_an_unknown_start_can_have_lived_is_not_final() {
    let books = Books::open().await;
    let claim = async |boot: &str, kind: &str, clock: i64| {
        let claim = books.claim(boot, kind, clock, None, (0, 0, 0), (None, ""));
        claim.await;
    };
    claim(BOOT, "live", DAY - 2 * HOUR).await;
    claim(BOOT, "closed", DAY - HOUR).await;
    let ninth = "9-00000000000000ff";
    claim(ninth, "live", NEXT_DAY + HOUR).await;
    claim(ninth, "closed", LATER - 30 * SECOND).await;
    let (completeness, is_final, why) = finality(&books).await;
    assert_eq!((completeness, is_final), (Completeness::Unproven, false));
    assert!(
        why.len() == 1 && why[0].contains("its start 8 is not known"),
        "{why:?}"
    );
    claim(NEXT_BOOT, "live", DAY - HOUR / 2).await;
    claim(NEXT_BOOT, "closed", DAY - HOUR / 4).await;
    let known = (Completeness::Complete, true, Vec::new());
    assert_eq!(finality(&books).await, known);
}

/// Steps of lives that an older draft wrote count no requests: there is nothing to hold the records against, and that is no fault.
#[tokio::test]
async fn a_start_that_does_not_say_how_many_requests_it_let_in_is_held_to_its_numbers() {
    let books = Books::open().await;
    books.quiet_day().await;
    books
        .change("ALTER TABLE producer_log UPDATE admitted = NULL, settled = NULL, open = NULL WHERE kind != 'heartbeat'")
        .await;
    let report = books.check("2026-11-24").await;
    assert_eq!(report.verdicts.completeness, Completeness::Complete);
    let boot = &report.boots[0];
    assert_eq!((boot.found, boot.missing), (20, 0));
    let told = (boot.admitted, boot.settled, boot.open, boot.balanced);
    assert_eq!(told, (None, None, None, None));
}
