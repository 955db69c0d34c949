//! The worker before a record of a version to come.

use std::time::Duration;

use schemas::rows::Source as Place;
use schemas::wire::CUT_RECORD;
use schemas::{RecordKind, Text};

use super::*;
use crate::sample::{encode, event};

const BOUNDS: Bounds = Bounds {
    linger: Duration::from_millis(500),
    retry_first: Duration::from_millis(10),
    retry_most: Duration::from_secs(1),
    token_trust: Duration::from_hours(1),
    ahead: i64::MAX,
};
const NEWER: &[u8] = br#"{"wire":"v2","units_of_tomorrow":7}"#;

fn worker(boundary: i64) -> Worker {
    bounded(boundary, BOUNDS)
}

fn bounded(boundary: i64, bounds: Bounds) -> Worker {
    let place = Place {
        topic: Text::new("usage:1").expect("a name"),
        partition: 0,
    };
    Worker::new(Rows::new(place, boundary), bounds, None)
}

fn record(offset: i64, kind: RecordKind, bytes: &[u8]) -> Record {
    Record {
        offset,
        kind,
        bytes: bytes.to_vec().into(),
        stated: None,
        replay_of: None,
        kept: None,
    }
}

fn usage(offset: i64) -> Record {
    let number = u64::try_from(offset).expect("a place");
    record(offset, RecordKind::Usage, &encode(&event(number)))
}

fn cut(offset: i64) -> Record {
    record(offset, RecordKind::Cut, CUT_RECORD)
}

/// Does every step as told, and gives the batches that were committed.
fn work(worker: &mut Worker) -> Vec<(i64, i64, i64)> {
    let mut committed = Vec::new();
    while let Some(output) = worker.output() {
        let input = match output {
            Output::Begin(_) => continue,
            Output::Step { .. } => Input::Stepped(Fate::Done),
            Output::Commit(rows) => {
                committed.push((rows.first(), rows.last(), rows.events()));
                Input::Committed
            }
            other => panic!("nothing else is to be done: {other:?}"),
        };
        worker.take(input, Duration::ZERO).expect("not a record");
    }
    committed
}

/// What is read ahead is held in memory beside the batch in work.
#[test]
fn no_more_than_a_few_records_are_read_while_a_batch_is_in_work() {
    let now = Duration::ZERO;
    let mut worker = bounded(0, Bounds { ahead: 2, ..BOUNDS });
    for record in [usage(0), usage(1), usage(2), cut(3), usage(4)] {
        assert!(worker.wants_records(), "{}", record.offset);
        worker.take(Input::Record(&record), now).expect("known");
    }
    assert!(worker.wants_records());
    worker.take(Input::Record(&usage(5)), now).expect("known");
    assert!(!worker.wants_records());
    // No cut is appended for what can not be read on to.
    worker
        .take(Input::CaughtUp, now + BOUNDS.linger * 2)
        .expect("nothing to read");
    assert_eq!(work(&mut worker), [(0, 3, 3)]);
    assert!(worker.wants_records());
    worker.take(Input::Record(&cut(6)), now).expect("known");
    assert_eq!(work(&mut worker), [(4, 6, 2)]);
}

#[test]
fn what_stands_before_a_newer_record_is_ended_and_an_upgraded_reader_goes_on_without_a_gap() {
    let now = Duration::ZERO;
    let mut old = worker(0);
    for record in [usage(0), usage(1), cut(2), usage(3)] {
        old.take(Input::Record(&record), now).expect("it is known");
    }
    let newer = record(4, RecordKind::Usage, NEWER);
    for _ in 0..2 {
        let refused = old
            .take(Input::Record(&newer), now)
            .expect_err("it is not known");
        assert_eq!((refused.offset, refused.version.as_str()), (4, "v2"));
    }
    // The batch in work is brought to its end; nothing of the open one is written or committed.
    assert_eq!(work(&mut old), [(0, 2, 2)]);
    assert_eq!(old.boundary(), 3);
    assert!(old.is_waiting());

    // A program that knows the version: to it the record at 4 is an event like others.
    let mut upgraded = worker(old.boundary());
    for record in [usage(3), usage(4), cut(5)] {
        upgraded
            .take(Input::Record(&record), now)
            .expect("it is known");
    }
    assert_eq!(work(&mut upgraded), [(3, 5, 2)]);
}

/// Whoever finds the cut begins behind the batch: a letter that was not told before it would never be.
#[test]
fn letters_are_told_before_the_cut_is_written() {
    let now = Duration::ZERO;
    let mut worker = worker(0);
    for record in [usage(0), record(1, RecordKind::Usage, b"noise"), cut(2)] {
        worker.take(Input::Record(&record), now).expect("known");
    }
    let mut steps = Vec::new();
    while let Some(output) = worker.output() {
        let input = match output {
            Output::Step { step, .. } => {
                steps.push(step);
                Input::Stepped(Fate::Done)
            }
            Output::Commit(rows) => {
                assert_eq!(rows.dead_letters(), 1);
                break;
            }
            _ => continue,
        };
        worker.take(input, now).expect("not a record");
    }
    assert_eq!(
        steps,
        [Step::Audit, Step::Usage, Step::DeadLetters, Step::Cut]
    );
}
