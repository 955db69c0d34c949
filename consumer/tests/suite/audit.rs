//! The audit: whatever is taken out of the store is found and put back from the log, or an alarm is raised.

use std::sync::Arc;

use consumer::{JournalSource, State, Status};
use journal::{Journal, RealLayer};
use tokio_util::sync::CancellationToken;

use crate::world::{DEADLINE, PRODUCER, World};

const TABLES: [&str; 3] = ["audit_log", "usage_events", "cuts"];

/// Three batches, verified.
async fn filled() -> (World, consumer::Handle, String) {
    let world = World::new().await;
    let consumer = world.consume();
    for from in [0, 50, 100] {
        world.append(from..from + 50);
        world.settle(&consumer).await;
    }
    let status = world.audit(&consumer).await;
    assert_eq!((status.verified, status.repairs), (status.committed, 0));
    let content = world.content().await;
    (world, consumer, content)
}

/// Damages the store under a running consumer that had verified everything, and expects a repair.
async fn repaired(damage: &str) -> Status {
    let (world, consumer, content) = filled().await;
    world.execute(damage).await;
    assert_ne!(
        world.content().await,
        content,
        "the damage does nothing: {damage}"
    );
    let status = world.audit(&consumer).await;
    assert_eq!(world.content().await, content, "{damage}");
    assert_eq!(status.alarms, Vec::<String>::new(), "{damage}");
    assert!(status.repairs > 0, "{damage}");
    assert_eq!(
        world
            .count("SELECT toUInt64(count() - uniqExact(offset)) FROM audit_log")
            .await,
        status.surplus_copies
    );
    let again = world.audit(&consumer).await;
    assert_eq!(
        (again.repairs, again.verified),
        (status.repairs, again.committed),
        "a repair is not repeated: {damage}"
    );
    world.close(consumer).await;
    status
}

#[tokio::test]
async fn a_deleted_row_of_audit_log_is_put_back() {
    let status = repaired("ALTER TABLE audit_log DELETE WHERE producer_seq = 70").await;
    assert_eq!(status.repairs, 1);
    assert!(status.surplus_copies >= 49, "{status:?}");
}

#[tokio::test]
async fn a_deleted_row_of_usage_events_is_put_back() {
    assert_eq!(
        repaired("ALTER TABLE usage_events DELETE WHERE producer_seq = 149")
            .await
            .repairs,
        1
    );
}

#[tokio::test]
async fn a_deleted_cut_is_put_back() {
    let status = repaired(
        "ALTER TABLE cuts DELETE WHERE first = (SELECT max(first) FROM cuts WHERE first > 0)",
    )
    .await;
    assert_eq!(status.repairs, 1);
}

/// The rows of its batch lie between two cuts then: they belong to neither.
#[tokio::test]
async fn a_deleted_cut_in_the_middle_is_put_back_and_the_batch_before_it_is_left_alone() {
    let status = repaired(
        "ALTER TABLE cuts DELETE WHERE first = (SELECT first FROM cuts ORDER BY first LIMIT 1 OFFSET 1)",
    )
    .await;
    assert_eq!(status.repairs, 1);
}

/// Takes the first records of the middle batch out of the store, and moves the beginning of its cut behind them: as if a reader had
/// begun there, off every boundary of the log.
async fn begun_off_a_boundary(world: &World) {
    let middle = "SELECT first FROM cuts ORDER BY first LIMIT 1 OFFSET 1";
    let first = world
        .count(&format!("SELECT assumeNotNull(toUInt64(({middle})))"))
        .await;
    let last = format!("SELECT last FROM cuts WHERE first = {first}");
    let later = format!(
        "SELECT offset FROM audit_log WHERE offset >= {first} ORDER BY offset LIMIT 1 OFFSET 7"
    );
    let begun = world
        .count(&format!("SELECT assumeNotNull(toUInt64(({later})))"))
        .await;
    let digest = "SHA256(unhex(arrayStringConcat(arrayMap(r -> hex(r.2), arraySort(groupArray((offset, leaf)))))))";
    world
        .execute(&format!(
            "INSERT INTO cuts SELECT any(topic), any(partition), {begun}, ({last}), count(), countIf(fate = 'event'), \
             countIf(fate = 'dead_letter'), {digest}, 0 FROM audit_log WHERE offset >= {begun} AND offset <= ({last})"
        ))
        .await;
    let gone = format!("offset >= {first} AND offset < {begun}");
    for (table, which) in [
        ("audit_log", gone.as_str()),
        ("usage_events", &gone),
        ("cuts", &format!("first = {first}")),
    ] {
        world
            .execute(&format!("ALTER TABLE {table} DELETE WHERE {which}"))
            .await;
    }
}

#[tokio::test]
async fn places_between_two_cuts_are_written_again_where_no_batch_of_the_log_ends_with_them() {
    let (world, consumer, content) = filled().await;
    let tables = |content: &str| -> Vec<String> {
        let of_cuts = |line: &&str| line.matches(',').count() < 10;
        let others = content.lines().filter(|line| !of_cuts(line));
        others.map(ToOwned::to_owned).collect()
    };
    begun_off_a_boundary(&world).await;
    assert_eq!(world.events().await, 143);
    let status = world.audit(&consumer).await;
    assert_eq!(status.alarms, Vec::<String>::new());
    assert_eq!((status.repairs, status.surplus_copies), (1, 0));
    assert_eq!(tables(&world.content().await), tables(&content));
    let gaps = "SELECT countIf(first != before + 1) FROM (SELECT first, lagInFrame(last, 1, first - 1) \
         OVER (ORDER BY first) AS before FROM cuts FINAL)";
    assert_eq!(world.count(gaps).await, 0);

    // What was written so is a batch like any other: lost again, it is put back again.
    world.execute("TRUNCATE TABLE audit_log").await;
    let status = world.audit(&consumer).await;
    assert_eq!(status.alarms, Vec::<String>::new());
    assert_eq!(tables(&world.content().await), tables(&content));
    world.close(consumer).await;
}

#[tokio::test]
async fn emptied_tables_are_filled_again_while_running() {
    for table in TABLES {
        repaired(&format!("TRUNCATE TABLE {table}")).await;
    }
}

#[tokio::test]
async fn emptied_tables_are_filled_again_at_the_next_start() {
    let (world, consumer, content) = filled().await;
    consumer.stop();
    consumer.ended().await;
    for table in TABLES {
        world.execute(&format!("TRUNCATE TABLE {table}")).await;
    }
    let consumer = world.consume();
    let status = world.audit(&consumer).await;
    assert_eq!(
        (
            world.content().await,
            status.surplus_copies,
            status.alarms.len()
        ),
        (content, 0, 0)
    );
    world.close(consumer).await;
}

#[tokio::test]
async fn without_a_cursor_it_goes_on_after_the_last_cut() {
    let (world, consumer, content) = filled().await;
    consumer.stop();
    consumer.ended().await;
    std::fs::remove_file(world.dir.path().join("consumer.cursor")).unwrap();
    let consumer = world.consume();
    let status = world.audit(&consumer).await;
    assert_eq!(
        (world.content().await, status.repairs, status.surplus_copies),
        (content, 0, 0)
    );
    world.close(consumer).await;
}

/// A row that was taken out is put back only as it was: else whoever changes the log and takes the row gets a cut that fits.
#[tokio::test]
async fn a_repair_does_not_replace_the_digest_of_a_cut() {
    let (world, consumer, _) = filled().await;
    consumer.stop();
    consumer.ended().await;
    let digests = "SELECT groupUniqArray(hex(digest)) FROM cuts FINAL";
    let forged = "unhex(repeat('fe', 32))";
    world
        .execute(&format!(
            "ALTER TABLE cuts UPDATE digest = {forged} WHERE 1"
        ))
        .await;
    let told: Vec<String> = world.client.query(digests).fetch_one().await.unwrap();
    world
        .execute("ALTER TABLE audit_log DELETE WHERE producer_seq = 70")
        .await;
    let consumer = world.consume();
    let status = world.audit(&consumer).await;
    let is_told = |alarm: &String| alarm.contains("other bytes there than the cut was made of");
    assert!(status.alarms.iter().any(is_told), "{:?}", status.alarms);
    let still: Vec<String> = world.client.query(digests).fetch_one().await.unwrap();
    assert_eq!((still, status.repairs), (told, 0));
    world.close(consumer).await;
}

#[tokio::test]
async fn changed_bytes_in_the_store_are_an_alarm_that_does_not_go_away() {
    let (world, consumer, _) = filled().await;
    consumer.stop();
    consumer.ended().await;
    world
        .execute("ALTER TABLE audit_log UPDATE bytes = 'forged' WHERE producer_seq = 70")
        .await;
    for _ in 0..2 {
        let consumer = world.consume();
        let status = world.audit(&consumer).await;
        assert_eq!(status.state, State::Running);
        assert!(
            status.alarms.iter().any(|alarm| alarm.contains("digest")),
            "{:?}",
            status.alarms
        );
        consumer.stop();
        consumer.ended().await;
    }
    let consumer = world.consume();
    world.close(consumer).await;
}

#[tokio::test]
async fn replaying_the_whole_log_changes_no_number() {
    let (world, consumer, content) = filled().await;
    consumer.stop();
    consumer.ended().await;
    let events = world.events().await;
    for round in 1..=2 {
        let replayed = consumer::replay(&world.source(), world.options(), CancellationToken::new())
            .await
            .unwrap();
        assert_eq!((replayed.batches, replayed.repair_epoch), (3, round));
        assert_eq!(
            (world.content().await, world.events().await),
            (content.clone(), events)
        );
    }
    for table in TABLES {
        world.execute(&format!("TRUNCATE TABLE {table}")).await;
    }
    consumer::replay(&world.source(), world.options(), CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(world.content().await, content);
    let consumer = world.consume();
    let status = world.audit(&consumer).await;
    assert_eq!(
        (status.repairs, status.surplus_copies, status.alarms.len()),
        (0, 0, 0)
    );
    world.close(consumer).await;
}

/// Three batches, of which the journal keeps the end only: retired in the middle of one. Gives the first place it keeps.
async fn partly_retired() -> (World, consumer::Handle, i64) {
    let mut world = World::new().await;
    let mut small = journal::Options::new(world.dir.path().join("small"));
    small.segment_bytes = 64 << 10;
    world.journal = Journal::open(small, Arc::new(RealLayer)).unwrap().0;
    let consumer = world.consume();
    for from in [0, 50, 100] {
        world.append(from..from + 50);
        world.settle(&consumer).await;
    }
    let committed = u64::try_from(consumer.status().committed).unwrap();
    assert!(world.journal.retire_before(committed).unwrap() > 0);
    let kept = i64::try_from(world.journal.stats().first).unwrap();
    (world, consumer, kept)
}

/// A process of its own begins with nothing verified.
async fn started_again(world: &World, consumer: consumer::Handle) -> consumer::Handle {
    consumer.stop();
    consumer.ended().await;
    let source = JournalSource::new(world.journal.clone(), PRODUCER);
    consumer::spawn(source, world.options()).unwrap()
}

#[tokio::test]
async fn what_the_log_no_longer_has_is_an_alarm_and_the_rest_is_put_back() {
    let (world, consumer, kept) = partly_retired().await;
    for table in TABLES {
        world.execute(&format!("TRUNCATE TABLE {table}")).await;
    }
    let consumer = started_again(&world, consumer).await;
    let status = world.audit(&consumer).await;
    let wanted = format!("no cut covers 0-{}", kept - 1);
    assert!(
        matches!(&status.alarms[..], [alarm] if alarm.contains(&wanted)),
        "{:?}",
        status.alarms
    );
    assert_eq!(
        (status.verified, status.audits > 0),
        (status.committed, true),
        "more of the log is kept for what it does not have"
    );
    assert_eq!(
        world
            .count("SELECT toUInt64(min(offset)) FROM audit_log")
            .await,
        u64::try_from(kept).unwrap()
    );
    world.append(150..160);
    let settled = tokio::time::timeout(DEADLINE, world.settle(&consumer))
        .await
        .unwrap();
    assert_eq!(settled.state, State::Running);
    let status = world.audit(&consumer).await;
    assert_eq!(status.verified, status.committed);
    world.close(consumer).await;
}

/// Batches that the log has in part or not at all, and whose cuts are there: what it has is put back, what it has not is told, and
/// none of it holds up the journal.
#[tokio::test]
async fn of_a_batch_that_the_log_has_in_part_its_rest_is_put_back_once() {
    let (world, consumer, kept) = partly_retired().await;
    let within = "SELECT count() FROM cuts WHERE first < {kept} AND last >= {kept}";
    let within = within.replace("{kept}", &kept.to_string());
    assert_eq!(world.count(&within).await, 1, "{kept} is inside of a batch");
    let rest = format!("SELECT count() FROM usage_events FINAL WHERE offset >= {kept}");
    let (before, cuts) = (
        world.count(&rest).await,
        world.count("SELECT count() FROM cuts").await,
    );
    world.execute("TRUNCATE TABLE usage_events").await;
    let mut consumer = started_again(&world, consumer).await;
    let mut rows = 0;
    for round in 0..2 {
        let status = world.audit(&consumer).await;
        assert!(!status.alarms.is_empty(), "{status:?}");
        let is_told = |alarm: &String| alarm.contains("no longer in the log");
        assert!(status.alarms.iter().all(is_told), "{:?}", status.alarms);
        assert_eq!(status.verified, status.committed, "{status:?}");
        assert_eq!(world.count(&rest).await, before, "{status:?}");
        let now = world.count("SELECT count() FROM audit_log").await;
        assert!(round == 0 || now == rows, "nothing is inserted twice");
        rows = now;
        consumer = started_again(&world, consumer).await;
    }
    let now = world.count("SELECT count() FROM cuts FINAL").await;
    assert_eq!(now, cuts, "half a batch is no batch");
    world.close(consumer).await;
}

/// Somebody empties the next table while the first is being filled again: it is seen as what it is, not given up.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_hurt_while_it_is_repaired_is_repaired_again() {
    let (world, consumer, content) = filled().await;
    for table in TABLES {
        world.execute(&format!("TRUNCATE TABLE {table}")).await;
        let repairs = consumer.status().repairs;
        let auditing = world.audit(&consumer);
        let hurting = async {
            consumer.wait_for(|status| status.repairs > repairs).await;
            for other in TABLES {
                world.execute(&format!("TRUNCATE TABLE {other}")).await;
            }
        };
        tokio::join!(auditing, hurting);
        let mut status = world.audit(&consumer).await;
        for _ in 0..4 {
            if world.content().await == content {
                break;
            }
            status = world.audit(&consumer).await;
        }
        assert_eq!(world.content().await, content, "{table}: {status:?}");
        assert_eq!(status.alarms, Vec::<String>::new(), "{table}");
        assert_eq!(status.verified, status.committed, "{table}");
    }
    world.close(consumer).await;
}

/// What the log still has of a stretch is taken from the store once more while it is being put back: the audit must see that, for
/// the log may go as soon as it says that the store has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_what_is_gone_from_the_log_is_not_safe_when_it_is_hurt_again() {
    let (world, consumer, kept) = partly_retired().await;
    for from in [150, 200, 250] {
        world.append(from..from + 50);
        world.settle(&consumer).await;
    }
    consumer.stop();
    consumer.ended().await;
    for table in TABLES {
        world.execute(&format!("TRUNCATE TABLE {table}")).await;
    }
    let source = JournalSource::new(world.journal.clone(), PRODUCER);
    let consumer = consumer::spawn(source, world.options()).unwrap();
    // Once the first of several batches is back, while the others still come.
    let repaired = consumer.wait_for(|status| status.repairs > 0);
    tokio::time::timeout(DEADLINE, repaired).await.unwrap();
    for table in TABLES {
        world.execute(&format!("TRUNCATE TABLE {table}")).await;
    }
    world.audit(&consumer).await;
    let status = world.audit(&consumer).await;
    let rest = "SELECT toUInt64(min(offset)), toUInt64(uniqExact(offset)) FROM audit_log";
    let (first, records): (u64, u64) = world.client.query(rest).fetch_one().await.unwrap();
    assert_eq!(first, u64::try_from(kept).unwrap(), "{status:?}");
    let end = u64::try_from(status.committed).unwrap();
    assert!(
        records > 0 && first + records >= end - 5,
        "{records}: {status:?}"
    );
    world.close(consumer).await;
}

/// Bytes that changed are seen where contents are looked at, and only there: what was verified is not verified again because one
/// question was refused.
#[tokio::test]
async fn a_question_that_is_refused_costs_no_page_that_was_verified() {
    let (world, consumer, _) = filled().await;
    consumer.stop();
    consumer.ended().await;
    let options = consumer::Options {
        audit_every: std::time::Duration::from_millis(20),
        ..world.options()
    };
    let consumer = consumer::spawn(world.source(), options).unwrap();
    let verified =
        consumer.wait_for(|status| status.verified == status.committed && status.audits > 1);
    tokio::time::timeout(DEADLINE, verified).await.unwrap();
    world
        .execute("ALTER TABLE audit_log UPDATE bytes = 'forged' WHERE producer_seq = 70")
        .await;
    world.execute("RENAME TABLE cuts TO cuts_away").await;
    let told = consumer.wait_for(|status| {
        let mut alarms = status.alarms.iter();
        alarms.any(|alarm| alarm.contains("can not be audited"))
    });
    tokio::time::timeout(DEADLINE, told).await.unwrap();
    world.execute("RENAME TABLE cuts_away TO cuts").await;
    world.append(150..160);
    let settled = world.settle(&consumer).await;
    let verified = consumer
        .wait_for(|status| status.verified == status.committed && status.audits > settled.audits);
    let status = tokio::time::timeout(DEADLINE, verified).await.unwrap();
    let seen_again = |alarm: &String| alarm.contains("do not have its digest");
    assert!(!status.alarms.iter().any(seen_again), "{:?}", status.alarms);
    world.close(consumer).await;
}
