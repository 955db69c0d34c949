//! How far the journal is in Kafka, kept over restarts: everything below the position is acknowledged. After a crash it is a
//! little behind, and what it does not count on is published again.

use journal::cursor::Cursor;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// More partitions than this are not watched for lost ends: a cursor has room for 4 KiB.
const MAX_ENDS: usize = 128;

/// What the cursor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    version: u32,
    /// Which journal, in hex.
    pub journal: String,
    /// Which cluster.
    pub cluster: String,
    /// Which usage topic.
    pub topic: String,
    /// The identity of the usage topic; unknown while empty. One that was made anew has another.
    #[serde(default)]
    pub topic_id: String,
    /// Everything below is acknowledged.
    pub position: u64,
    /// The place after the last acknowledged usage record, by partition.
    pub ends: Vec<i64>,
}

/// Why the cursor can not be used.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The file.
    #[error(transparent)]
    File(#[from] journal::cursor::CursorError),
    /// Its content.
    #[error(
        "the publisher's cursor was written by another version ({0}); remove it to publish the whole journal again"
    )]
    Unreadable(String),
}

impl Mark {
    /// Which topic it is published to. Another than before lacks what was acknowledged; it stays unnamed until the position has
    /// gone back, so that no cursor pairs it with the old one.
    pub(crate) fn name_topic(&mut self, found: &str) -> Result<(), String> {
        if self.topic_id.is_empty() {
            found.clone_into(&mut self.topic_id);
        }
        if self.topic_id == found {
            return Ok(());
        }
        let known = &self.topic_id;
        Err(format!("the topic was made anew: {known} became {found}"))
    }

    /// Everything from `first` on is to be published again, to whichever topic is there then.
    pub(crate) fn begin_again(&mut self, first: u64) {
        self.topic_id.clear();
        self.position = first;
        self.ends.clear();
    }

    /// Nothing of this journal is known to be published.
    pub(crate) fn new(journal: [u8; 4], topic: &str, first: u64) -> Self {
        Self {
            version: VERSION,
            journal: hex::encode(journal),
            cluster: String::new(),
            topic: topic.to_owned(),
            topic_id: String::new(),
            position: first,
            ends: Vec::new(),
        }
    }

    /// Whether it speaks of this journal and topic. Another journal's positions mean nothing here, and what is in one topic is
    /// not in another.
    pub(crate) fn is_of(&self, journal: [u8; 4], topic: &str) -> bool {
        self.journal == hex::encode(journal) && self.topic == topic
    }
}

/// Reads the mark, if there is one.
pub(crate) fn load(cursor: &Cursor) -> Result<Option<Mark>, CursorError> {
    let Some(bytes) = cursor.load()? else {
        return Ok(None);
    };
    let mark: Mark = serde_json::from_slice(&bytes)
        .map_err(|error| CursorError::Unreadable(error.to_string()))?;
    if mark.version != VERSION {
        return Err(CursorError::Unreadable(format!("version {}", mark.version)));
    }
    Ok(Some(mark))
}

/// Stores the mark, durable when this returns.
pub(crate) fn store(cursor: &Cursor, mark: &Mark) -> Result<(), CursorError> {
    let mut mark = mark.clone();
    mark.ends.truncate(MAX_ENDS);
    let bytes =
        serde_json::to_vec(&mark).map_err(|error| CursorError::Unreadable(error.to_string()))?;
    Ok(cursor.store(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

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
        assert!(mark.is_of([1, 2, 3, 4], "tollgate.usage.v1"));
        assert!(!mark.is_of([1, 2, 3, 5], "tollgate.usage.v1"));
        assert!(!mark.is_of([1, 2, 3, 4], "other.usage.v1"));
        cursor.store(b"{}").unwrap();
        assert!(matches!(load(&cursor), Err(CursorError::Unreadable(_))));
    }
}
