//! What becomes of outcomes that the disk refused: at the next beat, at a stop, past the cap, in a poisoned journal and after a kill.

use std::path::Path;
use std::sync::Arc;

use journal::cursor::Cursor;
use journal::testing::{Effect, FaultLayer, Operation};
use journal::{Item, Journal, Options, RealLayer};
use prometheus_client::registry::Registry;
use schemas::name::Text;
use schemas::{Admission, Boot, Clock, Micros, Outcome, RecordKind};

use super::*;
use crate::conclude::tests::admission;
use crate::ledger::OpenRequest;
use crate::metrics::Metrics;
use crate::recovery::close_orphans;

const EIO: i32 = 5;

/// It is always this time.
pub(crate) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Micros {
        Micros(9_000_000)
    }
}

pub(crate) fn disk() -> FaultLayer {
    FaultLayer::new(Arc::new(RealLayer))
}

/// One start of a gateway on this folder.
pub(crate) fn start(folder: &Path, layer: &FaultLayer) -> Arc<Ledger> {
    let options = Options::new(folder.join("journal"));
    let (journal, recovery) = Journal::open(options, Arc::new(layer.clone())).unwrap();
    let boot = Boot {
        counter: recovery.boot.counter,
        nonce: recovery.boot.nonce,
    };
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    Arc::new(Ledger::new(journal, Text::cut("gw-1"), boot, metrics))
}

/// What a start does about the last one.
pub(crate) fn recover(ledger: &Arc<Ledger>, folder: &Path, layer: &FaultLayer) -> usize {
    let cursor = Cursor::new(folder.join("settled"), Arc::new(layer.clone()));
    close_orphans(ledger, &Fixed, &cursor).unwrap()
}

/// The synced records of this kind.
pub(crate) async fn records<R: serde::de::DeserializeOwned>(
    ledger: &Ledger,
    kind: RecordKind,
) -> Vec<R> {
    ledger.journal().sync_now().await.unwrap();
    let mut reader = ledger.journal().reader(0);
    let mut records = Vec::new();
    while let Some(item) = reader.read().unwrap() {
        if let Item::Frame(frame) = item
            && frame.kind == kind as u8
        {
            records.push(serde_json::from_slice(&frame.payload).unwrap());
        }
    }
    records
}

async fn usage(ledger: &Ledger) -> Vec<UsageEvent> {
    records(ledger, RecordKind::Usage).await
}

fn admit(ledger: &Arc<Ledger>, number: u8) -> OpenRequest {
    let event_id = EventId::mint(Micros(1_000_000), [number; 10]);
    let admission = Admission {
        event_id,
        ..admission()
    };
    ledger.admit(admission).unwrap().0
}

/// Closes it with its figures; whether the journal took it at once.
fn complete(open: OpenRequest) -> bool {
    let event = UsageEvent {
        outcome: Outcome::Completed,
        status: Some(200),
        ..open.open_event()
    };
    open.close(event).is_ok()
}

/// Open, waiting, given up.
fn counts(ledger: &Ledger) -> (i64, i64, u64) {
    let metrics = ledger.metrics();
    (
        metrics.open_requests.get(),
        metrics.waiting_outcomes.get(),
        metrics.unrecorded_outcomes.get(),
    )
}

#[tokio::test]
async fn an_outcome_that_the_disk_refuses_once_is_recorded_with_its_figures_at_the_next_beat() {
    let (folder, layer) = (tempfile::tempdir().unwrap(), disk());
    let ledger = start(folder.path(), &layer);
    let open = admit(&ledger, 1);
    let position = ledger.settled_below();
    layer.fail_always(Operation::Write, Some(EIO));
    assert!(!complete(open));
    assert_eq!(ledger.settled_below(), position, "it is still open");
    assert_eq!(counts(&ledger), (1, 1, 0), "and not lost");
    assert!(ledger.beat(Micros(1)).is_err());
    assert_eq!(counts(&ledger), (1, 1, 0));
    layer.fail_always(Operation::Write, None);
    ledger.beat(Micros(2)).unwrap();
    assert!(ledger.settled_below() > position);
    assert_eq!(counts(&ledger), (0, 0, 0));
    ledger.beat(Micros(3)).unwrap();
    let records = usage(&ledger).await;
    let [record] = &records[..] else {
        panic!("one record: {records:?}");
    };
    assert_eq!(
        (
            record.status,
            record.durability_degraded,
            record.producer_seq
        ),
        (Some(200), true, 0)
    );
}

#[tokio::test]
async fn a_stop_tries_until_the_disk_takes_it_again() {
    let (folder, layer) = (tempfile::tempdir().unwrap(), disk());
    let ledger = start(folder.path(), &layer);
    let open = admit(&ledger, 1);
    for _write in 0..5 {
        layer.inject(Operation::Write, Effect::Fail(EIO));
    }
    assert!(!complete(open));
    ledger.settle_rest(Duration::from_secs(5)).await;
    assert_eq!(counts(&ledger), (0, 0, 0));
    let records = usage(&ledger).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].outcome, Outcome::Completed);
}

#[tokio::test]
async fn what_a_stop_gives_up_is_lost_once_and_closed_by_the_next_start() {
    let (folder, layer) = (tempfile::tempdir().unwrap(), disk());
    let ledger = start(folder.path(), &layer);
    let open = admit(&ledger, 1);
    layer.fail_always(Operation::Write, Some(EIO));
    assert!(!complete(open));
    ledger.settle_rest(Duration::from_millis(120)).await;
    assert_eq!(counts(&ledger), (0, 0, 1));
    layer.fail_always(Operation::Write, None);
    drop(ledger);
    let ledger = start(folder.path(), &layer);
    assert_eq!(recover(&ledger, folder.path(), &layer), 1);
    let records = usage(&ledger).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].outcome, Outcome::Unknown);
}

#[tokio::test]
async fn of_more_than_wait_the_rest_is_counted_and_closed_as_unknown_and_holds_nothing_up() {
    let (folder, layer) = (tempfile::tempdir().unwrap(), disk());
    let ledger = start(folder.path(), &layer);
    let open: Vec<_> = (0..MOST + 2)
        .map(|number| {
            let mut id = [0; 10];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let event_id = EventId::mint(Micros(1_000_000), id);
            let admission = Admission {
                event_id,
                ..admission()
            };
            ledger.admit(admission).unwrap().0
        })
        .collect();
    layer.fail_always(Operation::Write, Some(EIO));
    for open in open {
        assert!(!complete(open));
    }
    let most = i64::try_from(MOST).unwrap();
    assert_eq!(counts(&ledger), (most + 2, most, 2));
    ledger.settle_again();
    assert_eq!(counts(&ledger), (most + 2, most, 2), "none twice");
    layer.fail_always(Operation::Write, None);
    ledger.beat(Micros(2)).unwrap();
    assert_eq!(counts(&ledger), (0, 0, 2));
    assert_eq!(ledger.settled_below(), ledger.journal().stats().end);
    let unknown = |record: &&UsageEvent| record.outcome == Outcome::Unknown;
    let records = usage(&ledger).await;
    assert_eq!(records.len(), MOST + 2);
    assert_eq!(records.iter().filter(unknown).count(), 2);
    drop(ledger);
    let ledger = start(folder.path(), &layer);
    assert_eq!(recover(&ledger, folder.path(), &layer), 0);
}

#[tokio::test]
async fn a_poisoned_journal_keeps_no_outcome_waiting_and_the_next_start_closes_it() {
    let (folder, layer) = (tempfile::tempdir().unwrap(), disk());
    let ledger = start(folder.path(), &layer);
    let (before, after) = (admit(&ledger, 1), admit(&ledger, 2));
    ledger.journal().sync_now().await.unwrap();
    layer.inject(Operation::Write, Effect::Fail(EIO));
    assert!(!complete(before));
    assert_eq!(counts(&ledger), (2, 1, 0));
    layer.fail_always(Operation::Sync, Some(EIO));
    ledger
        .journal()
        .append(RecordKind::Cut as u8, schemas::wire::CUT_RECORD)
        .unwrap();
    ledger.journal().sync_now().await.unwrap_err();
    assert!(!complete(after));
    assert_eq!(counts(&ledger), (1, 1, 1));
    ledger.settle_again();
    assert_eq!(counts(&ledger), (0, 0, 2));
    layer.clear_faults();
    drop(ledger);
    let ledger = start(folder.path(), &layer);
    assert_eq!(recover(&ledger, folder.path(), &layer), 2);
    assert_eq!(usage(&ledger).await.len(), 2);
}

#[tokio::test]
async fn an_outcome_that_waits_in_a_killed_process_is_closed_as_unknown_by_the_next() {
    let (folder, layer) = (tempfile::tempdir().unwrap(), disk());
    let ledger = start(folder.path(), &layer);
    let open = admit(&ledger, 1);
    layer.inject(Operation::Write, Effect::Fail(EIO));
    assert!(!complete(open));
    layer.kill();
    drop(ledger);
    layer.restart();
    let ledger = start(folder.path(), &layer);
    assert_eq!(recover(&ledger, folder.path(), &layer), 1);
    let records = usage(&ledger).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].outcome, Outcome::Unknown);
}
