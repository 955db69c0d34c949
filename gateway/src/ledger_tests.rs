//! The book of one start: what a reader of the journal can rely on.

use std::sync::Arc;

use journal::{Item, Journal, Options, RealLayer};
use prometheus_client::registry::Registry;
use schemas::{Decoded, Outcome, RecordKind};

use super::*;
use crate::conclude::tests::{admission, open_event};
use crate::unsettled::tests::records;

/// A book over a journal in a folder.
fn book() -> (tempfile::TempDir, Journal, Arc<Ledger>) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("journal"));
    let (journal, _) = Journal::open(options, Arc::new(RealLayer)).unwrap();
    let boot = Boot {
        counter: 1,
        nonce: [7; 8],
    };
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    let ledger = Ledger::new(journal.clone(), Text::cut("gw"), boot, metrics);
    (folder, journal, Arc::new(ledger))
}

#[tokio::test]
async fn whoever_reads_the_journal_meets_a_cut_after_2048_records_at_the_most() {
    let (_folder, journal, ledger) = book();
    for number in 0..5_000 {
        let written = if number % 3 == 0 {
            ledger.refuse(open_event())
        } else {
            ledger.record(open_event())
        };
        written.unwrap();
    }
    journal.sync_now().await.unwrap();
    let mut reader = journal.reader(0);
    let (mut since, mut cuts) = (0, 0);
    while let Some(item) = reader.read().unwrap() {
        let Item::Frame(frame) = item else {
            panic!("an undamaged journal");
        };
        match RecordKind::from_byte(frame.kind) {
            Some(RecordKind::Usage) => since += 1,
            Some(RecordKind::Cut) => {
                assert_eq!(since, 2_048);
                (since, cuts) = (0, cuts + 1);
            }
            _ => {}
        }
    }
    assert_eq!((cuts, since), (2, 5_000 - 2 * 2_048));
}

#[tokio::test]
async fn a_request_that_is_dropped_without_an_outcome_is_recorded_as_unknown() {
    let (_folder, _journal, ledger) = book();
    let (open, _ticket) = ledger.admit(admission()).unwrap();
    assert_eq!(ledger.metrics().open_requests.get(), 1);
    drop(open);
    let closed: Vec<UsageEvent> = records(&ledger, RecordKind::Usage).await;
    let [record] = &closed[..] else {
        panic!("one record: {closed:?}");
    };
    let detail = record.outcome_detail.as_ref().map(Text::as_str);
    assert_eq!(
        (record.outcome, detail, record.event_id),
        (
            Outcome::Unknown,
            Some("dropped_without_outcome"),
            admission().event_id
        )
    );
    let metrics = ledger.metrics();
    assert_eq!(metrics.dropped_without_outcome.get(), 1);
    assert_eq!(metrics.open_requests.get(), 0);
}

#[tokio::test]
async fn numbers_and_places_go_on_whatever_the_clock_does() {
    let (_folder, journal, ledger) = book();
    let times = [9_000_000, 5_000_000, 7_000_000, 0, 8_000_000].map(Micros);
    for time in times {
        let event = UsageEvent {
            received_us: time,
            admitted_us: time,
            completed_us: Micros(time.0 / 2),
            ..open_event()
        };
        ledger.record(event).unwrap();
        ledger.beat(time).unwrap();
    }
    journal.sync_now().await.unwrap();
    let mut reader = journal.reader(0);
    let mut read = Vec::new();
    while let Some(item) = reader.read().unwrap() {
        let Item::Frame(frame) = item else {
            panic!("an undamaged journal");
        };
        if frame.kind != RecordKind::Usage as u8 {
            continue;
        }
        let Decoded::Event(event) = schemas::decode(RecordKind::Usage, &frame.payload) else {
            panic!("every record can be read");
        };
        read.push((event.producer_seq, event.received_us));
    }
    let written: Vec<_> = (0..).zip(times).collect();
    assert_eq!(read, written);
    let last: Vec<Heartbeat> = records(&ledger, RecordKind::Heartbeat).await;
    let claims: Vec<_> = last.iter().map(|beat| beat.last_producer_seq).collect();
    assert_eq!(claims, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
}
