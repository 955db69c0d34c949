//! Every way the file system can fail: what is refused, what is taken back, what poisons.

use std::path::Path;
use std::sync::Arc;

use journal::testing::{Effect, FaultLayer, Operation, Survival};
use journal::{Alarm, AppendError, FileLayer, Journal, OpenError, OpenMode, ReadError, RealLayer};

use crate::common::{memory, open, options, read_all, read_live};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

fn reopen_killed(layer: &FaultLayer, journal: Journal) -> (Journal, journal::Recovery) {
    layer.kill();
    drop(journal);
    layer.clear_faults();
    layer.restart();
    open(layer)
}

#[tokio::test]
async fn a_short_write_is_completed() {
    let layer = memory();
    let (journal, _) = open(&layer);
    for bytes in 1..40 {
        layer.inject(Operation::Write, Effect::Short(bytes));
        journal.append(1, &[5; 30]).unwrap();
    }
    journal.sync_now().await.unwrap();
    let (frames, damage) = read_live(&journal, 1);
    assert_eq!((frames.len(), damage.len()), (39, 0));
    assert!(frames.iter().all(|frame| frame.payload[..] == [5; 30]));
}

#[tokio::test]
async fn a_write_that_fails_at_any_byte_leaves_no_half_frame() {
    for errno in [EIO, ENOSPC] {
        for bytes in 0..48 {
            let layer = memory();
            let (journal, _) = open(&layer);
            let (reservation, _) = journal.admit(1, b"before").unwrap();
            if bytes > 0 {
                layer.inject(Operation::Write, Effect::Short(bytes));
            }
            layer.inject(Operation::Write, Effect::Fail(errno));
            let failed = reservation.settle(2, &[6; 30]).unwrap_err();
            match failed.error {
                AppendError::Full { .. } => assert_eq!(errno, ENOSPC),
                AppendError::Io(_) => assert_eq!(errno, EIO),
                other => panic!("{other}"),
            }
            assert_eq!(journal.stats().reserved, 1);
            // Killed now, nothing of the failed frame is there.
            let twin = FaultLayer::new(Arc::new(layer.clone()));
            let (frames, _) = read_all(Arc::new(twin), Path::new("/journal"));
            assert_eq!(frames.len(), 2);
            // Alive, the next frame takes its place.
            failed.reservation.settle(3, b"x").unwrap();
            journal.append(4, &[7; 90]).unwrap();
            journal.sync_now().await.unwrap();
            let (frames, damage) = read_live(&journal, 0);
            let kinds: Vec<u8> = frames.iter().map(|frame| frame.kind).collect();
            assert_eq!((kinds, damage.len()), (vec![0, 1, 3, 4], 0));
            let (_journal, recovery) = reopen_killed(&layer, journal);
            assert_eq!((recovery.recovered_end, recovery.damage.len()), (4, 0));
        }
    }
}

#[test]
fn a_half_frame_is_cut_off_when_it_can_not_be_written_over() {
    let layer = memory();
    let (journal, _) = open(&layer);
    layer.inject(Operation::Write, Effect::Short(25));
    layer.inject(Operation::Write, Effect::Fail(EIO));
    layer.inject(Operation::Write, Effect::Fail(EIO));
    assert!(matches!(
        journal.append(1, &[1; 30]),
        Err(AppendError::Io(_))
    ));
    journal.append(2, b"good").unwrap();
    let (_journal, recovery) = reopen_killed(&layer, journal);
    assert_eq!((recovery.recovered_end, recovery.torn_tail), (2, None));
}

#[tokio::test]
async fn a_half_frame_that_can_not_be_taken_back_poisons() {
    let layer = memory();
    let (journal, _) = open(&layer);
    let before = journal.append(1, b"before").unwrap();
    layer.inject(Operation::Write, Effect::Short(25));
    layer.inject(Operation::Write, Effect::Fail(EIO));
    layer.inject(Operation::Write, Effect::Fail(EIO));
    layer.inject(Operation::SetLen, Effect::Fail(EIO));
    assert!(matches!(
        journal.append(1, &[1; 30]),
        Err(AppendError::Poisoned(_))
    ));
    assert!(matches!(
        journal.append(1, b"more"),
        Err(AppendError::Poisoned(_))
    ));
    before.synced().await.unwrap_err();
    let (_journal, recovery) = reopen_killed(&layer, journal);
    assert_eq!(recovery.recovered_end, 2);
}

#[tokio::test]
async fn a_failed_sync_poisons_for_ever() {
    for operation in [Operation::Sync, Operation::SyncDir] {
        let layer = memory();
        let (journal, _) = open(&layer);
        let safe = journal.append(1, b"synced").unwrap();
        journal.sync_now().await.unwrap();
        let mut reader = journal.reader(2);
        // Enough to begin a new segment, so that the directory has to be synced too.
        let (reservation, waiting) = journal.admit(2, &[2; 200]).unwrap();
        while journal.stats().segments < 2 {
            journal.append(2, &[2; 200]).unwrap();
        }
        layer.inject(operation, Effect::Fail(EIO));
        journal.sync_now().await.unwrap_err();
        waiting.synced().await.unwrap_err();
        safe.synced().await.unwrap();
        journal.sync_now().await.unwrap_err();
        assert!(matches!(
            journal.append(1, b"late"),
            Err(AppendError::Poisoned(_))
        ));
        let settled = reservation.settle(1, b"late").unwrap_err();
        assert!(matches!(settled.error, AppendError::Poisoned(_)));
        assert!(journal.subscribe_synced().borrow().poisoned && journal.stats().poisoned);
        assert_eq!((journal.synced_end(), reader.read().unwrap()), (2, None));
        assert!(matches!(reader.wait().await, Err(ReadError::Poisoned(_))));
        journal.close().unwrap_err();
    }
}

#[tokio::test]
async fn after_a_failed_sync_the_next_start_writes_the_doubtful_pages_again() {
    let layer = memory();
    let (journal, _) = open(&layer);
    journal.append(1, b"doubtful").unwrap();
    layer.inject(Operation::Sync, Effect::Fail(EIO));
    journal.sync_now().await.unwrap_err();
    // Waits for the sync thread, whose last act is to leave the warning.
    journal.close().unwrap_err();
    // The system believes its pages clean now: a plain sync would not save them.
    let (journal, recovery) = reopen_killed(&layer, journal);
    assert_eq!(
        recovery.alarms,
        [Alarm::RewroteUnsynced { from_position: 1 }]
    );
    assert_eq!(recovery.recovered_end, 2);
    layer.power_cut(Survival::Nothing).unwrap();
    drop(journal);
    layer.restart();
    let (journal, recovery) = open(&layer);
    assert_eq!((recovery.recovered_end, recovery.alarms.len()), (3, 0));
    assert_eq!(&read_live(&journal, 1).0[0].payload[..], b"doubtful");
}

#[tokio::test]
async fn a_power_cut_keeps_what_was_synced_and_nothing_else() {
    let layer = memory();
    let (journal, _) = open(&layer);
    let synced = journal.append(1, b"synced").unwrap();
    journal.sync_now().await.unwrap();
    assert!(synced.is_synced());
    let written = journal.append(1, b"written").unwrap();
    assert!(written.written() && !written.is_synced());
    layer.power_cut(Survival::Nothing).unwrap();
    drop(journal);
    layer.restart();
    let (journal, recovery) = open(&layer);
    assert_eq!((recovery.recovered_end, recovery.boot.counter), (2, 2));
    assert_eq!(&read_live(&journal, 1).0[0].payload[..], b"synced");
}

#[test]
fn a_directory_in_use_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap();
    let refused = Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap_err();
    assert!(matches!(&refused, OpenError::Locked { dir: named } if named == dir.path()));
    assert!(refused.to_string().contains("in use by another process"));
    journal.close().unwrap();
    Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap();
}

#[test]
fn a_read_only_directory_is_refused_by_name() {
    for operation in [Operation::Lock, Operation::Create, Operation::Write] {
        let layer = memory();
        layer.fail_always(operation, Some(EROFS));
        let refused = Journal::open(options("/journal"), Arc::new(layer)).unwrap_err();
        assert!(matches!(&refused, OpenError::ReadOnly { dir } if dir == Path::new("/journal")));
    }
}

#[test]
fn a_disk_without_room_or_promises_is_refused_by_name() {
    let layer = memory();
    layer.set_disk_bytes(Some(1000));
    let refused = Journal::open(options("/journal"), Arc::new(layer)).unwrap_err();
    assert!(matches!(refused, OpenError::NoRoom { .. }));
    let layer = memory();
    let (journal, _) = open(&layer);
    journal.close().unwrap();
    layer.set_disk_bytes(Some(layer.used_bytes()));
    let refused = Journal::open(options("/journal"), Arc::new(layer.clone())).unwrap_err();
    assert!(matches!(refused, OpenError::NoRoom { .. }));
    let (segment, boot_file) = (options("").segment_bytes, 33);
    layer.set_disk_bytes(Some(segment + boot_file));
    let refused = Journal::open(options("/journal"), Arc::new(layer.clone())).unwrap_err();
    assert!(
        matches!(refused, OpenError::NoRoom { .. }),
        "room for the segment, not the boot file"
    );
    layer.set_disk_bytes(None);
    assert_eq!(open(&layer).1.recovered_end, 1);
    let layer = memory();
    let not_supported = 95;
    layer.fail_always(Operation::Preallocate, Some(not_supported));
    let refused = Journal::open(options("/journal"), Arc::new(layer)).unwrap_err();
    assert!(matches!(refused, OpenError::NoPreallocation { .. }));
}

#[test]
fn a_sync_that_fails_while_starting_refuses_the_start() {
    for operation in [Operation::Sync, Operation::SyncDir] {
        let layer = memory();
        layer.fail_always(operation, Some(EIO));
        Journal::open(options("/journal"), Arc::new(layer.clone())).unwrap_err();
        layer.clear_faults();
        let (_journal, recovery) = open(&layer);
        assert!(recovery.alarms.is_empty());
    }
}

#[test]
fn whichever_sync_fails_while_starting_the_next_start_saves_what_was_written() {
    let mut refused = 0;
    loop {
        let layer = memory();
        let (journal, _) = open(&layer);
        journal.append(1, b"doubtful").unwrap();
        layer.kill();
        drop(journal);
        layer.restart();
        for _ in 0..refused {
            layer.inject(Operation::Sync, Effect::Pass);
        }
        layer.inject(Operation::Sync, Effect::Fail(EIO));
        if Journal::open(options("/journal"), Arc::new(layer.clone())).is_ok() {
            break;
        }
        layer.clear_faults();
        // The system believes its pages clean now: a plain sync would not save them.
        let (journal, recovery) = open(&layer);
        let is_first = refused == 0;
        let is_warned = recovery.alarms == [Alarm::RewroteUnsynced { from_position: 0 }];
        assert!(is_warned || !is_first, "{:?}", recovery.alarms);
        layer.power_cut(Survival::Nothing).unwrap();
        drop(journal);
        layer.restart();
        let (journal, _) = open(&layer);
        let kept = &read_live(&journal, 1).0[0].payload[..];
        assert_eq!(kept, b"doubtful", "sync {refused}");
        refused += 1;
    }
    // That of the segment, of the boot file and of the start's own frame, at the least.
    assert!(refused >= 3, "{refused}");
}

#[test]
fn a_power_cut_over_a_real_directory_rewrites_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let layer = FaultLayer::new(Arc::new(RealLayer));
    let (journal, _) = Journal::open(options(dir.path()), Arc::new(layer.clone())).unwrap();
    while journal.stats().segments < 3 {
        journal.append(1, &[1; 100]).unwrap();
    }
    layer.power_cut(Survival::Nothing).unwrap();
    drop(journal);
    // The real files hold the boot frame and nothing else.
    let (frames, damage) = read_all(Arc::new(RealLayer), dir.path());
    assert_eq!((frames.len(), damage.len()), (1, 0));
    let (_journal, recovery) = Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap();
    assert_eq!(recovery.recovered_end, 1);
}

#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (_journal, _) = Journal::open(options(dir.path()), Arc::new(RealLayer)).unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    RealLayer
        .open(&dir.path().join("boot"), OpenMode::Read)
        .unwrap();
}
