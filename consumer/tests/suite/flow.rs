//! The way of a record when nothing goes wrong with the machine: what arrives, and what must not.

use consumer::State;
use schemas::{Micros, Outcome, UsageSource};

use crate::events::{DECEMBER_US, encode, event, refusal};
use crate::world::{DEADLINE, World};

#[tokio::test]
async fn every_record_arrives_once_and_the_audit_agrees() {
    let world = World::new().await;
    let consumer = world.consume();
    world.append(0..300);
    world.settle(&consumer).await;
    world.append(300..500);
    world.append_bytes(&encode(&refusal(500)));
    let status = world.settle(&consumer).await;
    assert_eq!((status.state.clone(), status.lag()), (State::Running, 0));
    assert_eq!(world.events().await, 501);
    assert_eq!(
        world
            .count("SELECT toUInt64(assumeNotNull(sum(input_text))) FROM usage_events FINAL")
            .await,
        499 * 500 / 2
    );
    assert_eq!(
        world
            .count("SELECT toUInt64(count() - uniqExact(offset)) FROM audit_log")
            .await,
        0
    );
    let cuts: Vec<(i64, i64)> = world
        .client
        .fetch_all("SELECT first, last FROM cuts FINAL ORDER BY first")
        .await
        .unwrap();
    let mut next = 0;
    for (first, last) in cuts {
        assert_eq!(first, next);
        next = last + 1;
    }
    assert_eq!(next, status.committed);

    let status = world.audit(&consumer).await;
    assert_eq!(
        (status.verified, status.repairs, status.surplus_copies),
        (status.committed, 0, 0)
    );
    assert_eq!(status.alarms, Vec::<String>::new());
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, consumer.registry()).unwrap();
    assert!(
        text.contains("tollgate_consumer_events_total 501"),
        "{text}"
    );
    assert!(
        text.contains(r#"tollgate_consumer_inserts_total{table="usage_events",result="ok"}"#),
        "{text}"
    );
    world.close(consumer).await;
}

#[tokio::test]
async fn a_batch_over_a_month_boundary_is_split() {
    let world = World::new().await;
    for (number, received_us) in [(0, DECEMBER_US - 1), (1, DECEMBER_US), (2, DECEMBER_US - 2)] {
        let mut event = event(number);
        event.received_us = Micros(received_us);
        world.append_bytes(&encode(&event));
    }
    let consumer = world.consume();
    world.settle(&consumer).await;
    let months: Vec<(String, u64)> = world
        .client
        .fetch_all("SELECT _partition_id AS month, count() FROM usage_events GROUP BY month ORDER BY month")
        .await
        .unwrap();
    assert_eq!(months, [("202611".to_owned(), 2), ("202612".to_owned(), 1)]);
    assert_eq!(world.count("SELECT count() FROM cuts").await, 1);
    assert_eq!(world.audit(&consumer).await.repairs, 0);
    world.close(consumer).await;
}

#[tokio::test]
async fn noise_is_a_dead_letter_with_its_bytes_and_its_reason() {
    let world = World::new().await;
    let noise: [&[u8]; 4] = [
        b"",
        b"{",
        &[0xff, 0xfe, 0, b'\n', b'\n', 0x80],
        br#"{"wire":"v1","tenant":"canary"}"#,
    ];
    world.append(0..1);
    for bytes in noise {
        world.append_bytes(bytes);
    }
    let consumer = world.consume();
    world.settle(&consumer).await;
    let kept: Vec<(String, String)> = world
        .client
        .fetch_all(
            "SELECT hex(bytes), reason FROM audit_log WHERE fate = 'dead_letter' ORDER BY offset",
        )
        .await
        .unwrap();
    let bytes: Vec<_> = kept.iter().map(|(bytes, _)| bytes.clone()).collect();
    assert_eq!(bytes, noise.map(hex::encode_upper));
    for (_, reason) in &kept {
        assert!(!reason.is_empty() && !reason.contains("canary"), "{reason}");
    }
    assert_eq!(
        world
            .count("SELECT toUInt64(sum(dead_letters)) FROM cuts FINAL")
            .await,
        4
    );
    assert_eq!(world.events().await, 1);
    assert_eq!(world.audit(&consumer).await.repairs, 0);
    world.close(consumer).await;
}

#[tokio::test]
async fn a_record_of_a_newer_version_stops_the_source_and_is_no_dead_letter() {
    let world = World::new().await;
    let consumer = world.consume();
    world.append(0..3);
    world.settle(&consumer).await;
    world.append(3..5);
    world.append_bytes(br#"{"wire":"v2","new":"field"}"#);
    world.append(5..7);
    world.journal.sync_now().await.unwrap();
    let status = tokio::time::timeout(DEADLINE, consumer.ended())
        .await
        .expect("it must stop");
    let State::Halted(reason) = status.state else {
        panic!("{status:?}")
    };
    assert!(
        reason.contains("v2") && reason.contains("upgrade"),
        "{reason}"
    );
    assert_eq!(status.alarms.len(), 1);
    assert!(status.readable_end > status.committed);
    assert_eq!(
        (
            world.events().await,
            world
                .count("SELECT countIf(fate = 'dead_letter') FROM audit_log")
                .await
        ),
        (3, 0)
    );
    world.close(consumer).await;
}

#[tokio::test]
async fn of_two_records_of_one_event_the_better_one_counts_and_is_no_loss() {
    let world = World::new().await;
    let known = event(1);
    let mut unknown = event(1);
    unknown.outcome = Outcome::Unknown;
    unknown.usage_source = UsageSource::None;
    unknown.lines.clear();
    unknown.producer_seq = 0;
    for record in [&unknown, &known] {
        world.append_bytes(&encode(record));
        let consumer = world.consume();
        world.settle(&consumer).await;
        consumer.drain();
        consumer.ended().await;
    }
    world.execute("OPTIMIZE TABLE usage_events FINAL").await;
    let consumer = world.consume();
    let status = world.audit(&consumer).await;
    assert_eq!((status.repairs, status.alarms.len()), (0, 0), "{status:?}");
    assert_eq!(
        world
            .count("SELECT count() FROM usage_events WHERE outcome = 'completed'")
            .await,
        1
    );
    assert_eq!(world.events().await, 1);
    world.close(consumer).await;
}

#[tokio::test]
async fn draining_writes_what_waits_without_the_linger() {
    let world = World::new().await;
    let mut options = world.options();
    options.linger = DEADLINE;
    let consumer = consumer::spawn(world.source(), options).unwrap();
    world.append(0..10);
    world.journal.sync_now().await.unwrap();
    consumer.drain();
    let status = tokio::time::timeout(DEADLINE / 2, consumer.ended())
        .await
        .expect("it must end");
    assert_eq!((status.state, world.events().await), (State::Ended, 10));
    world.close(consumer).await;
}

#[tokio::test]
async fn a_refused_insert_stops_with_an_alarm_and_goes_on_once_the_cause_is_gone() {
    let world = World::new().await;
    let consumer = world.consume();
    world.append(0..3);
    world.settle(&consumer).await;
    world
        .execute("RENAME TABLE usage_events TO elsewhere")
        .await;
    world.append(3..5);
    let status = tokio::time::timeout(DEADLINE, consumer.ended())
        .await
        .expect("it must stop");
    let State::Halted(reason) = status.state else {
        panic!("{status:?}")
    };
    assert!(reason.contains("usage_events"), "{reason}");
    assert_eq!(status.alarms, [reason]);
    world
        .execute("RENAME TABLE elsewhere TO usage_events")
        .await;
    let consumer = world.consume();
    world.settle(&consumer).await;
    assert_eq!(world.events().await, 5);
    assert_eq!(
        world
            .count("SELECT toUInt64(count() - uniqExact(offset)) FROM audit_log")
            .await,
        0
    );
    world.close(consumer).await;
}

#[tokio::test]
async fn without_a_store_it_waits_says_so_and_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let journal = crate::world::open_journal(dir.path());
    // Port 9 is for discarding: nobody listens there.
    let nowhere = store::Client::connect(
        "http://127.0.0.1:9",
        "nobody",
        store::Password::new("none"),
        "tollgate",
    );
    let options = consumer::Options::new(nowhere, dir.path().join("consumer.cursor"));
    let source = consumer::JournalSource::new(journal, crate::world::PRODUCER);
    let consumer = consumer::spawn(source, options).unwrap();
    let waiting = consumer.wait_for(|status| status.state == State::WaitingForStore);
    let status = tokio::time::timeout(DEADLINE, waiting)
        .await
        .expect("it must wait");
    assert!(
        status
            .last_error
            .is_some_and(|error| error.contains("not available"))
    );
    consumer.stop();
    let status = tokio::time::timeout(DEADLINE, consumer.ended())
        .await
        .expect("it must end");
    assert_eq!((status.state, status.committed), (State::Ended, 0));
}
