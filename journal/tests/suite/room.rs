//! Room: what is promised is there, refusals stay in their lane, old segments go.

use std::path::Path;
use std::sync::Arc;

use journal::testing::FaultLayer;
use journal::{
    AppendError, FRAME_HEADER_BYTES, FileLayer, Item, Journal, OfflineReader, Options, ReadError,
    Reservation,
};
use proptest::prelude::*;

use crate::common::{memory, open, options, read_all, read_live};

const OUTCOME_BYTES: usize = 256;

fn largest_outcome() -> Vec<u8> {
    vec![9; OUTCOME_BYTES - usize::try_from(FRAME_HEADER_BYTES).unwrap()]
}

/// Admits until the journal says that it is full.
fn fill(journal: &Journal) -> Vec<Reservation> {
    let mut open = Vec::new();
    loop {
        match journal.admit(1, &vec![1; open.len() % 200]) {
            Ok((reservation, _)) => open.push(reservation),
            Err(AppendError::Full { .. }) => return open,
            Err(other) => panic!("{other}"),
        }
    }
}

fn settle_all(journal: &Journal, open: Vec<Reservation>) {
    let outcome = largest_outcome();
    assert!(open.len() > 20, "{}", open.len());
    let before = journal.stats().end;
    let count = open.len() as u64;
    for reservation in open {
        reservation.settle(2, &outcome).unwrap();
    }
    let stats = journal.stats();
    assert_eq!(
        (stats.end, stats.reserved, stats.abandoned),
        (before + count, 0, 0)
    );
}

#[test]
fn a_journal_at_its_capacity_still_settles_every_open_reservation() {
    let (journal, _) = open(&memory());
    let open = fill(&journal);
    assert!(matches!(
        journal.append(1, &[1; 300]),
        Err(AppendError::Full { .. })
    ));
    settle_all(&journal, open);
    assert!(journal.stats().bytes <= options("").capacity_bytes);
}

#[test]
fn a_full_disk_still_settles_every_open_reservation() {
    let layer = memory();
    layer.set_disk_bytes(Some(20_000));
    let (journal, _) = open(&layer);
    let open = fill(&journal);
    // Somebody else eats what is left.
    layer.set_disk_bytes(Some(layer.used_bytes()));
    settle_all(&journal, open);
}

#[test]
fn a_directory_that_takes_no_new_name_costs_a_settlement_nothing() {
    let layer = memory();
    let (journal, _) = open(&layer);
    let open_ones = fill(&journal);
    let no_space = 28;
    layer.fail_always(journal::testing::Operation::Rename, Some(no_space));
    settle_all(&journal, open_ones);
    let end = journal.stats().end;
    layer.kill();
    drop(journal);
    layer.clear_faults();
    layer.restart();
    let (journal, recovery) = open(&layer);
    assert_eq!((recovery.recovered_end, recovery.damage.len()), (end, 0));
    assert_eq!(read_live(&journal, 0).0.len() as u64, end + 1);
}

#[tokio::test]
async fn a_tool_reads_segments_that_live_under_a_spares_name() {
    let layer = memory();
    let (journal, _) = open(&layer);
    let no_space = 28;
    layer.fail_always(journal::testing::Operation::Rename, Some(no_space));
    for number in 0..40_u8 {
        journal.append(1, &[number; 200]).unwrap();
    }
    journal.sync_now().await.unwrap();
    let names = layer.list(Path::new("/journal")).unwrap();
    let segments = names.iter().filter(|name| is_a(name, "seg"));
    assert!(segments.count() < 2 && journal.stats().segments > 3);
    let (frames, damage) = read_all(Arc::new(layer.clone()), Path::new("/journal"));
    assert_eq!((&frames, &damage), (&read_live(&journal, 0).0, &vec![]));
    assert_eq!(frames.len() as u64, journal.stats().end);
    // From the middle on, too.
    let mut reader = OfflineReader::open(Path::new("/journal"), Arc::new(layer))
        .unwrap()
        .skip_to(30);
    let Some(Item::Frame(first)) = reader.read().unwrap() else {
        panic!("nothing from the middle on")
    };
    assert!((10..=30).contains(&first.position), "{first:?}");
}

/// Appends and settles until nothing more is taken.
async fn fill_settled(journal: &Journal, payload_bytes: usize) {
    let mut appended = 0_u32;
    loop {
        match journal.append(1, &vec![1; payload_bytes]) {
            Ok(_) => appended += 1,
            Err(AppendError::Full { .. }) => break,
            Err(other) => panic!("{other}"),
        }
        assert!(appended < 100_000, "it never fills");
    }
    journal.sync_now().await.unwrap();
}

fn can_admit(journal: &Journal) -> bool {
    journal.admit(1, &[1; 100]).is_ok()
}

#[tokio::test]
async fn a_full_journal_of_two_segments_takes_work_again_once_all_of_it_is_confirmed() {
    for (segments, keep_segments) in [(2, 0), (3, 1)] {
        let layer = Arc::new(memory());
        let options = Options {
            capacity_bytes: segments * 2048,
            ..options("/journal")
        };
        let (journal, _) = Journal::open(options, layer).unwrap();
        for _round in 0..5 {
            fill_settled(&journal, 100).await;
            assert!(journal.is_full() && !can_admit(&journal));
            // What nobody has confirmed stays, full or not.
            let first = journal.stats().first;
            assert_eq!(journal.retire_surplus(first, 0).unwrap(), 0);
            let end = journal.stats().end;
            assert!(journal.retire_surplus(end, keep_segments * 2048).unwrap() > 0);
            assert!(can_admit(&journal), "{segments} segments");
        }
    }
}

#[tokio::test]
async fn a_journal_that_is_closed_is_not_full_and_keeps_what_it_has() {
    let (journal, _) = open(&memory());
    fill_settled(&journal, 100).await;
    let end = journal.stats().end;
    journal.close().unwrap();
    assert!(!journal.is_full() && !journal.has_room());
    let bytes = journal.stats().bytes;
    assert_eq!(journal.retire_surplus(end, bytes).unwrap(), 0);
}

proptest! {
    /// Whatever the sizes, as long as two segments have room beside what is kept.
    #[test]
    fn a_full_journal_takes_work_again_and_keeps_what_it_should(
        segment_bytes in 1024_u64..6000,
        segments in 2_u64..8,
        more in 0_u64..1000,
        kept in 0_u64..100,
        payload_bytes in 1_usize..400,
    ) {
        let capacity_bytes = segment_bytes * segments + more;
        let keep_bytes = (capacity_bytes - 2 * segment_bytes) * kept / 100;
        let options = Options { segment_bytes, capacity_bytes, ..options("/journal") };
        let (journal, _) = Journal::open(options, Arc::new(memory())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _round in 0..3 {
            runtime.block_on(fill_settled(&journal, payload_bytes));
            let before = journal.stats();
            journal.retire_surplus(before.end, keep_bytes).unwrap();
            let after = journal.stats();
            prop_assert!(can_admit(&journal));
            let least = keep_bytes.min(before.bytes);
            prop_assert!(after.bytes >= least, "{} of {keep_bytes}", after.bytes);
            // The next segment may have been begun: its header counts.
            let most = keep_bytes + segment_bytes + 28;
            prop_assert!(after.bytes <= most, "{} of {keep_bytes}", after.bytes);
        }
    }
}

#[test]
fn a_full_refusal_lane_does_not_block_admissions() {
    let (journal, _) = open(&memory());
    let mut refused = 0;
    while journal.append_refusal(3, &[3; 100]).is_ok() {
        refused += 1;
    }
    assert_eq!(refused, 4096 / 118);
    assert!(matches!(
        journal.append_refusal(3, &[3; 100]),
        Err(AppendError::RefusalLaneFull)
    ));
    let open = fill(&journal);
    settle_all(&journal, open);
}

#[tokio::test]
async fn the_refusal_lane_is_remembered_and_freed_with_its_segments() {
    let layer = memory();
    let (journal, _) = open(&layer);
    while journal.append_refusal(3, &[3; 100]).is_ok() {}
    let lane = journal.stats().refusal_bytes;
    journal.close().unwrap();
    let (journal, _) = open(&layer);
    assert_eq!(journal.stats().refusal_bytes, lane);
    while journal.stats().segments < 6 {
        journal.append(1, &[1; 200]).unwrap();
    }
    journal.sync_now().await.unwrap();
    let end = journal.stats().end;
    assert!(journal.retire_before(end).unwrap() > 3);
    assert_eq!(journal.stats().refusal_bytes, 0);
    journal.append_refusal(3, b"again").unwrap();
}

#[tokio::test]
async fn retiring_frees_room_and_keeps_what_is_unsynced() {
    let layer = memory();
    let (journal, _) = open(&layer);
    while journal.append(1, &[1; 300]).is_ok() {}
    let full = journal.stats();
    assert_eq!(journal.retire_before(u64::MAX).unwrap(), 0);
    journal.sync_now().await.unwrap();
    let half = full.end / 2;
    journal.retire_before(half).unwrap();
    let stats = journal.stats();
    assert!(stats.first <= half && stats.first > 0);
    assert!(matches!(
        journal.reader(0).read(),
        Err(ReadError::Retired { wanted: 0, first }) if first == stats.first
    ));
    assert_eq!(read_live(&journal, half).0[0].position, half);
    journal.append(1, &[1; 300]).unwrap();
    journal.sync_now().await.unwrap();
    journal.retire_before(u64::MAX).unwrap();
    assert_eq!(journal.stats().segments, 1);
    let end = journal.stats().end;
    journal.close().unwrap();
    let (_journal, recovery) = open(&layer);
    assert_eq!((recovery.recovered_end, recovery.damage.len()), (end, 0));
}

#[test]
fn an_outcome_above_its_reservation_gives_the_reservation_back() {
    let (journal, _) = open(&memory());
    let mut open = fill(&journal);
    let error = open.pop().unwrap().settle(2, &[2; 1900]).unwrap_err();
    assert!(matches!(error.error, AppendError::Full { .. }));
    error.reservation.settle(2, &largest_outcome()).unwrap();
    settle_all(&journal, open);
}

#[test]
fn a_dropped_reservation_is_counted_and_one_for_an_old_admission_can_be_had() {
    let (journal, _) = open(&memory());
    drop(journal.admit(1, b"request").unwrap());
    let reservation = journal.reserve().unwrap();
    assert_eq!(
        (journal.stats().reserved, journal.stats().abandoned),
        (1, 1)
    );
    reservation.settle(2, b"unknown").unwrap();
    assert_eq!(
        (journal.stats().reserved, journal.stats().abandoned),
        (0, 1)
    );
}

#[test]
fn limits_are_refused_by_name() {
    let (journal, _) = open(&memory());
    assert!(matches!(
        journal.append(0, b""),
        Err(AppendError::ReservedKind)
    ));
    assert!(matches!(
        journal.append(1, &[0; 4096]),
        Err(AppendError::TooLarge { .. })
    ));
    journal.close().unwrap();
    assert!(matches!(journal.append(1, b""), Err(AppendError::Closed)));
    for bad in [
        Options {
            outcome_bytes: 18,
            ..options("/journal")
        },
        Options {
            segment_bytes: 500,
            ..options("/journal")
        },
        Options {
            capacity_bytes: 4000,
            ..options("/journal")
        },
    ] {
        let layer: FaultLayer = memory();
        Journal::open(bad, Arc::new(layer)).unwrap_err();
    }
}

/// Refuses until the lane is full; says how many fitted.
fn fill_lane(journal: &Journal) -> usize {
    std::iter::from_fn(|| journal.append_refusal(3, &[3; 100]).ok()).count()
}

#[tokio::test]
async fn confirmed_refusals_leave_their_lane_also_after_a_restart() {
    let layer = memory();
    let (journal, _) = open(&layer);
    let whole = fill_lane(&journal);
    journal.refusals_confirmed_below(u64::MAX);
    assert_eq!(
        fill_lane(&journal),
        0,
        "what is not durable is not confirmed"
    );
    journal.sync_now().await.unwrap();
    let half = journal.stats().end / 2;
    journal.refusals_confirmed_below(half);
    let again = fill_lane(&journal);
    assert!(
        again >= whole / 2 - 2 && again < whole,
        "{again} of {whole}"
    );
    for _round in 0..3 {
        journal.sync_now().await.unwrap();
        journal.refusals_confirmed_below(journal.stats().end);
        assert_eq!(journal.stats().unconfirmed_refusal_bytes, 0);
        assert_eq!(fill_lane(&journal), whole);
    }
    journal.close().unwrap();
    let (journal, _) = open(&layer);
    assert_eq!(fill_lane(&journal), 0, "a start knows of no confirmation");
    journal.refusals_confirmed_below(journal.stats().end);
    assert_eq!(fill_lane(&journal), whole);
    let kept = journal.stats();
    assert!(
        kept.refusal_bytes > kept.unconfirmed_refusal_bytes,
        "nothing was retired"
    );
}

#[test]
fn a_journal_keeps_its_identity_and_knows_who_wrote_what() {
    let layer = memory();
    let (journal, first) = open(&layer);
    let identity = journal.identity();
    journal.append(1, b"of the first").unwrap();
    journal.close().unwrap();
    let (journal, second) = open(&layer);
    assert_eq!(journal.identity(), identity);
    let wrote = [0, 1, 2, 3].map(|position| journal.written_by(position));
    assert_eq!(
        wrote,
        [first.boot, first.boot, second.boot, second.boot].map(Some)
    );
    let (other, _) = open(&memory());
    assert_ne!(other.identity(), identity);
}

#[test]
fn a_journal_whose_segments_were_deleted_is_another_one_though_its_boots_count_on() {
    let layer = memory();
    let (journal, first) = open(&layer);
    let identity = journal.identity();
    journal.append(1, b"of the first").unwrap();
    journal.close().unwrap();
    for name in layer.list(Path::new("/journal")).unwrap() {
        if is_a(&name, "seg") || is_a(&name, "new") {
            layer.remove(&Path::new("/journal").join(name)).unwrap();
        }
    }
    let (journal, second) = open(&layer);
    assert_eq!(second.boot_position, 0);
    assert_ne!(journal.identity(), identity);
    assert!(second.boot.counter > first.boot.counter);
}

fn is_a(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|is| is == extension)
}
