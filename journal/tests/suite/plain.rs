//! The plain life of a journal on the real file system: append, sync, read, close, reopen.

use std::path::Path;
use std::sync::Arc;

use journal::{Item, Journal, Options, Reader, RealLayer};

fn options(dir: &Path) -> Options {
    Options {
        segment_bytes: 4096,
        capacity_bytes: 1 << 20,
        outcome_bytes: 256,
        ..Options::new(dir)
    }
}

#[tokio::test]
async fn appended_frames_read_back_live_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovery) = Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap();
    assert_eq!((recovery.boot.counter, recovery.recovered_end), (1, 0));
    let mut last = None;
    for number in 0..100_u8 {
        let (reservation, _admitted) = journal.admit(1, &[number; 100]).unwrap();
        last = Some(reservation.settle(2, &[number; 50]).unwrap());
    }
    last.unwrap().synced().await.unwrap();
    assert!(journal.stats().segments > 1);
    let mut reader = journal.reader(0);
    let mut seen = Vec::new();
    while let Some(item) = reader.read().unwrap() {
        let Item::Frame(frame) = item else {
            panic!("{item:?}")
        };
        assert_eq!(frame.position, seen.len() as u64);
        seen.push(frame);
    }
    assert_eq!(seen.len(), 201);
    assert_eq!(&seen[200].payload[..], [99; 50]);
    journal.close().unwrap();

    let (again, recovery) = Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap();
    assert_eq!((recovery.boot.counter, recovery.recovered_end), (2, 201));
    assert_eq!(
        (recovery.torn_tail, recovery.damage, recovery.alarms),
        (None, vec![], vec![])
    );
    drop(again);
    let mut offline = Reader::open_dir(dir.path()).unwrap();
    let mut count = 0;
    while let Some(item) = offline.read().unwrap() {
        let Item::Frame(frame) = item else {
            panic!("{item:?}")
        };
        if count < 201 {
            assert_eq!(frame, seen[count]);
        }
        count += 1;
    }
    assert_eq!(count, 202);
}

#[tokio::test]
async fn nothing_of_a_payload_is_in_what_can_be_logged() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap();
    let (reservation, ticket) = journal.admit(1, b"canary").unwrap();
    journal.sync_now().await.unwrap();
    let mut reader = journal.reader(0);
    let items = [reader.read().unwrap(), reader.read().unwrap()];
    let too_large = journal.append(1, &b"canary".repeat(1000)).unwrap_err();
    let shown =
        format!("{journal:?} {reservation:?} {ticket:?} {reader:?} {items:?} {too_large:?}");
    let as_numbers = format!("{:?}", b"canary");
    let as_numbers = as_numbers.trim_matches(['[', ']']);
    assert!(!shown.contains("canary") && !shown.contains(as_numbers));
    reservation.settle(2, b"").unwrap();
}
