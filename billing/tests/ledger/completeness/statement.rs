//! A day's statement over the real engine.

use billing::statement::{BadStatement, Document, SigningKey, Subject};
use schemas::Micros;

use super::books::{Books, NEXT_BOOT, NEXT_DAY, record};
use crate::common::HOUR;

#[tokio::test]
async fn a_days_statement_is_the_same_bytes_until_something_comes_late() {
    let books = Books::open().await;
    books.quiet_day().await;
    books.keep().await;
    books
        .change("DELETE FROM audit_log WHERE offset >= 113")
        .await;
    books
        .change("DELETE FROM usage_events WHERE offset >= 113")
        .await;
    books.change("DELETE FROM cuts WHERE first >= 113").await;
    let key = SigningKey::generate("example.com/tollgate").expect("a key");
    let state = async |corrects: Option<&str>| {
        let report = books.check("2026-11-24").await;
        let subject = Subject {
            issued: "2026-11-26T00:00:00Z".to_owned(),
            corrects: corrects.map(|note| note.as_bytes().to_vec()),
        };
        Document::new(&report, &subject, key.public())?.sign(&key)
    };
    let first = state(None).await.expect("a statement");
    assert_eq!(state(None).await.as_ref(), Ok(&first));
    assert_eq!(
        state(Some(&first)).await,
        Err(BadStatement::NothingToCorrect)
    );
    books.restore().await;
    let second = state(Some(&first)).await.expect("a correction");
    let open = |note: &str| Document::open(note.as_bytes(), key.public()).expect("signed");
    let (first, second) = (open(&first), open(&second));
    assert_eq!(
        (first.text("completeness"), first.total("missing")),
        ("incomplete".to_owned(), Some(8))
    );
    assert_eq!(
        (second.text("completeness"), second.total("missing")),
        ("complete".to_owned(), Some(0))
    );
    assert_eq!(second.text("corrects").len(), 64);
    // What happens later in the life of the store does not change the day.
    let today = state(None).await.expect("a statement");
    let mut later = record(0);
    later.received_us = Micros(NEXT_DAY + HOUR);
    later.boot = NEXT_BOOT.parse().expect("a boot");
    books.events(122, &[later]).await;
    books
        .claim(
            NEXT_BOOT,
            "heartbeat",
            NEXT_DAY + 2 * HOUR,
            Some(0),
            (1, 1, 0),
            (None, ""),
        )
        .await;
    assert_eq!(state(None).await, Ok(today));
}
