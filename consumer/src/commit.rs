//! Commit: the last stage. The cursor file: which batch is in work, and up to where everything is in the store.
//! Both are synced before the step that stands on them.

use journal::cursor::{Cursor, CursorError};
use schemas::rows::Source as Place;
use serde::{Deserialize, Serialize};

/// The version of the cursor's content.
const VERSION: u32 = 1;

/// A batch whose inserts may have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InWork {
    /// The boundary it starts at.
    pub first: i64,
    /// Its last record.
    pub last: i64,
    /// Part of its tokens: 0, or the epoch of the repair.
    pub repair_epoch: u32,
}

/// What the cursor file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub(crate) version: u32,
    /// The log.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The boundary where this consumer began.
    pub origin: i64,
    /// Everything before this boundary is in the store.
    pub committed: i64,
    /// The batch that was begun and not committed.
    pub in_work: Option<InWork>,
    /// The last repair epoch that was used; it only grows.
    pub repair_epoch: u32,
}

/// Why the cursor can not be used.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The file can not be read or written, or is damaged.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The content is of another version or none at all.
    #[error(
        "the consumer's cursor is not of version {VERSION} ({0}); use the program that wrote it, or remove the file: the store's last cut then says where to go on"
    )]
    Unreadable(String),
    /// The cursor belongs to another log.
    #[error(
        "the consumer's cursor belongs to {found}, this log is {wanted}; give each log a cursor of its own"
    )]
    Foreign {
        /// In the file.
        found: String,
        /// The log that is read.
        wanted: String,
    },
}

impl Mark {
    /// The mark of a consumer that begins at the boundary `origin`.
    pub fn new(place: &Place, origin: i64, repair_epoch: u32) -> Self {
        Self {
            version: VERSION,
            topic: place.topic.to_string(),
            partition: place.partition,
            origin,
            committed: origin,
            in_work: None,
            repair_epoch,
        }
    }

    /// A batch is about to be inserted.
    pub(crate) fn begin(&mut self, batch: InWork) {
        self.repair_epoch = self.repair_epoch.max(batch.repair_epoch);
        self.in_work = Some(batch);
    }

    /// The batch in work is in the store. A repaired one does not move the boundary back.
    pub(crate) fn finish(&mut self) {
        if let Some(batch) = self.in_work.take() {
            self.committed = self.committed.max(batch.last + 1);
        }
    }
}

/// The cursor file and what it says now.
#[derive(Debug)]
pub(crate) struct Commit {
    cursor: Cursor,
    mark: Mark,
}

impl Commit {
    /// Goes on from `mark`, which is stored.
    pub(crate) fn new(cursor: Cursor, mark: Mark) -> Result<Self, CommitError> {
        store(&cursor, &mark)?;
        Ok(Self { cursor, mark })
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Before the first insert of a batch.
    pub(crate) fn begin(&mut self, batch: InWork) -> Result<(), CommitError> {
        self.mark.begin(batch);
        store(&self.cursor, &self.mark)
    }

    /// After the last insert of the batch.
    pub(crate) fn finish(&mut self) -> Result<(), CommitError> {
        self.mark.finish();
        store(&self.cursor, &self.mark)
    }

    /// The batch in work can not be repeated any more.
    pub(crate) fn give_up(&mut self) -> Result<(), CommitError> {
        self.mark.in_work = None;
        store(&self.cursor, &self.mark)
    }
}

/// Reads the mark of `place`, if there is one.
pub fn load(cursor: &Cursor, place: &Place) -> Result<Option<Mark>, CommitError> {
    let Some(bytes) = cursor.load()? else {
        return Ok(None);
    };
    let mark: Mark = serde_json::from_slice(&bytes)
        .map_err(|error| CommitError::Unreadable(error.to_string()))?;
    if mark.version != VERSION {
        return Err(CommitError::Unreadable(format!("version {}", mark.version)));
    }
    if mark.topic != place.topic.as_str() || mark.partition != place.partition {
        return Err(CommitError::Foreign {
            found: format!("{}/{}", mark.topic, mark.partition),
            wanted: format!("{}/{}", place.topic, place.partition),
        });
    }
    Ok(Some(mark))
}

/// Stores the mark, durable when this returns.
fn store(cursor: &Cursor, mark: &Mark) -> Result<(), CommitError> {
    let bytes =
        serde_json::to_vec(mark).map_err(|error| CommitError::Unreadable(error.to_string()))?;
    Ok(cursor.store(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn place(topic: &str) -> Place {
        Place {
            topic: schemas::Text::cut(topic),
            partition: 0,
        }
    }

    #[test]
    fn a_mark_survives_and_a_foreign_or_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::new(dir.path().join("c.cursor"), Arc::new(journal::RealLayer));
        assert_eq!(load(&cursor, &place("a")).unwrap(), None);
        let mut mark = Mark::new(&place("a"), 3, 0);
        mark.begin(InWork {
            first: 3,
            last: 9,
            repair_epoch: 0,
        });
        store(&cursor, &mark).unwrap();
        assert_eq!(load(&cursor, &place("a")).unwrap(), Some(mark));
        assert!(matches!(
            load(&cursor, &place("b")),
            Err(CommitError::Foreign { .. })
        ));
        cursor.store(b"{}").unwrap();
        assert!(matches!(
            load(&cursor, &place("a")),
            Err(CommitError::Unreadable(_))
        ));
    }

    #[test]
    fn a_repair_does_not_move_the_boundary_and_its_epoch_is_never_used_again() {
        let mut mark = Mark::new(&place("a"), 0, 0);
        mark.begin(InWork {
            first: 0,
            last: 9,
            repair_epoch: 0,
        });
        mark.finish();
        assert_eq!(mark.committed, 10);
        mark.begin(InWork {
            first: 2,
            last: 4,
            repair_epoch: 5,
        });
        mark.finish();
        assert_eq!(
            (mark.committed, mark.repair_epoch, mark.in_work),
            (10, 5, None)
        );
    }
}
