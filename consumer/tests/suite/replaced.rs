//! Another journal under the cursor of the one before: begun anew, or an older copy put back.

use std::path::Path;

use consumer::{Handle, State};

use crate::world::{DEADLINE, World, open_journal};

async fn end(consumer: Handle) {
    consumer.drain();
    consumer.ended().await;
}

/// Closes the journal, lets `change` do as it likes with its directory, and opens it again.
fn change_journal(world: &mut World, change: impl FnOnce(&Path)) {
    world.journal.close().unwrap();
    change(&world.dir.path().join("journal"));
    world.journal = open_journal(world.dir.path());
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

async fn topics(world: &World) -> u64 {
    world
        .count("SELECT toUInt64(uniqExact(topic)) FROM cuts")
        .await
}

#[tokio::test]
async fn a_journal_that_was_begun_anew_is_read_from_its_beginning_however_often_it_starts() {
    let mut world = World::new().await;
    let consumer = world.consume();
    world.append(0..50);
    world.settle(&consumer).await;
    end(consumer).await;
    let old = hex::encode(world.journal.identity());
    change_journal(&mut world, |dir| std::fs::remove_dir_all(dir).unwrap());
    let new = hex::encode(world.journal.identity());
    // At the first start the new journal is shorter than what the cursor says, at the second it is longer.
    for (start, numbers) in [50..60, 60..250, 250..260].into_iter().enumerate() {
        world.append(numbers.clone());
        let consumer = world.consume();
        let status = world.settle(&consumer).await;
        assert_eq!(status.state, State::Running);
        assert_eq!(world.events().await, numbers.end);
        let told = status.alarms.join("\n");
        assert_eq!(status.alarms.len(), usize::from(start == 0), "{told}");
        assert!(
            start > 0 || told.contains(&old) && told.contains(&new),
            "{told}"
        );
        let status = world.audit(&consumer).await;
        assert_eq!((status.verified, status.repairs), (status.committed, 0));
        end(consumer).await;
        change_journal(&mut world, |_| {});
    }
    assert_eq!(topics(&world).await, 2);
    let consumer = world.consume();
    world.close(consumer).await;
}

#[tokio::test]
async fn an_older_copy_of_the_journal_that_was_written_on_is_refused_at_every_start() {
    let mut world = World::new().await;
    let consumer = world.consume();
    world.append(0..10);
    world.settle(&consumer).await;
    end(consumer).await;
    let backup = world.dir.path().join("backup");
    change_journal(&mut world, |dir| copy(dir, &backup));
    world.append(10..50);
    let consumer = world.consume();
    world.settle(&consumer).await;
    end(consumer).await;
    change_journal(&mut world, |dir| {
        std::fs::remove_dir_all(dir).unwrap();
        copy(&backup, dir);
    });
    // Longer than what was read: only who wrote it tells.
    world.append(50..200);
    world.journal.sync_now().await.unwrap();
    for _start in 0..2 {
        let consumer = world.consume();
        let status = tokio::time::timeout(DEADLINE, consumer.ended())
            .await
            .expect("it must stop");
        let State::Halted(reason) = status.state else {
            panic!("{status:?}")
        };
        assert!(
            reason.contains("not the log that was read before"),
            "{reason}"
        );
        assert_eq!(status.alarms, [reason]);
        assert_eq!(world.events().await, 50);
        change_journal(&mut world, |_| {});
    }
    // The way out that the alarm names.
    std::fs::remove_file(world.dir.path().join("consumer.cursor")).unwrap();
    let source = consumer::JournalSource::new(world.journal.clone(), "gw-2");
    let consumer = consumer::spawn(source, world.options()).unwrap();
    world.settle(&consumer).await;
    assert_eq!(world.events().await, 200);
    world.close(consumer).await;
}

/// Rows of an earlier version stand under a topic without the journal's identity. A cursor that took them over says from where on the
/// journal's own topic counts; without it the store does.
#[tokio::test]
async fn without_the_cursor_that_took_over_an_earlier_versions_rows_they_are_not_written_again() {
    let world = World::new().await;
    let consumer = world.consume();
    for numbers in [0..50, 50..80] {
        world.append(numbers);
        world.settle(&consumer).await;
    }
    end(consumer).await;
    let second = world.count("SELECT toUInt64(max(first)) FROM cuts").await;
    let of_the_first = [
        ("audit_log", "offset"),
        ("usage_events", "offset"),
        ("cuts", "first"),
    ];
    for (table, column) in of_the_first {
        let moved = format!(
            "INSERT INTO {table} SELECT * REPLACE ('journal:gw-1' AS topic) FROM {table} WHERE {column} < {second}"
        );
        world.execute(&moved).await;
        let gone = format!(
            "ALTER TABLE {table} DELETE WHERE {column} < {second} AND topic != 'journal:gw-1'"
        );
        world.execute(&gone).await;
    }
    let rows = "SELECT count() FROM audit_log";
    let before = world.count(rows).await;
    std::fs::remove_file(world.dir.path().join("consumer.cursor")).unwrap();
    let consumer = world.consume();
    let status = world.audit(&consumer).await;
    assert_eq!(status.alarms, Vec::<String>::new());
    assert_eq!((world.count(rows).await, status.repairs), (before, 0));
    assert_eq!(world.events().await, 80);
    world.close(consumer).await;
}
