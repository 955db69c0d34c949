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
    let mut kept = begin(cursor, journal, TOPIC).unwrap();
    let end = journal.stats().end;
    kept.mark.reach(end, vec![9], journal);
    kept.keep(cursor).unwrap();
    end
}

/// Where a publisher that starts now goes on. What it stores is what it begins with, and no more.
fn begins_at(journal: &Journal, cursor: &Cursor) -> u64 {
    begin(cursor, journal, TOPIC).unwrap().mark.position
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
    let kept = begin(&cursor, &journal, "other.usage.v1").unwrap();
    assert_eq!(kept.mark.position, 0);
}
