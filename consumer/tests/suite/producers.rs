//! What producers say of themselves, against the real engine: it reaches the store, missing numbers are named and close again,
//! and who falls silent is written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use consumer::letters::{beside, kept};
use consumer::{Gap, Handle, Options, Report};
use schemas::{ProducerState, RecordKind};

use crate::events::{MID_NOVEMBER_US, beat, boot, encode, event, life};
use crate::world::{DEADLINE, PRODUCER, World};

fn watching(world: &World) -> Options {
    Options {
        watch_every: Duration::from_millis(40),
        ..world.options()
    }
}

/// Waits until the watch says so.
async fn until(consumer: &Handle, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
    let waiting = async {
        loop {
            let report = consumer.producers();
            if holds(&report) {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.unwrap_or_else(|_| panic!("not {what}: {:?}", consumer.producers()))
}

fn gap(first: i64, last: i64) -> Gap {
    Gap {
        producer: PRODUCER.to_owned(),
        boot: boot().to_string(),
        first,
        last,
    }
}

fn say(world: &World, position: i64, last: i64) {
    let beat = beat(PRODUCER, position, Some(last));
    world.append_of(RecordKind::Heartbeat, &beat.encode());
}

#[tokio::test]
async fn what_producers_say_is_in_the_store_once_however_often_it_is_written() {
    let world = World::new().await;
    world.append(0..3);
    say(&world, 3, 1);
    say(&world, 4, 2);
    let closed = life(PRODUCER, 5, ProducerState::Closed);
    world.append_of(RecordKind::Producer, &closed.encode());
    world.append(3..4);
    let reached = Arc::new(AtomicBool::new(false));
    let of_hold = reached.clone();
    let options = Options {
        hold: Some(Arc::new(move |point| {
            let is_there = point == "consumer.between_insert_and_commit";
            of_hold.fetch_or(is_there, Ordering::AcqRel);
            is_there
        })),
        ..world.options()
    };
    world.journal.sync_now().await.unwrap();
    let dying = consumer::spawn(world.source(), options).unwrap();
    while !reached.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dying.abort();
    dying.ended().await;
    let written = "SELECT count() FROM producer_log FINAL WHERE producer = 'gw-1'";
    assert_eq!(world.count(written).await, 2, "before the commit");

    let consumer = world.consume();
    world.settle(&consumer).await;
    assert_eq!(world.count(written).await, 2, "written again");
    let beat = "SELECT count() FROM producer_log FINAL WHERE kind = 'heartbeat' AND last_producer_seq = 2 AND admitted = 7 \
        AND settled = 4 AND open = 3 AND reserved_units['output_text'] = 90 AND synced_position = 4 \
        AND toUnixTimestamp64Micro(oldest_open) = 1794744000000000 AND bytes LIKE '{\"wire\":%'";
    assert_eq!(world.count(beat).await, 1);
    let closed = "SELECT count() FROM producer_log FINAL WHERE kind = 'closed' AND admitted IS NULL AND by_whom = ''";
    assert_eq!(world.count(closed).await, 1);
    world.close(consumer).await;
}

#[tokio::test]
async fn one_row_that_the_store_refuses_is_named_and_costs_no_other() {
    let world = World::new().await;
    world
        .execute("ALTER TABLE producer_log ADD CONSTRAINT known CHECK producer != 'gw-bad'")
        .await;
    world.append(0..3);
    say(&world, 3, 2);
    for producer in ["gw-bad", "gw-2"] {
        let beat = beat(producer, 3, Some(2));
        world.append_of(RecordKind::Heartbeat, &beat.encode());
    }
    let consumer = world.consume();
    let status = world.settle(&consumer).await;
    let rows = "SELECT uniqExact(producer) FROM producer_log WHERE producer IN ('gw-1', 'gw-2')";
    assert_eq!(world.count(rows).await, 2);
    let is_named = |alarm: &String| alarm.contains("gw-bad") && alarm.contains("refused");
    let named = |alarms: &[String]| alarms.iter().filter(|alarm| is_named(alarm)).count();
    assert_eq!(named(&status.alarms), 1, "{:?}", status.alarms);
    consumer.stop();
    consumer.ended().await;
    drop(tokio::task::spawn_blocking(|| consumer.join()).await);

    // Its place is passed; a start later it is still named, and there is a letter of it.
    let letters = kept(&beside(&world.options().cursor)).unwrap();
    let whose = letters
        .iter()
        .map(|letter| letter.reason.contains("gw-bad"));
    assert_eq!(whose.collect::<Vec<_>>(), [true]);
    assert_eq!(letters[0].bytes, beat("gw-bad", 3, Some(2)).encode());
    let consumer = world.consume();
    world.append(3..4);
    let status = world.settle(&consumer).await;
    assert_eq!(named(&status.alarms), 1, "{:?}", status.alarms);
    world.close(consumer).await;
}

#[tokio::test]
async fn a_table_that_takes_nothing_is_tried_again_and_nothing_is_dropped() {
    let world = World::new().await;
    world.execute("RENAME TABLE producer_log TO away").await;
    world.append(0..3);
    say(&world, 3, 2);
    let consumer = world.consume();
    let status = world.settle(&consumer).await;
    assert!(!status.alarms.is_empty());
    world.execute("RENAME TABLE away TO producer_log").await;
    world.append(3..4);
    world.settle(&consumer).await;
    assert_eq!(
        world
            .count(
                "SELECT toUInt64(assumeNotNull(max(last_producer_seq))) FROM producer_log WHERE producer = 'gw-1'"
            )
            .await,
        2
    );
    world.close(consumer).await;
}

#[tokio::test]
async fn what_a_table_does_not_take_outlasts_a_restart_behind_which_the_log_is_read_on() {
    let world = World::new().await;
    world.execute("RENAME TABLE producer_log TO away").await;
    world.append(0..3);
    say(&world, 3, 2);
    let live = life(PRODUCER, 4, ProducerState::Live);
    world.append_of(RecordKind::Producer, &live.encode());
    let consumer = world.consume();
    world.settle(&consumer).await;
    consumer.stop();
    consumer.ended().await;
    drop(tokio::task::spawn_blocking(|| consumer.join()).await);
    let cursor = world.options().cursor;
    let file = cursor.with_file_name(schemas::fs_names::WAITING_LIVES);
    assert!(file.exists());

    world.execute("RENAME TABLE away TO producer_log").await;
    world.append(3..4);
    let consumer = world.consume();
    world.settle(&consumer).await;
    let written = "SELECT count() FROM producer_log FINAL WHERE producer = 'gw-1' AND kind IN ('heartbeat', 'live')";
    assert_eq!(world.count(written).await, 2);
    assert!(!file.exists());
    world.close(consumer).await;
}

#[tokio::test]
async fn a_missing_number_is_named_and_the_gap_closes_when_it_turns_up() {
    let world = World::new().await;
    world.append(0..4);
    world.append(5..8);
    say(&world, 1, 9);
    let consumer = consumer::spawn(world.source(), watching(&world)).unwrap();
    let report = until(&consumer, "three numbers missing", |report| {
        report.missing > 0
    })
    .await;
    assert_eq!(report.gaps, [gap(4, 4), gap(8, 9)]);
    assert_eq!(report.missing, 3);
    assert!(report.json().contains(r#""first":8,"last":9"#));

    for number in [4, 9] {
        world.append_bytes(&encode(&event(number)));
    }
    say(&world, 2, 9);
    until(&consumer, "one number missing", |report| {
        report.gaps == [gap(8, 8)]
    })
    .await;
    world.append(8..9);
    let report = until(&consumer, "nothing missing", |report| report.missing == 0).await;
    assert_eq!(report.producers[0].checked, Some(9));
    world.close(consumer).await;
}

#[tokio::test]
async fn a_tail_that_was_claimed_before_this_start_is_missed_too() {
    let world = World::new().await;
    world.append(0..3);
    say(&world, 1, 2);
    let consumer = consumer::spawn(world.source(), watching(&world)).unwrap();
    until(&consumer, "three numbers found", |report| {
        report.producers.iter().any(|of| of.checked == Some(2))
    })
    .await;
    say(&world, 2, 5);
    until(&consumer, "a tail missing", |report| {
        report.gaps == [gap(3, 5)]
    })
    .await;
    consumer.stop();
    consumer.ended().await;
    let again = consumer::spawn(world.source(), watching(&world)).unwrap();
    until(&again, "a tail missing", |report| {
        report.gaps == [gap(3, 5)]
    })
    .await;
    world.close(again).await;
}

/// Clocks of producers may be wrong, and journals of burnt machines are published late: what comes now is looked at now.
#[tokio::test]
async fn a_claim_with_a_clock_of_long_ago_is_heard_at_the_next_look() {
    let world = World::new().await;
    let options = Options {
        watch_every: Duration::from_secs(1),
        clock: || MID_NOVEMBER_US + 400 * 86_400_000_000,
        ..world.options()
    };
    let consumer = consumer::spawn(world.source(), options).unwrap();
    until(&consumer, "a first look", |report| report.looks > 0).await;
    world.append(0..2);
    say(&world, 1, 2);
    let report = until(&consumer, "a number missing", |report| report.missing > 0).await;
    assert_eq!(report.gaps, [gap(2, 2)]);
    world.close(consumer).await;
}

#[tokio::test]
async fn silence_is_written_down_once_and_a_sign_of_life_takes_it_back() {
    let world = World::new().await;
    let options = Options {
        silent_after: Duration::from_millis(200),
        ..watching(&world)
    };
    say(&world, 1, -1);
    world.append(0..1);
    let consumer = consumer::spawn(world.source(), options).unwrap();
    let is = |state: &'static str| {
        move |report: &Report| report.producers.iter().any(|of| of.state == state)
    };
    until(&consumer, "silent", is("silent")).await;
    let silent = "SELECT count() FROM producer_log FINAL WHERE kind = 'silent' AND synced_position = 1 \
        AND by_whom LIKE 'journal:gw-1:%' AND why LIKE 'no sign of life%'";
    assert_eq!(world.count(silent).await, 1);
    say(&world, 2, 0);
    until(&consumer, "live", is("live")).await;
    until(&consumer, "silent again", is("silent")).await;
    let closed = life(PRODUCER, 3, ProducerState::Closed);
    world.append_of(RecordKind::Producer, &closed.encode());
    world.append(1..2);
    until(&consumer, "closed", is("closed")).await;
    let all = "SELECT count() FROM producer_log FINAL WHERE kind = 'silent'";
    assert_eq!(world.count(all).await, 2);
    world.close(consumer).await;
}

#[tokio::test]
async fn numbers_that_are_not_there_are_not_gone_through_one_by_one() {
    const CLAIMED: i64 = 9_000_000_000;
    let world = World::new().await;
    world.append(0..3);
    let mut far = event(3);
    far.producer_seq = CLAIMED - 1;
    world.append_bytes(&encode(&far));
    say(&world, 4, CLAIMED);
    let consumer = consumer::spawn(world.source(), watching(&world)).unwrap();
    let report = until(&consumer, "the gaps", |report| report.gaps.len() > 1).await;
    assert_eq!(
        report.gaps,
        [gap(3, CLAIMED - 2), gap(CLAIMED, CLAIMED)],
        "each is one gap"
    );
    world.close(consumer).await;
}
