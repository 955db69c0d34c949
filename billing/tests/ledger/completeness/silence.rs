//! Starts of which nobody has heard: a period is not final where there may have been one.

use billing::completeness::Completeness;

use super::books::{Books, LATER, NEXT_BOOT, NEXT_DAY, SECOND};
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
