//! The records of a log from its beginning: the archive's, then from where that ends those that the log still has. No place is
//! given twice, and one that nobody has is said to be lost.

use std::path::Path;
use std::sync::Arc;

use archive::{Boundaries, Chain, Entry, Item};
use journal::OfflineReader;
use schemas::rows::Source as Place;
use schemas::{RecordKind, Text, Topic};

use super::error::RebuildError;
use crate::source::{Read, Record, SourceError, journal_topic_of, replay_of, stated_in};

/// Records in order.
pub type Reads = Box<dyn Iterator<Item = Result<Read, RebuildError>> + Send>;
/// Reads a log from a place on.
pub type Tail = Box<dyn FnOnce(i64) -> Reads>;

/// One partition of a log, to be read whole.
pub struct LogToRead {
    /// Which.
    pub place: Place,
    /// What is archived of it.
    pub archive: Option<Chain>,
    /// The oldest place that the log itself keeps, if it is there.
    pub first_kept: Option<i64>,
    /// The records of the log itself from a place on.
    pub tail: Option<Tail>,
    /// The boundary up to which the tables have it; everything in it if that is not known.
    pub end: Option<i64>,
}

impl std::fmt::Debug for LogToRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogToRead")
            .field("place", &self.place)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl LogToRead {
    /// The first place that can be read.
    pub fn start(&self) -> Option<i64> {
        let archived = self.archive.as_ref().and_then(Chain::start);
        archived.or(self.first_kept)
    }

    /// All that can be read of it, in order.
    pub(super) fn reads(&mut self) -> Reads {
        let archived = self.archive.take();
        let archived_end = archived.as_ref().and_then(Chain::end);
        let from_archive = archived.map(|chain| chain.items().map(read_of));
        let tail = self.tail.take();
        let first_kept = self.first_kept.unwrap_or(0);
        let from = archived_end.unwrap_or(first_kept);
        let gap = (tail.is_some() && from < first_kept).then_some(Read::Lost {
            first: from,
            next: first_kept,
        });
        let from_log = tail.map(|tail| tail(from.max(first_kept)));
        Box::new(
            from_archive
                .into_iter()
                .flatten()
                .chain(gap.map(Ok))
                .chain(from_log.into_iter().flatten()),
        )
    }
}

/// Where segments of a topic may end: signs of life have no batches.
pub fn boundaries_of(topic: &str) -> Boundaries {
    if topic.ends_with(Topic::Producers.suffix()) {
        Boundaries::Everywhere
    } else {
        Boundaries::Cuts
    }
}

fn read_of(item: Result<Item, archive::ArchiveError>) -> Result<Read, RebuildError> {
    Ok(match item? {
        Item::Entry(entry) => Read::Record(record_of(entry)?),
        Item::Missing(missing) => Read::Lost {
            first: missing.first,
            next: missing.next,
        },
    })
}

fn record_of(entry: Entry) -> Result<Record, SourceError> {
    let kind = RecordKind::from_byte(entry.kind).ok_or(SourceError::UnknownKind {
        offset: entry.offset,
        kind: entry.kind,
    })?;
    let envelope = entry.envelope.as_ref();
    let stated = envelope.map(|envelope| Box::new(stated_in(envelope)));
    let replay_of = envelope.and_then(replay_of);
    Ok(Record {
        offset: entry.offset,
        kind,
        bytes: entry.bytes,
        stated,
        replay_of,
        kept: None,
    })
}

/// What the store calls the journal in a directory.
pub fn journal_topic(dir: &Path, producer: &str) -> Result<Text, RebuildError> {
    let reader = OfflineReader::open(dir, Arc::new(journal::RealLayer))?;
    Ok(journal_topic_of(producer, reader.identity()))
}

/// The records of a journal that nobody has open, from a place on, and the first that it keeps.
pub fn journal_records(dir: &Path) -> Result<(i64, Tail), RebuildError> {
    let reader = OfflineReader::open(dir, Arc::new(journal::RealLayer))?;
    let first = i64::try_from(reader.position()).unwrap_or(i64::MAX);
    let tail = move |from: i64| -> Reads {
        let mut reader = reader.skip_to(u64::try_from(from).unwrap_or(0));
        let reads = std::iter::from_fn(move || next_of(&mut reader).transpose());
        let is_wanted = move |read: &Result<Read, RebuildError>| match read {
            Ok(Read::Record(record)) => record.offset >= from,
            Ok(Read::Lost { next, .. }) => *next > from,
            Ok(Read::CaughtUp) | Err(_) => true,
        };
        Box::new(reads.filter(is_wanted))
    };
    Ok((first, Box::new(tail)))
}

fn next_of(reader: &mut OfflineReader) -> Result<Option<Read>, RebuildError> {
    let place = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
    loop {
        let frame = match reader.read()? {
            None => return Ok(None),
            Some(journal::Item::Damaged(damage)) => {
                if damage.cause == journal::DamageCause::TornTail
                    || damage.first_position == damage.next_position
                {
                    continue;
                }
                return Ok(Some(Read::Lost {
                    first: place(damage.first_position),
                    next: place(damage.next_position),
                }));
            }
            Some(journal::Item::Frame(frame)) => frame,
        };
        if frame.kind == journal::BOOT_KIND {
            continue;
        }
        let offset = place(frame.position);
        let kind = RecordKind::from_byte(frame.kind).ok_or(SourceError::UnknownKind {
            offset,
            kind: frame.kind,
        })?;
        if kind.is_published() {
            return Ok(Some(Read::Record(Record {
                offset,
                kind,
                bytes: frame.payload,
                stated: None,
                replay_of: None,
                kept: None,
            })));
        }
    }
}
