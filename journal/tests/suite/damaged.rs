//! Damaged files: every torn length of the last frames, every flipped byte, lost headers and
//! segments, a newer version. What is good is kept, what is not is named.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{memory, open, options, read_all, read_live};
use journal::testing::FaultLayer;
use journal::{
    Alarm, Boot, DamageCause, FRAME_HEADER_BYTES, FileLayer, Frame, Journal, OpenError, OpenMode,
};

const DIR: &str = "/journal";

/// A closed journal with `count` frames of odd sizes behind its boot frame.
fn closed_journal(count: u8) -> (FaultLayer, Vec<Frame>) {
    let layer = memory();
    let (journal, _) = open(&layer);
    for number in 0..count {
        let payload = vec![number; 3 + usize::from(number) * 7 % 90];
        journal.append(1 + number % 9, &payload).unwrap();
    }
    journal.close().unwrap();
    let (frames, damage) = read_all(Arc::new(layer.clone()), Path::new(DIR));
    assert_eq!((frames.len(), damage.len()), (usize::from(count) + 1, 0));
    (layer, frames)
}

fn segments(layer: &FaultLayer) -> Vec<PathBuf> {
    let mut names = layer.list(Path::new(DIR)).unwrap();
    names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "seg"));
    names.sort();
    names.iter().map(|name| Path::new(DIR).join(name)).collect()
}

fn content(layer: &FaultLayer, path: &Path) -> Vec<u8> {
    let file = layer.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn replace(layer: &FaultLayer, path: &Path, bytes: &[u8]) {
    let file = layer.open(path, OpenMode::Create).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// A fresh layer with the same files.
fn copy(layer: &FaultLayer) -> FaultLayer {
    let twin = memory();
    for name in layer.list(Path::new(DIR)).unwrap() {
        let path = Path::new(DIR).join(name);
        replace(&twin, &path, &content(layer, &path));
    }
    twin
}

fn size(frame: &Frame) -> usize {
    usize::try_from(FRAME_HEADER_BYTES).unwrap() + frame.payload.len()
}

#[test]
fn a_write_torn_at_any_byte_of_the_last_frames_loses_only_what_was_torn() {
    let (layer, frames) = closed_journal(9);
    let [path] = &segments(&layer)[..] else {
        panic!("one segment")
    };
    let whole = content(&layer, path);
    let last_three: usize = frames[frames.len() - 3..].iter().map(size).sum();
    for length in whole.len() - last_three..=whole.len() {
        let twin = copy(&layer);
        replace(&twin, path, &whole[..length]);
        let mut at = usize::try_from(28_u64).unwrap();
        let kept = frames.iter().take_while(|frame| {
            at += size(frame);
            at <= length
        });
        let kept: Vec<Frame> = kept.cloned().collect();
        let (journal, recovery) = open(&twin);
        assert_eq!(recovery.recovered_end, kept.len() as u64, "length {length}");
        assert_eq!(recovery.damage, []);
        let good: usize = 28 + kept.iter().map(size).sum::<usize>();
        let torn = recovery.torn_tail.map(|tail| (tail.offset, tail.bytes));
        let expected = (length > good).then_some((good as u64, (length - good) as u64));
        assert_eq!(torn, expected);
        journal.append(7, b"after").unwrap();
        journal.close().unwrap();
        let (read, damage) = read_all(Arc::new(twin), Path::new(DIR));
        assert_eq!(damage, []);
        assert_eq!(read[..kept.len()], kept);
        assert_eq!(read.len(), kept.len() + 2);
    }
}

#[test]
fn a_flip_of_any_byte_is_named_and_costs_only_its_frame() {
    let (layer, frames) = closed_journal(6);
    let [path] = &segments(&layer)[..] else {
        panic!("one segment")
    };
    let whole = content(&layer, path);
    let mut starts = vec![28];
    starts.extend(frames.iter().map(size));
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        let twin = copy(&layer);
        replace(&twin, path, &bytes);
        // 0 is the header; frame `hit - 1` is the one that was hit.
        let hit = starts.iter().filter(|&&start| start <= at).count();
        let mut left = frames.clone();
        if hit > 0 {
            left.remove(hit - 1);
        }
        let (offline, _) = read_all(Arc::new(twin.clone()), Path::new(DIR));
        assert_eq!(offline, left, "byte {at} offline");
        let (journal, recovery) = open(&twin);
        let (live, _) = read_live(&journal, 0);
        assert_eq!(live[..left.len()], left, "byte {at} live");
        let last_frame = frames.len();
        if hit == last_frame {
            assert!(
                recovery.torn_tail.is_some() && recovery.damage.is_empty(),
                "byte {at}"
            );
            assert_eq!(recovery.recovered_end, last_frame as u64 - 1);
            continue;
        }
        assert_eq!(recovery.recovered_end, last_frame as u64);
        let [damage] = &recovery.damage[..] else {
            panic!("byte {at}: {recovery:?}")
        };
        let kept = content(&twin, damage.quarantined.as_ref().unwrap());
        let start = usize::try_from(damage.offset).unwrap();
        assert_eq!(kept, bytes[start..start + kept.len()]);
        if hit == 0 {
            assert_eq!(damage.cause, DamageCause::Header);
        } else {
            let lost = hit as u64 - 1;
            assert_eq!(damage.cause, DamageCause::Frame);
            assert_eq!(
                (damage.first_position, damage.next_position),
                (lost, lost + 1)
            );
        }
    }
}

#[test]
fn bytes_inside_a_payload_never_become_a_frame() {
    let (layer, frames) = closed_journal(4);
    let [path] = &segments(&layer)[..] else {
        panic!("one segment")
    };
    let stranger = content(&layer, path);
    // Another journal carries a whole foreign segment as payload; the frames in it have the
    // very positions that would fit.
    let other = memory();
    let (journal, _) = open(&other);
    journal.append(1, &stranger[28..]).unwrap();
    journal.append(2, b"good").unwrap();
    journal.close().unwrap();
    let [path] = &segments(&other)[..] else {
        panic!("one segment")
    };
    let mut bytes = content(&other, path);
    let carrier = 28 + size(&frames[0]);
    bytes[carrier + 4] ^= 1;
    replace(&other, path, &bytes);
    let (read, damage) = read_all(Arc::new(other), Path::new(DIR));
    let positions: Vec<u64> = read.iter().map(|frame| frame.position).collect();
    assert_eq!(positions, [0, 2]);
    assert_eq!(damage.len(), 1);
}

#[test]
fn damage_stays_reported_and_its_copy_is_made_once() {
    let (layer, _) = closed_journal(6);
    let [path] = &segments(&layer)[..] else {
        panic!("one segment")
    };
    let mut bytes = content(&layer, path);
    bytes[100] ^= 1;
    replace(&layer, path, &bytes);
    let (journal, first) = open(&layer);
    journal.close().unwrap();
    let (_journal, second) = open(&layer);
    assert_eq!(first.damage, second.damage);
    assert_eq!(
        layer
            .list(&Path::new(DIR).join("quarantine"))
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_header_cut_at_any_length_does_not_stop_the_start() {
    for length in 0..28 {
        let (layer, frames) = closed_journal(60);
        let paths = segments(&layer);
        let last = paths.last().unwrap();
        let whole = content(&layer, last);
        replace(&layer, last, &whole[..length]);
        let lost_from: u64 = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let (journal, recovery) = open(&layer);
        assert_eq!(recovery.recovered_end, lost_from, "length {length}");
        journal.append(3, b"after").unwrap();
        journal.close().unwrap();
        let (read, damage) = read_all(Arc::new(layer), Path::new(DIR));
        let kept = usize::try_from(lost_from).unwrap();
        assert_eq!(read[..kept], frames[..kept]);
        assert_eq!((read.len(), damage.len()), (kept + 2, 0));
    }
}

#[test]
fn a_start_cut_off_before_its_first_frame_is_no_damage() {
    for length in [0, 5, 28] {
        let (layer, _) = closed_journal(1);
        let [path] = &segments(&layer)[..] else {
            panic!("one segment")
        };
        let whole = content(&layer, path);
        replace(&layer, path, &whole[..length]);
        let (journal, recovery) = open(&layer);
        assert_eq!(
            (recovery.recovered_end, recovery.damage.len()),
            (0, 0),
            "length {length}"
        );
        journal.close().unwrap();
    }
}

#[test]
fn a_missing_segment_is_named() {
    let (layer, frames) = closed_journal(90);
    let paths = segments(&layer);
    assert!(paths.len() >= 3);
    layer.remove(&paths[1]).unwrap();
    let (journal, recovery) = open(&layer);
    let [damage] = &recovery.damage[..] else {
        panic!("{recovery:?}")
    };
    assert_eq!(damage.cause, DamageCause::MissingSegment);
    let (live, skipped) = read_live(&journal, 0);
    let lost = damage.first_position..damage.next_position;
    let kept: Vec<_> = frames
        .iter()
        .filter(|frame| !lost.contains(&frame.position))
        .cloned()
        .collect();
    assert_eq!(live[..kept.len()], kept);
    assert_eq!(
        (skipped[0].first_position, skipped[0].next_position),
        (lost.start, lost.end)
    );
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (layer, _) = closed_journal(2);
    let [path] = &segments(&layer)[..] else {
        panic!("one segment")
    };
    let mut bytes = content(&layer, path);
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..24]).to_le_bytes();
    bytes[24..28].copy_from_slice(&crc);
    replace(&layer, path, &bytes);
    let refused = Journal::open(options(DIR), Arc::new(layer)).unwrap_err();
    assert!(matches!(
        refused,
        OpenError::NewerVersion {
            found: 9,
            supported: 1,
            ..
        }
    ));
}

#[test]
fn a_copied_disk_raises_an_alarm() {
    let (layer, _) = closed_journal(2);
    let twin = copy(&layer);
    let (journal, ours) = open(&layer);
    journal.close().unwrap();
    let (journal, theirs) = open(&twin);
    journal.close().unwrap();
    assert_eq!(ours.boot.counter, theirs.boot.counter);
    // The copy's boot file comes back beside our segments.
    let boot_file = Path::new(DIR).join("boot");
    replace(&layer, &boot_file, &content(&twin, &boot_file));
    let (_journal, recovery) = open(&layer);
    let nonces = [ours.boot.nonce, theirs.boot.nonce];
    assert_eq!(
        recovery.alarms,
        [Alarm::TwoNoncesOneCounter { counter: 2, nonces }]
    );
    assert_eq!(recovery.boot.counter, 3);
}

#[test]
fn a_lost_boot_file_is_an_alarm_and_the_counter_goes_on() {
    let (layer, frames) = closed_journal(2);
    let (boot, recovered_end) = Boot::from_frame(&frames[0].payload).unwrap();
    assert_eq!((boot.counter, recovered_end), (1, 0));
    layer.remove(&Path::new(DIR).join("boot")).unwrap();
    let (journal, recovery) = open(&layer);
    assert_eq!(recovery.alarms, [Alarm::BootFileLost]);
    assert_eq!((recovery.boot.counter, recovery.damage.len()), (2, 0));
    let (live, _) = read_live(&journal, 0);
    let (boot, recovered_end) = Boot::from_frame(&live[3].payload).unwrap();
    assert_eq!((boot, recovered_end), (recovery.boot, 3));
}
