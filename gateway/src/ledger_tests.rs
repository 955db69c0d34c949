//! The book of one start: what a reader of the journal can rely on.

use std::sync::Arc;

use journal::{Item, Journal, Options, RealLayer};
use prometheus_client::registry::Registry;
use schemas::RecordKind;

use super::*;
use crate::conclude::tests::open_event;

#[tokio::test]
async fn whoever_reads_the_journal_meets_a_cut_after_2048_records_at_the_most() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("journal"));
    let (journal, _) = Journal::open(options, Arc::new(RealLayer)).unwrap();
    let boot = Boot {
        counter: 1,
        nonce: [7; 8],
    };
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    let ledger = Ledger::new(journal.clone(), Text::cut("gw"), boot, metrics);
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
