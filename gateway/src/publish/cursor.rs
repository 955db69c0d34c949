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
    /// What lies below is in the generation of topics before this one, and never published to this one.
    #[serde(default, skip_serializing_if = "is_none_before")]
    pub since: u64,
    /// The boot that wrote the last position below that, if that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_written_by: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the serialiser hands a reference"
)]
fn is_none_before(since: &u64) -> bool {
    *since == 0
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
    /// Part of the journal may be in the topics before, and nothing says which.
    #[error(
        "which records of this journal the topics before `log.kafka.topic_prefix` have can not be told: {why}; put back what was there, or take `continues` out and remove {cursor} to publish all of the journal here (in a store with other shards than before, what both generations have would count twice)"
    )]
    TwoGenerations {
        /// What is known.
        why: &'static str,
        /// The cursor's file.
        cursor: String,
    },
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

    /// Everything that this generation of topics must have, from `first` on, is to be published again, to whichever topic is there
    /// then. Says from where on.
    pub(crate) fn begin_again(&mut self, first: u64) -> u64 {
        self.topic_id.clear();
        self.position = first.max(self.since);
        self.written_by = None;
        self.ends.clear();
        self.position
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
            since: 0,
            since_written_by: None,
        }
    }

    /// The same position in the next generation of topics: what is below it stays where it was acknowledged, and nothing above
    /// it is anywhere yet.
    fn going_on_in(mut self, topic: &str) -> Self {
        topic.clone_into(&mut self.topic);
        self.topic_id.clear();
        self.ends.clear();
        self.since = self.position;
        self.since_written_by.clone_from(&self.written_by);
        self
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
        if !self.is_of(journal) {
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

    fn is_of(&self, journal: &Journal) -> bool {
        self.journal == hex::encode(journal.identity())
    }

    /// Whether the boot is known that wrote what the generation before has, and it is the same now; true too where its frame is
    /// retired, for then nothing of it is left to be published.
    fn since_is_of(&self, journal: &Journal) -> bool {
        let is_retired = journal.stats().first >= self.since;
        let now = writer_before(journal, self.since);
        is_retired || (self.since_written_by.is_some() && self.since_written_by == now)
    }
}

fn writer_before(journal: &Journal, position: u64) -> Option<String> {
    Some(journal.written_by(position.checked_sub(1)?)?.to_string())
}

/// Where a journal is published to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Generation<'a> {
    /// The usage topic.
    pub topic: &'a str,
    /// That of the generation before, if this one is to get nothing that it has.
    pub before: Option<&'a str>,
}

/// The mark to go on from: the cursor's, if it speaks of this journal and topic; else one that begins anew, or where the topic before
/// was left. That is on the disk when this returns: the old one must not be taken for true by a later start, when the journal has
/// grown past it.
pub(crate) fn begin(
    cursor: &Cursor,
    journal: &Journal,
    to: Generation<'_>,
) -> Result<Kept, CursorError> {
    let unclear = |why| CursorError::TwoGenerations {
        why,
        cursor: cursor.path().display().to_string(),
    };
    let fresh = Mark::new(journal.identity(), to.topic, journal.stats().first);
    let mut stored = load(cursor)?;
    let mark = match &stored {
        Some(found) => next(found, fresh, journal, to).map_err(unclear)?,
        None if to.before.is_none() => {
            // There is nothing yet that a later start could take for true.
            stored = Some(fresh.clone());
            fresh
        }
        None if is_of_one_boot(journal) => fresh,
        None => return Err(unclear("its cursor is missing")),
    };
    let mut kept = Kept { mark, stored };
    kept.keep(cursor)?;
    Ok(kept)
}

/// Whether nobody can have published anything of it before.
fn is_of_one_boot(journal: &Journal) -> bool {
    let stats = journal.stats();
    let (first, last) = (writer_before(journal, 1), writer_before(journal, stats.end));
    stats.first == 0 && first.is_some() && first == last
}

/// Whether all that earlier boots wrote is acknowledged. What is not may have been on its way when a process died. This boot has
/// published nothing yet.
fn was_drained(found: &Mark, journal: &Journal) -> bool {
    let end = journal.stats().end;
    found.position >= end
        || writer_before(journal, found.position + 1) == writer_before(journal, end)
}

/// The mark to go on from where one was found; or why nobody can tell.
fn next(
    found: &Mark,
    fresh: Mark,
    journal: &Journal,
    to: Generation<'_>,
) -> Result<Mark, &'static str> {
    let Some(reason) = found.stranger_to(journal, to.topic) else {
        return Ok(found.clone());
    };
    let published = found.position;
    if let Some(before) = to.before.filter(|before| found.topic == *before) {
        if let Some(reason) = found.stranger_to(journal, before) {
            if found.is_of(journal) {
                return Err(reason);
            }
        } else if !was_drained(found, journal) {
            return Err(
                "the gateway did not stop in order after its last records, and Kafka may have some of them unacknowledged: start it once with the topics before, and stop it",
            );
        } else {
            tracing::info!(
                published,
                before,
                now = to.topic,
                "the next generation of topics goes on from here"
            );
            return Ok(found.clone().going_on_in(to.topic));
        }
    }
    if let Some(before) = to.before
        && found.is_of(journal)
        && found.topic != to.topic
        && found.topic != before
    {
        return Err("its cursor is of topics that are neither these nor the ones before");
    }
    let mut mark = fresh;
    if found.is_of(journal) && found.topic == to.topic && found.since > 0 {
        // Another boot above it is no matter; below it, nobody knows what the generation before has of what is there now.
        if journal.stats().end < found.since || !found.since_is_of(journal) {
            return Err(reason);
        }
        mark.since = found.since;
        mark.since_written_by.clone_from(&found.since_written_by);
        mark.position = mark.position.max(mark.since);
    }
    tracing::warn!(
        published,
        from = mark.position,
        "of this journal, {reason}: what it has is published again"
    );
    Ok(mark)
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
