//! A child process that appends is killed again and again: every acknowledged record is read
//! back, nothing is invented, nothing is torn open.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{Journal, Options, Reader, RealLayer};

use crate::common::options;

const KILLS: usize = 2000;
const KILLS_A_JOURNAL: usize = 25;
const DIR_VARIABLE: &str = "JOURNAL_KILLED_DIR";
const ACKNOWLEDGED: &str = "ack ";

fn child_options(dir: &Path) -> Options {
    Options {
        segment_bytes: 64 << 10,
        capacity_bytes: 1 << 30,
        sync_interval: Duration::from_millis(2),
        ..options(dir)
    }
}

/// The payload of one record: which child, which record of it, and filling that depends on both.
fn payload(child: u64, record: u64) -> Vec<u8> {
    let mixed = (child << 32 | record).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = [child.to_le_bytes(), record.to_le_bytes()].concat();
    bytes.resize(
        16 + usize::try_from(mixed >> 56).unwrap(),
        mixed.to_le_bytes()[3],
    );
    bytes
}

/// Runs in the child only: appends for ever, and says each position after the append returned.
#[test]
fn child_that_appends_until_killed() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else {
        return;
    };
    let (journal, recovery) =
        Journal::open(child_options(Path::new(&dir)), Arc::new(RealLayer)).unwrap();
    assert_eq!((recovery.damage.len(), recovery.alarms.len()), (0, 0));
    let child = recovery.boot.counter;
    let mut out = std::io::stdout().lock();
    let mut open = Vec::new();
    for record in 0.. {
        let bytes = payload(child, record);
        let ticket = match record % 4 {
            0 | 1 => {
                let (reservation, ticket) = journal.admit(1, &bytes).unwrap();
                open.push(reservation);
                ticket
            }
            2 => open
                .pop()
                .unwrap()
                .settle(1, &bytes[..bytes.len().min(238)])
                .unwrap(),
            _ => {
                drop(open.pop());
                journal.append(1, &bytes).unwrap()
            }
        };
        let line = format!("{ACKNOWLEDGED}{} {child} {record}\n", ticket.position());
        out.write_all(line.as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

/// Kills one child after it has acknowledged `wanted` records; returns all that it did.
fn run_child(dir: &Path, wanted: usize, linger: Duration) -> Vec<(u64, u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::child_that_appends_until_killed",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIR_VARIABLE, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut seen = Vec::new();
    let mut line = String::new();
    let mut killed_at = None;
    loop {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            break;
        }
        // The last line may be cut by the kill: it is an acknowledgement only when whole.
        let numbers = line
            .find(ACKNOWLEDGED)
            .filter(|_| line.ends_with('\n'))
            .map(|at| {
                line[at + ACKNOWLEDGED.len()..]
                    .trim()
                    .split(' ')
                    .map(|word| word.parse().unwrap())
            });
        if let Some(mut numbers) = numbers {
            let mut next = || numbers.next().unwrap();
            seen.push((next(), next(), next()));
        }
        if seen.len() >= wanted && killed_at.is_none() {
            let started = Instant::now();
            while started.elapsed() < linger {
                std::hint::spin_loop();
            }
            child.kill().unwrap();
            killed_at = Some(started);
        }
    }
    child.wait().unwrap();
    assert!(
        killed_at.is_some(),
        "the child failed by itself after {} records",
        seen.len()
    );
    seen
}

/// Everything in the journal, which must be an exact run of each child's records.
fn check(dir: &Path, acknowledged: &[(u64, u64, u64)]) {
    let mut reader = Reader::open_dir(dir).unwrap();
    let mut wanted = acknowledged.iter().peekable();
    let (mut child, mut next_record, mut expected_position) = (0, 0, 0);
    while let Some(item) = reader.read().unwrap() {
        let frame = match item {
            journal::Item::Frame(frame) => frame,
            // Only the end of the last child's writing may be torn.
            journal::Item::Damaged(damage) => {
                assert_eq!(damage.cause, journal::DamageCause::TornTail);
                continue;
            }
        };
        assert_eq!(frame.position, expected_position);
        expected_position += 1;
        if frame.kind == journal::BOOT_KIND {
            let (boot, recovered_end) = journal::Boot::from_frame(&frame.payload).unwrap();
            // A start that was killed between counting itself and its first frame leaves its number unused.
            assert!(boot.counter > child, "{boot:?} after {child}");
            assert_eq!(recovered_end, frame.position);
            (child, next_record) = (boot.counter, 0);
            continue;
        }
        let whole = payload(child, next_record);
        let limit = if next_record % 4 == 2 {
            238
        } else {
            usize::MAX
        };
        assert_eq!(frame.payload[..], whole[..whole.len().min(limit)]);
        if wanted
            .next_if(|ack| **ack == (frame.position, child, next_record))
            .is_none()
        {
            assert!(wanted.peek().is_none_or(|ack| ack.0 > frame.position));
        }
        next_record += 1;
    }
    assert_eq!(wanted.next(), None, "an acknowledged record is missing");
}

/// A killed process loses nothing of the page cache, so a directory in memory proves as much
/// as one on disk, sooner.
fn memory_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

#[test]
fn two_thousand_kills_lose_and_invent_nothing() {
    let started = Instant::now();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut draw = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut kills = 0;
    let mut records = 0;
    while kills < KILLS {
        let dir = memory_dir();
        let mut acknowledged = Vec::new();
        for _ in 0..KILLS_A_JOURNAL {
            let wanted = usize::try_from(draw(60)).unwrap();
            let linger = Duration::from_micros(draw(300));
            acknowledged.extend(run_child(dir.path(), wanted, linger));
            kills += 1;
        }
        records += acknowledged.len();
        check(dir.path(), &acknowledged);
    }
    println!(
        "{kills} kills, {records} acknowledged records, {:?}",
        started.elapsed()
    );
}
