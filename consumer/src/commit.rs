//! Commit: the last stage. Which batch is in work, and up to where everything is in the store; kept in a cursor file, synced
//! before the step that stands on it, or as a group's committed offset.

use std::path::Path;
use std::sync::Arc;

use journal::RealLayer;
use journal::cursor::{Cursor, CursorError};
use schemas::rows::Source as Place;
use serde::{Deserialize, Serialize};

/// The version of the cursor's content.
const VERSION: u32 = 2;

/// The version whose topics did not name the journal's identity and that did not say who wrote what was read.
const WITHOUT_IDENTITY: u32 = 1;

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
    /// Who wrote the last record before `committed`, if that is known.
    #[serde(default)]
    pub written_by: Option<String>,
}

/// What the cursor file says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// Nothing was read yet.
    Nothing,
    /// It was read so far.
    Mark(Mark),
    /// Some reader committed this boundary; others may have written more, or commit late what is long past.
    Boundary(i64),
    /// A journal with another identity was read before, under the same producer.
    OtherJournal {
        /// The topic of that one.
        topic: String,
    },
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
            written_by: None,
        }
    }

    /// A batch is about to be inserted.
    pub(crate) fn begin(&mut self, batch: InWork) {
        self.repair_epoch = self.repair_epoch.max(batch.repair_epoch);
        self.in_work = Some(batch);
    }

    /// The batch in work, whose last record `written_by` wrote, is in the store. A repaired one does not move the boundary back.
    pub(crate) fn finish(&mut self, written_by: Option<String>) {
        if let Some(batch) = self.in_work.take()
            && batch.last >= self.committed
        {
            self.committed = batch.last + 1;
            self.written_by = written_by;
        }
    }

    /// Takes over what an earlier version read of `place`. Its rows stay under the old topic: they are not looked for here, and a
    /// repair of them that was begun is left.
    fn with_identity(self, place: &Place) -> Self {
        Self {
            version: VERSION,
            topic: place.topic.to_string(),
            origin: self.committed,
            in_work: self.in_work.filter(|begun| begun.repair_epoch == 0),
            ..self
        }
    }
}

/// Where a mark is kept.
pub trait Keeper: Send {
    /// What is kept of `place`.
    fn load(&mut self, place: &Place) -> Result<Loaded, CommitError>;

    /// Keeps the mark.
    fn store(&mut self, mark: &Mark) -> Result<(), CommitError>;
}

/// A file of this machine's, for the one reader of a log.
#[derive(Debug)]
pub struct CursorFile(Cursor);

impl CursorFile {
    /// The file at `path`; its directory must exist.
    pub fn new(path: &Path) -> Self {
        Self(Cursor::new(path, Arc::new(RealLayer)))
    }
}

impl Keeper for CursorFile {
    fn load(&mut self, place: &Place) -> Result<Loaded, CommitError> {
        load(&self.0, place)
    }

    fn store(&mut self, mark: &Mark) -> Result<(), CommitError> {
        store(&self.0, mark)
    }
}

/// The mark, and where it is kept.
pub(crate) struct Commit {
    keeper: Box<dyn Keeper>,
    mark: Mark,
}

impl Commit {
    /// Goes on from `mark`, which is kept.
    pub(crate) fn new(mut keeper: Box<dyn Keeper>, mark: Mark) -> Result<Self, CommitError> {
        keeper.store(&mark)?;
        Ok(Self { keeper, mark })
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Before the first insert of a batch.
    pub(crate) fn begin(&mut self, batch: InWork) -> Result<(), CommitError> {
        self.mark.begin(batch);
        self.keeper.store(&self.mark)
    }

    /// After the last insert of the batch.
    pub(crate) fn finish(&mut self, written_by: Option<String>) -> Result<(), CommitError> {
        self.mark.finish(written_by);
        self.keeper.store(&self.mark)
    }

    /// Rows that are no batch are about to be inserted under this epoch: it is not used again.
    pub(crate) fn use_epoch(&mut self, repair_epoch: u32) -> Result<(), CommitError> {
        self.mark.repair_epoch = self.mark.repair_epoch.max(repair_epoch);
        self.keeper.store(&self.mark)
    }

    /// The batch in work can not be repeated any more.
    pub(crate) fn give_up(&mut self) -> Result<(), CommitError> {
        self.mark.in_work = None;
        self.keeper.store(&self.mark)
    }
}

/// Reads the mark of `place`, if there is one.
pub fn load(cursor: &Cursor, place: &Place) -> Result<Loaded, CommitError> {
    let Some(bytes) = cursor.load()? else {
        return Ok(Loaded::Nothing);
    };
    let mark: Mark = serde_json::from_slice(&bytes)
        .map_err(|error| CommitError::Unreadable(error.to_string()))?;
    let wanted = place.topic.as_str();
    let (wanted_of, _) = identified(wanted).unzip();
    let same_partition = mark.partition == place.partition;
    match mark.version {
        VERSION if same_partition && mark.topic == wanted => Ok(Loaded::Mark(mark)),
        VERSION if same_partition && is_other_journal(&mark.topic, wanted) => {
            Ok(Loaded::OtherJournal { topic: mark.topic })
        }
        WITHOUT_IDENTITY if same_partition && wanted_of == Some(mark.topic.as_str()) => {
            Ok(Loaded::Mark(mark.with_identity(place)))
        }
        VERSION | WITHOUT_IDENTITY => Err(CommitError::Foreign {
            found: format!("{}/{}", mark.topic, mark.partition),
            wanted: format!("{}/{}", place.topic, place.partition),
        }),
        other => Err(CommitError::Unreadable(format!("version {other}"))),
    }
}

/// The topic of a journal in two: whose, and which.
fn identified(topic: &str) -> Option<(&str, &str)> {
    topic
        .strip_prefix("journal:")
        .and_then(|_| topic.rsplit_once(':'))
        .filter(|(of, _)| of.len() > "journal".len())
}

/// What a journal's topic was called before it named the journal's identity.
pub(crate) fn without_identity(topic: &str) -> Option<&str> {
    identified(topic).map(|(of, _)| of)
}

fn is_other_journal(found: &str, wanted: &str) -> bool {
    match (identified(found), identified(wanted)) {
        (Some((of, was)), Some((wanted_of, is))) => of == wanted_of && was != is,
        _ => false,
    }
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
        let cursor = Cursor::new(dir.path().join("c.cursor"), Arc::new(RealLayer));
        assert_eq!(load(&cursor, &place("a")).unwrap(), Loaded::Nothing);
        let mut mark = Mark::new(&place("a"), 3, 0);
        mark.begin(InWork {
            first: 3,
            last: 9,
            repair_epoch: 0,
        });
        store(&cursor, &mark).unwrap();
        assert_eq!(load(&cursor, &place("a")).unwrap(), Loaded::Mark(mark));
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
    fn a_new_journal_is_told_from_a_foreign_log_and_an_old_cursor_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::new(dir.path().join("c.cursor"), Arc::new(RealLayer));
        let new = place("journal:gw-1:00000002");
        let topic = "journal:gw-1:00000001".to_owned();
        store(&cursor, &Mark::new(&place(&topic), 3, 0)).unwrap();
        assert_eq!(load(&cursor, &new).unwrap(), Loaded::OtherJournal { topic });
        for foreign in ["journal:gw-2:00000001", "journal:gw-1", "gw-1:00000001"] {
            store(&cursor, &Mark::new(&place(foreign), 3, 0)).unwrap();
            let loaded = load(&cursor, &new);
            assert!(
                matches!(loaded, Err(CommitError::Foreign { .. })),
                "{foreign}"
            );
        }
        let old = br#"{"version":1,"topic":"journal:gw-1","partition":0,"origin":2,"committed":7,"in_work":null,"repair_epoch":4}"#;
        cursor.store(old).unwrap();
        let taken = Mark {
            repair_epoch: 4,
            ..Mark::new(&new, 7, 4)
        };
        assert_eq!(load(&cursor, &new).unwrap(), Loaded::Mark(taken));
        cursor
            .store(&[b"{\"version\":3,", &old[13..]].concat())
            .unwrap();
        assert!(matches!(
            load(&cursor, &new),
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
        mark.finish(Some("1-aa".into()));
        assert_eq!(mark.committed, 10);
        mark.begin(InWork {
            first: 2,
            last: 4,
            repair_epoch: 5,
        });
        mark.finish(Some("9-bb".into()));
        assert_eq!(mark.written_by.as_deref(), Some("1-aa"));
        assert_eq!(
            (mark.committed, mark.repair_epoch, mark.in_work),
            (10, 5, None)
        );
    }
}
