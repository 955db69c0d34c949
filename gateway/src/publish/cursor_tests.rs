//! Tests of the cursor: which mark is believed, and what lies on the disk.

use std::path::Path;
use std::sync::Arc;

use super::*;

#[test]
fn another_topic_has_no_name_here_before_the_position_has_gone_back() {
    let mut mark = Mark::new([1, 2, 3, 4], "tollgate.usage.v1", 7);
    assert_eq!(mark.name_topic("a"), Ok(()));
    assert_eq!(mark.name_topic("a"), Ok(()));
    mark.position = 9;
    mark.name_topic("b").unwrap_err();
    assert_eq!((mark.topic_id.as_str(), mark.position), ("a", 9));
    mark.begin_again(2);
    assert_eq!(mark.name_topic("b"), Ok(()));
    assert_eq!((mark.topic_id.as_str(), mark.position), ("b", 2));
}

#[test]
fn a_mark_survives_however_many_partitions_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor::new(dir.path().join("p.cursor"), Arc::new(journal::RealLayer));
    assert_eq!(load(&cursor).unwrap(), None);
    let mut mark = Mark::new([1, 2, 3, 4], "tollgate.usage.v1", 7);
    mark.ends = vec![i64::MAX; 1_000];
    store(&cursor, &mark).unwrap();
    mark.ends.truncate(MAX_ENDS);
    assert_eq!(load(&cursor).unwrap(), Some(mark.clone()));
    cursor.store(b"{}").unwrap();
    assert!(matches!(load(&cursor), Err(CursorError::Unreadable(_))));
}

const TOPIC: &str = "tollgate.usage.v1";
const NEXT: &str = "second.usage.v1";
const ONLY: Generation<'_> = Generation {
    topic: TOPIC,
    before: None,
};
const SECOND: Generation<'_> = Generation {
    topic: NEXT,
    before: Some(TOPIC),
};

fn open(dir: &Path) -> Journal {
    let options = journal::Options {
        segment_bytes: 64 << 10,
        capacity_bytes: 1 << 20,
        ..journal::Options::new(dir)
    };
    Journal::open(options, Arc::new(journal::RealLayer))
        .unwrap()
        .0
}

fn append(journal: &Journal, count: u64) {
    for _record in 0..count {
        journal.append(1, b"{}").unwrap();
    }
}

/// Lets a publisher come as far as the journal's end, and says how far that is.
fn publish(journal: &Journal, cursor: &Cursor) -> u64 {
    let mut kept = begin(cursor, journal, ONLY).unwrap();
    let end = journal.stats().end;
    kept.mark.reach(end, vec![9], journal);
    kept.keep(cursor).unwrap();
    end
}

/// Where a publisher that starts now goes on. What it stores is what it begins with, and no more.
fn begins_at(journal: &Journal, cursor: &Cursor) -> u64 {
    begin(cursor, journal, ONLY).unwrap().mark.position
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

struct Restored {
    dir: tempfile::TempDir,
    cursor: Cursor,
    /// How far the other branch was published.
    published: u64,
}

impl Restored {
    /// A journal that was published, put back to an older copy.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::new(dir.path().join("p.cursor"), Arc::new(journal::RealLayer));
        let (live, backup) = (dir.path().join("journal"), dir.path().join("backup"));
        let journal = open(&live);
        append(&journal, 50);
        journal.close().unwrap();
        copy(&live, &backup);
        let journal = open(&live);
        append(&journal, 50);
        let published = publish(&journal, &cursor);
        assert_eq!(begins_at(&journal, &cursor), published);
        journal.close().unwrap();
        std::fs::remove_dir_all(&live).unwrap();
        copy(&backup, &live);
        Self {
            dir,
            cursor,
            published,
        }
    }

    fn open(&self) -> Journal {
        open(&self.dir.path().join("journal"))
    }
}

#[test]
fn a_journal_that_was_put_back_is_published_from_its_beginning_however_long_it_is_at_the_next_start()
 {
    let restored = Restored::new();
    let journal = restored.open();
    assert!(journal.stats().end < restored.published);
    assert_eq!(begins_at(&journal, &restored.cursor), 0);
    // Kafka is away, the journal grows past what was published of the other branch, and the gateway starts anew.
    append(&journal, 200);
    journal.close().unwrap();
    let journal = restored.open();
    assert!(journal.stats().end > restored.published);
    assert_eq!(begins_at(&journal, &restored.cursor), 0);
    let end = publish(&journal, &restored.cursor);
    assert_eq!(begins_at(&journal, &restored.cursor), end);
}

#[test]
fn a_journal_that_was_put_back_and_has_grown_is_known_by_who_wrote_it() {
    let restored = Restored::new();
    let journal = restored.open();
    append(&journal, 200);
    assert!(journal.stats().end > restored.published);
    assert_eq!(begins_at(&journal, &restored.cursor), 0);
}

#[test]
fn a_journal_whose_segments_were_deleted_is_published_from_its_beginning() {
    let restored = Restored::new();
    let dir = restored.dir.path().join("journal");
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|kind| kind == "seg" || kind == "new")
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    let journal = restored.open();
    append(&journal, 400);
    assert_eq!(begins_at(&journal, &restored.cursor), 0);
}

#[test]
fn another_topic_is_published_to_from_the_beginning_and_an_older_cursor_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor::new(dir.path().join("p.cursor"), Arc::new(journal::RealLayer));
    let journal = open(&dir.path().join("journal"));
    append(&journal, 10);
    let end = publish(&journal, &cursor);
    let mark = load(&cursor).unwrap().unwrap();
    assert!(mark.written_by.is_some());
    let mut older = serde_json::to_value(&mark).unwrap();
    older.as_object_mut().unwrap().remove("written_by");
    cursor.store(older.to_string().as_bytes()).unwrap();
    assert_eq!(begins_at(&journal, &cursor), end);
    let other = Generation {
        topic: "other.usage.v1",
        before: None,
    };
    let kept = begin(&cursor, &journal, other).unwrap();
    assert_eq!(kept.mark.position, 0);
}

#[test]
fn the_next_generation_never_gets_what_the_one_before_has() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor::new(dir.path().join("p.cursor"), Arc::new(journal::RealLayer));
    let journal = open(&dir.path().join("journal"));
    append(&journal, 90);
    let end = publish(&journal, &cursor);
    append(&journal, 10);
    let begin = || begin(&cursor, &journal, SECOND).unwrap();
    let mut kept = begin();
    assert_eq!((kept.mark.position, kept.mark.ends.len()), (end, 0));
    assert_eq!(kept.mark.name_topic("b"), Ok(()));
    kept.mark.reach(end + 10, vec![10], &journal);
    kept.keep(&cursor).unwrap();
    assert_eq!(begin().mark.position, end + 10);
    // Made anew: again from where it began, however much of the journal is left.
    assert_eq!(kept.mark.begin_again(7), end);
    assert_eq!(kept.mark.begin_again(end + 5), end + 5);
}

#[test]
fn a_gateway_that_was_away_for_a_generation_does_not_start_into_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor::new(dir.path().join("p.cursor"), Arc::new(journal::RealLayer));
    let journal = open(&dir.path().join("journal"));
    append(&journal, 10);
    publish(&journal, &cursor);
    let third = Generation {
        topic: "third.usage.v1",
        before: Some(SECOND.topic),
    };
    let refused = begin(&cursor, &journal, third).unwrap_err().to_string();
    assert!(
        refused.contains("neither these nor the ones before"),
        "{refused}"
    );
}

#[test]
fn what_a_killed_gateway_had_on_its_way_is_not_given_to_the_next_generation() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor::new(dir.path().join("p.cursor"), Arc::new(journal::RealLayer));
    let at = dir.path().join("journal");
    let journal = open(&at);
    append(&journal, 90);
    publish(&journal, &cursor);
    append(&journal, 10);
    journal.close().unwrap();
    let journal = open(&at);
    let refused = begin(&cursor, &journal, SECOND).unwrap_err().to_string();
    assert!(refused.contains("did not stop in order"), "{refused}");
    // As the error says: once more with the topics before.
    let end = publish(&journal, &cursor);
    journal.close().unwrap();
    let journal = open(&at);
    append(&journal, 5);
    let kept = begin(&cursor, &journal, SECOND).unwrap();
    assert_eq!(kept.mark.position, end);
}

#[test]
fn a_journal_that_was_put_back_is_not_published_to_two_generations() {
    let restored = Restored::new();
    let journal = restored.open();
    let begins = |journal: &Journal| begin(&restored.cursor, journal, SECOND);
    let refused = begins(&journal).unwrap_err().to_string();
    assert!(refused.contains("older copy"), "{refused}");
    append(&journal, 200);
    let refused = begins(&journal).unwrap_err().to_string();
    assert!(refused.contains("written on"), "{refused}");

    // Put back to a state after the change: what the topics before have is the same, and is left where it is.
    let before = Mark::new(journal.identity(), TOPIC, 0);
    store(&restored.cursor, &before).unwrap();
    let since = publish(&journal, &restored.cursor);
    assert_eq!(begins(&journal).unwrap().mark.position, since);
    let mut ahead = load(&restored.cursor).unwrap().unwrap();
    ahead.position = since + 1_000;
    store(&restored.cursor, &ahead).unwrap();
    assert_eq!(begins(&journal).unwrap().mark.position, since);
    // To one before it: nobody can tell.
    ahead.since = since + 500;
    store(&restored.cursor, &ahead).unwrap();
    assert!(matches!(
        begins(&journal),
        Err(CursorError::TwoGenerations { .. })
    ));
}

#[test]
fn without_a_cursor_only_a_new_journal_begins_in_the_next_generation() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor::new(dir.path().join("p.cursor"), Arc::new(journal::RealLayer));
    let at = dir.path().join("journal");
    let journal = open(&at);
    append(&journal, 10);
    assert_eq!(begin(&cursor, &journal, SECOND).unwrap().mark.position, 0);
    journal.close().unwrap();
    let journal = open(&at);
    assert_eq!(begin(&cursor, &journal, SECOND).unwrap().mark.position, 0);
    std::fs::remove_file(cursor.path()).unwrap();
    assert!(matches!(
        begin(&cursor, &journal, SECOND),
        Err(CursorError::TwoGenerations { .. })
    ));
    assert_eq!(begins_at(&journal, &cursor), 0);
}
