//! What a check costs.

use billing::completeness::{AsOf, Completeness, Integrity, quick};
use billing::{Period, period};
use schemas::{EventId, Micros};

use super::books::{BOOT, Books, DAY, LATER, NEXT_DAY, record, verdicts};

/// `cargo test -p billing --test ledger a_million_records -- --ignored --nocapture` prints how long a check takes.
#[tokio::test]
#[ignore = "a measurement: minutes"]
async fn a_million_records_are_checked_in_bounded_memory() {
    const RECORDS: i64 = 1_000_000;
    const BATCH: i64 = 50_000;
    let books = Books::open().await;
    for batch in 0..RECORDS / BATCH {
        let events: Vec<_> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|number| {
                let mut event = record(number);
                event.received_us = Micros(DAY + number * 80_000);
                let mut random = [0; 10];
                random[..8].copy_from_slice(&number.to_le_bytes());
                event.event_id = EventId::mint(event.received_us, random);
                event
            })
            .collect();
        books.events(batch * (BATCH + 1), &events).await;
    }
    let counts = (RECORDS, RECORDS, 0);
    books
        .claim(
            BOOT,
            "closed",
            NEXT_DAY,
            Some(RECORDS - 1),
            counts,
            (None, ""),
        )
        .await;
    let started = std::time::Instant::now();
    let report = books.check("2026-11-24").await;
    println!("{RECORDS} records checked in {:?}", started.elapsed());
    assert_eq!(
        verdicts(&report),
        (Completeness::Complete, Integrity::Intact),
        "{:#?}",
        report.findings
    );
    let zone = period::zone("UTC").expect("a zone");
    let day = Period::parse("2026-11-24", zone).expect("a day");
    let started = std::time::Instant::now();
    quick(&books.ledger.reader(), &day, AsOf::At(LATER))
        .await
        .expect("a look");
    println!("their numbers alone in {:?}", started.elapsed());
}
