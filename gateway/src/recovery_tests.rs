//! Which earlier starts are said to be closed: all whose frames can be read, and not only if the disk takes it at once.

use std::path::Path;

use journal::testing::{FaultLayer, Operation};
use schemas::{Micros, ProducerRecord, RecordKind};

use super::*;
use crate::conclude::tests::open_event;
use crate::unsettled::tests::{disk, records, recover, start};

/// A start that writes three records under this name and is killed.
async fn life(folder: &Path, layer: &FaultLayer, name: &str) -> Boot {
    let ledger = start(folder, layer);
    for _record in 0..3 {
        let event = UsageEvent {
            boot: ledger.boot(),
            request_id: Text::cut(name),
            ..open_event()
        };
        ledger.record(event).unwrap();
    }
    ledger.journal().sync_now().await.unwrap();
    ledger.boot()
}

async fn closed(ledger: &Ledger) -> Vec<Boot> {
    let said: Vec<ProducerRecord> = records(ledger, RecordKind::Producer).await;
    said.iter().map(|record| record.boot).collect()
}

/// Flips a bit in the first record of this name.
fn damage(folder: &Path, name: &str) {
    for entry in std::fs::read_dir(folder.join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(name.len())
            .position(|window| window == name.as_bytes());
        if let Some(at) = found {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("no record of {name}");
}

#[tokio::test]
async fn damage_keeps_open_only_the_start_that_wrote_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut boots = Vec::new();
    for name in ["req_first", "req_second", "req_third"] {
        boots.push(life(folder.path(), &disk(), name).await);
    }
    damage(folder.path(), "req_second");
    let layer = disk();
    let ledger = start(folder.path(), &layer);
    assert_eq!(recover(&ledger, folder.path(), &layer), 0);
    assert_eq!(closed(&ledger).await, [boots[0], boots[2]]);
}

#[tokio::test]
async fn an_end_that_the_disk_refuses_is_said_at_a_later_beat_and_no_cursor_passes_it_before() {
    const EIO: i32 = 5;
    let folder = tempfile::tempdir().unwrap();
    let killed = life(folder.path(), &disk(), "req_first").await;
    let layer = disk();
    let ledger = start(folder.path(), &layer);
    layer.fail_always(Operation::Write, Some(EIO));
    assert_eq!(recover(&ledger, folder.path(), &layer), 0);
    assert_eq!(ledger.settled_below(), 0);
    ledger.beat(Micros(1)).unwrap_err();
    assert_eq!(ledger.settled_below(), 0);
    layer.fail_always(Operation::Write, None);
    ledger.beat(Micros(2)).unwrap();
    ledger.beat(Micros(3)).unwrap();
    assert_eq!(closed(&ledger).await, [killed], "once");
    assert_eq!(ledger.settled_below(), ledger.journal().stats().end);
}
