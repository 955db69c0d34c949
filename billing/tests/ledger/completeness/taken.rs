//! Whatever is taken away or changed, the right verdict names it.

use billing::completeness::{AsOf, Completeness, Integrity, State, Verdict, quick};
use billing::{Period, period};
use schemas::EventId;

use super::books::{Books, LATER, record, said, verdicts};

#[tokio::test]
async fn a_quiet_day_is_complete_and_intact_and_its_copies_collapse() {
    let books = Books::open().await;
    books.quiet_day().await;
    let again: Vec<_> = [5, 6].map(record).to_vec();
    books.events(122, &again).await;
    let report = books.check("2026-11-24").await;
    assert_eq!(said(&report, Verdict::Completeness), [""; 0]);
    assert_eq!(said(&report, Verdict::Integrity), [""; 0]);
    assert_eq!(
        verdicts(&report),
        (Completeness::Complete, Integrity::Intact)
    );
    assert!(report.is_final);
    let [boot] = report.boots.as_slice() else {
        panic!("{:?}", report.boots)
    };
    assert_eq!(
        (boot.claimed, boot.found, boot.copies, boot.missing),
        (20, 20, 2, 0)
    );
    assert_eq!(
        (boot.refused, boot.admitted, boot.settled),
        (3, Some(17), Some(17))
    );
    assert_eq!((boot.state, boot.balanced), (State::Closed, Some(true)));
    let [partition] = report.partitions.as_slice() else {
        panic!("{:?}", report.partitions)
    };
    assert_eq!(
        (partition.cuts, partition.leaves, report.events),
        (3, 22, 20)
    );
    // The day before and after have nothing of it.
    for day in ["2026-11-23", "2026-11-26"] {
        let report = books.check(day).await;
        assert_eq!(
            verdicts(&report),
            (Completeness::Complete, Integrity::Intact)
        );
        assert_eq!(report.events, 0);
    }
}

/// The claims are what everything else is held to: without them nothing passes for complete.
#[tokio::test]
async fn nothing_is_complete_without_the_claims_that_it_stands_on() {
    let books = Books::open().await;
    books.quiet_day().await;
    books.keep().await;
    let of_boot = "boot = '7-0123456789abcdef'";
    for taken in [
        format!("DELETE FROM producer_log WHERE {of_boot} AND kind IN ('closed', 'heartbeat')"),
        format!("DELETE FROM producer_log WHERE {of_boot}"),
        "DELETE FROM producer_log WHERE producer = 'p'".to_owned(),
    ] {
        books.change(&taken).await;
        let report = books.check("2026-11-24").await;
        assert_eq!(
            verdicts(&report),
            (Completeness::Unproven, Integrity::Intact),
            "{taken}"
        );
        assert!(!report.is_final, "{taken}");
        books.restore().await;
    }
    let report = books.check("2026-11-24").await;
    assert_eq!(report.verdicts.completeness, Completeness::Complete);
}

#[tokio::test]
async fn a_record_taken_from_anywhere_is_named() {
    let books = Books::open().await;
    books.quiet_day().await;
    books.keep().await;
    let number_15 = "producer p, boot 7-0123456789abcdef, number 15: ";
    let taken = [
        (
            &["DELETE FROM audit_log WHERE producer_seq = 15", "DELETE FROM usage_events WHERE producer_seq = 15"][..],
            format!("{number_15}missing"),
            Integrity::Unproven,
        ),
        (
            &["DELETE FROM audit_log WHERE producer_seq = 15"],
            format!("{number_15}its row is in usage_events, and no record of audit_log gives it"),
            Integrity::Unproven,
        ),
        (
            &["DELETE FROM usage_events WHERE producer_seq = 15"],
            format!("{number_15}its record is in audit_log, its row is not in usage_events"),
            Integrity::Intact,
        ),
        (
            &["DELETE FROM cuts WHERE first = 113"],
            "producer p, boot 7-0123456789abcdef, number 12-19: no row of cuts covers these places (place 113-120 of journal:p/0)"
                .to_owned(),
            Integrity::Unproven,
        ),
        (
            &[
                "DELETE FROM audit_log WHERE offset >= 113",
                "DELETE FROM usage_events WHERE offset >= 113",
                "DELETE FROM cuts WHERE first >= 113",
            ],
            "producer p, boot 7-0123456789abcdef, number 12-19: missing, up to the last number that was claimed".to_owned(),
            Integrity::Intact,
        ),
    ];
    for (statements, finding, integrity) in taken {
        for statement in statements {
            books.change(statement).await;
        }
        let report = books.check("2026-11-24").await;
        let missing = said(&report, Verdict::Completeness);
        assert!(missing.contains(&finding), "{statements:?}: {missing:#?}");
        assert_eq!(
            verdicts(&report),
            (Completeness::Incomplete, integrity),
            "{statements:?}: {:#?}",
            report.findings
        );
        let zone = period::zone("UTC").expect("a zone");
        let day = Period::parse("2026-11-24", zone).expect("a day");
        let looked = quick(&books.ledger.reader(), &day, AsOf::At(LATER))
            .await
            .expect("a look");
        let in_numbers = finding.contains("missing") || finding.contains("not in usage_events");
        assert_eq!(
            looked.missing > 0,
            in_numbers || statements.len() == 1 && statements[0].contains("audit_log"),
            "{statements:?}: {looked:?}"
        );
        books.restore().await;
    }
    let report = books.check("2026-11-24").await;
    assert_eq!(
        verdicts(&report),
        (Completeness::Complete, Integrity::Intact)
    );
}

#[tokio::test]
async fn a_changed_byte_or_column_is_named_and_nothing_is_missing() {
    let books = Books::open().await;
    books.quiet_day().await;
    books.keep().await;
    let number_15 = "producer p, boot 7-0123456789abcdef, number 15: ";
    let edits = [
        (
            "ALTER TABLE audit_log UPDATE bytes = replaceOne(bytes, '\"input_text\":12', '\"input_text\":11') WHERE producer_seq = 15",
            format!("{number_15}its bytes in audit_log do not have the leaf hash that is kept beside them (place 116 of journal:p/0)"),
        ),
        (
            "ALTER TABLE audit_log UPDATE tenant = 'other' WHERE producer_seq = 15",
            format!("{number_15}its columns in audit_log are not what its bytes give (place 116 of journal:p/0)"),
        ),
        (
            "ALTER TABLE usage_events UPDATE input_text = 11 WHERE producer_seq = 15",
            format!("{number_15}its row in usage_events is not what its bytes in audit_log give"),
        ),
        (
            "ALTER TABLE usage_events UPDATE rated_1 = 11 WHERE producer_seq = 15",
            format!("{number_15}its row in usage_events is not what its bytes in audit_log give"),
        ),
        (
            // Beside a row as an older version wrote it.
            "ALTER TABLE usage_events UPDATE rated_1 = 11, rated_as = if(producer_seq = 15, rated_as, '') WHERE producer_seq IN (15, 16)",
            format!("{number_15}its row in usage_events is not what its bytes in audit_log give"),
        ),
        (
            "ALTER TABLE usage_events UPDATE labels = map('team', 'x') WHERE producer_seq = 15",
            format!("{number_15}its row in usage_events is not what its bytes in audit_log give"),
        ),
        (
            "ALTER TABLE cuts UPDATE digest = unhex(repeat('ab', 32)) WHERE first = 113",
            "the records of a batch do not have the digest of its cut (place 113-121 of journal:p/0)".to_owned(),
        ),
        (
            "ALTER TABLE cuts UPDATE events = 7 WHERE first = 113",
            "audit_log counts other events or dead letters than the cut (place 113-121 of journal:p/0)".to_owned(),
        ),
    ];
    for (change, finding) in edits {
        books.change(change).await;
        let report = books.check("2026-11-24").await;
        let findings = said(&report, Verdict::Integrity);
        assert!(findings.contains(&finding), "{change}: {findings:#?}");
        assert_eq!(
            verdicts(&report),
            (Completeness::Complete, Integrity::Changed),
            "{change}: {:#?}",
            report.findings
        );
        books.restore().await;
    }
}

/// Versions that did not rate left rows without what they are rated by. Whether these are some or all, they are no change.
#[tokio::test]
async fn rows_that_an_older_version_wrote_are_no_change() {
    const UNRATED: &str = "rated_as = '', rated_input = 0, rated_1 = 0, rated_2 = 0";
    let books = Books::open().await;
    books.quiet_day().await;
    for which in ["producer_seq = 15", "producer_seq % 3 = 0", "1"] {
        let change = format!("ALTER TABLE usage_events UPDATE {UNRATED} WHERE {which}");
        books.change(&change).await;
        let report = books.check("2026-11-24").await;
        let expected = (Completeness::Complete, Integrity::Intact);
        assert_eq!(
            verdicts(&report),
            expected,
            "{which}: {:#?}",
            report.findings
        );
    }
}

/// While two versions write side by side, more parts of an hour have rows of both than are looked at of others.
#[tokio::test]
async fn rows_of_two_versions_side_by_side_are_no_change_and_hide_none() {
    let books = Books::open().await;
    let of_three = |number: i64| {
        let mut event = record(number / 3 * 3);
        event.event_id = EventId::mint(
            event.received_us,
            [u8::try_from(number % 3).expect("small"); 10],
        );
        event.producer_seq = number;
        event
    };
    let events: Vec<_> = (0..300).map(of_three).collect();
    books.events(0, &events).await;
    let unrated = "rated_as = '', rated_input = 0, rated_1 = 0, rated_2 = 0";
    let change = format!("ALTER TABLE usage_events UPDATE {unrated} WHERE producer_seq % 3 = 1");
    books.change(&change).await;
    let integrity = async || {
        let report = books.check("2026-11-24").await;
        (report.verdicts.integrity, said(&report, Verdict::Integrity))
    };
    assert_eq!(integrity().await, (Integrity::Intact, Vec::new()));
    books
        .change("ALTER TABLE usage_events UPDATE rated_2 = 1 WHERE producer_seq = 299")
        .await;
    let finding = "producer p, boot 7-0123456789abcdef, number 299: its row in usage_events is not what its bytes in audit_log give";
    assert_eq!(
        integrity().await,
        (Integrity::Changed, vec![finding.to_owned()])
    );
}

/// Rows are kept by tenant, hour and event: another tenant's row of the same event stands beside the real one, before it or after.
#[tokio::test]
async fn a_row_that_was_added_is_named_wherever_it_is_sorted() {
    let books = Books::open().await;
    books.quiet_day().await;
    books.keep().await;
    for tenant in ["aaa", "zzz"] {
        for number in [0, 15] {
            books
                .change(&format!(
                    "INSERT INTO usage_events SELECT * REPLACE('{tenant}' AS tenant, 'x' AS boot) FROM usage_events FINAL WHERE producer_seq = {number}"
                ))
                .await;
            let report = books.check("2026-11-24").await;
            let finding = format!(
                "producer p, boot x, number {number}: another row of its event is in usage_events beside the one that its record gives"
            );
            assert_eq!(said(&report, Verdict::Integrity), [finding], "{tenant}");
            assert_eq!(
                verdicts(&report),
                (Completeness::Complete, Integrity::Changed)
            );
            books.restore().await;
        }
    }
}

#[tokio::test]
async fn whoever_changes_the_leaf_as_well_meets_the_digest_of_the_cut() {
    let books = Books::open().await;
    books.quiet_day().await;
    let leaf = "leaf = SHA256(concat(char(0), bytes))";
    books
        .change("ALTER TABLE audit_log UPDATE bytes = replaceOne(bytes, '\"input_text\":12', '\"input_text\":11') WHERE producer_seq = 15")
        .await;
    books
        .change(&format!(
            "ALTER TABLE audit_log UPDATE {leaf} WHERE producer_seq = 15"
        ))
        .await;
    let findings = said(&books.check("2026-11-24").await, Verdict::Integrity);
    let digest =
        "the records of a batch do not have the digest of its cut (place 113-121 of journal:p/0)";
    assert!(findings.contains(&digest.to_owned()), "{findings:#?}");
}

#[tokio::test]
async fn two_records_under_one_number_are_a_change_and_no_copy() {
    let books = Books::open().await;
    books.quiet_day().await;
    let mut other = record(15);
    other.status = Some(201);
    books.events(122, &[other]).await;
    let report = books.check("2026-11-24").await;
    let findings = said(&report, Verdict::Integrity);
    let finding =
        "producer p, boot 7-0123456789abcdef, number 15: different records have this number";
    assert!(findings.contains(&finding.to_owned()), "{findings:#?}");
    assert_eq!(report.verdicts.integrity, Integrity::Changed);
}
