//! How far the journal is in Kafka, kept over restarts: everything below the position is acknowledged. After a crash it is a
//! little behind, and what it does not count on is published again.

use journal::Journal;
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
    /// The boot that wrote the last position below, if that was known. A copy of the journal that was put back and written on
    /// has another there.
    #[serde(default)]
    pub written_by: Option<String>,
    /// The place after the last acknowledged usage record, by partition.
    pub ends: Vec<i64>,
}

/// The mark as it is, and as it lies on the disk.
#[derive(Debug)]
pub(crate) struct Kept {
    pub mark: Mark,
    stored: Option<Mark>,
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
        self.written_by = None;
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
            written_by: None,
            ends: Vec::new(),
        }
    }

    /// Everything below `position` of this journal is acknowledged now.
    pub(crate) fn reach(&mut self, position: u64, ends: Vec<i64>, journal: &Journal) {
        if self.position != position || self.written_by.is_none() {
            self.written_by = writer_before(journal, position);
        }
        self.position = position;
        self.ends = ends;
    }

    /// Why it does not speak of this journal and topic, if it does not. Another journal's positions mean nothing here, what is in
    /// one topic is not in another, and what another boot wrote is another record.
    pub(crate) fn stranger_to(&self, journal: &Journal, topic: &str) -> Option<&'static str> {
        if self.journal != hex::encode(journal.identity()) {
            return Some("another journal was published before");
        }
        if self.topic != topic {
            return Some("it was published to another topic before");
        }
        if self.position > journal.stats().end {
            return Some("it ends before what was published: an older copy of it was put back");
        }
        let found = writer_before(journal, self.position);
        if self.written_by.is_some() && found.is_some() && self.written_by != found {
            return Some(
                "another boot wrote what was published: an older copy of it was put back and written on",
            );
        }
        None
    }
}

fn writer_before(journal: &Journal, position: u64) -> Option<String> {
    Some(journal.written_by(position.checked_sub(1)?)?.to_string())
}

/// The mark to go on from: the cursor's, if it speaks of this journal and topic; else one that begins anew. That is on the disk when
/// this returns: the old one must not be taken for true by a later start, when the journal has grown past it.
pub(crate) fn begin(cursor: &Cursor, journal: &Journal, topic: &str) -> Result<Kept, CursorError> {
    let fresh = Mark::new(journal.identity(), topic, journal.stats().first);
    let Some(found) = load(cursor)? else {
        return Ok(Kept {
            stored: Some(fresh.clone()),
            mark: fresh,
        });
    };
    let Some(reason) = found.stranger_to(journal, topic) else {
        return Ok(Kept {
            stored: Some(found.clone()),
            mark: found,
        });
    };
    tracing::warn!(
        published = found.position,
        "of this journal, {reason}: publishing starts at its beginning"
    );
    let mut kept = Kept {
        mark: fresh,
        stored: Some(found),
    };
    kept.keep(cursor)?;
    Ok(kept)
}

impl Kept {
    /// Stores the mark if the disk has another.
    pub(crate) fn keep(&mut self, cursor: &Cursor) -> Result<(), CursorError> {
        if self.stored.as_ref() == Some(&self.mark) {
            return Ok(());
        }
        // Until it is stored, nobody knows which of the two the disk has.
        self.stored = None;
        store(cursor, &self.mark)?;
        self.stored = Some(self.mark.clone());
        Ok(())
    }
}

/// Reads the mark, if there is one.
fn load(cursor: &Cursor) -> Result<Option<Mark>, CursorError> {
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
fn store(cursor: &Cursor, mark: &Mark) -> Result<(), CursorError> {
    let mut mark = mark.clone();
    mark.ends.truncate(MAX_ENDS);
    let bytes =
        serde_json::to_vec(&mark).map_err(|error| CursorError::Unreadable(error.to_string()))?;
    Ok(cursor.store(&bytes)?)
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
