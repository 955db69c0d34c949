//! Where records come from: one partition of a log, in order. The journal is one source, a partition of Kafka is another.
//! What a record means must not live here.

mod journal;
mod kafka;
mod stated;

use std::future::Future;

use archive::Envelope;
use bytes::Bytes;
use parking_lot::Mutex;
use schemas::RecordKind;
use schemas::rows::Source as Place;
use tokio::time::Instant;

use crate::commit::Keeper;
use crate::decode::Rows;
use crate::letters::LetterPlace;
use crate::lives::Aside;
use crate::options::Options;
use crate::worker::Fate;

pub use self::journal::JournalSource;
pub(crate) use self::journal::topic as journal_topic_of;
pub use self::kafka::{
    Delivered, Group, GroupProgress, GroupStatus, KafkaLog, KafkaOptions, LetterBox, NotToBeRead,
    Original, Progress, say_of_producer, topic_identity,
};
pub(crate) use self::kafka::{replay_of, stated_in};
pub use self::stated::Stated;

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: i64,
    /// What it is.
    pub kind: RecordKind,
    /// What it says, as it was written.
    pub bytes: Bytes,
    /// What its envelope states of it; none where the log has no envelopes.
    pub stated: Option<Box<Stated>>,
    /// The dead letter that it is put back for.
    pub replay_of: Option<LetterPlace>,
    /// What else the log has of it; only where the reader asked for it.
    pub kept: Option<Box<Kept>>,
}

/// What a log has of a record beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When it was appended, in microseconds since the epoch.
    pub time_us: Option<i64>,
    /// Its key and headers.
    pub envelope: Envelope,
}

/// What reading gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The next record.
    Record(Record),
    /// Places from `first` up to but not including `next` can not be read any more.
    Lost {
        /// The first of them.
        first: i64,
        /// The next place that can be read.
        next: i64,
    },
    /// Nothing that can be read now.
    CaughtUp,
}

/// Why a source gives no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The log does not go back so far.
    #[error("offset {wanted} is no longer in the log, which starts at {first}")]
    Retired {
        /// Asked for.
        wanted: i64,
        /// The oldest place that is kept.
        first: i64,
    },
    /// The log was closed and has been read to its end.
    #[error("the log is closed")]
    Closed,
    /// Written by a newer program, whose records may matter.
    #[error(
        "the record at offset {offset} is of kind {kind}, which this version does not know; upgrade the consumer first"
    )]
    UnknownKind {
        /// Its place.
        offset: i64,
        /// Its kind byte.
        kind: u8,
    },
    /// No cut record could be appended for now.
    #[error("no cut record could be appended: {0}")]
    NoCut(String),
    /// What is said of a producer could not be appended for now.
    #[error("what is said of a producer could not be appended: {0}")]
    NotSaid(String),
    /// The log can not be read.
    #[error("the log can not be read: {0}")]
    Failed(String),
}

/// One partition of a log that can be read from any kept place, by several readers.
pub trait Source: Send + 'static {
    /// A reader of it.
    type Reader: Reader;

    /// Which log and partition.
    fn place(&self) -> &Place;

    /// The oldest place that is kept.
    fn first_kept(&self) -> i64;

    /// All places below can be read.
    fn readable_end(&self) -> i64;

    /// Whether a place before the oldest that is kept is gone for certain: what a reader passes over for it, nobody reads again.
    /// Blocks.
    fn is_gone(&self, _place: i64) -> Result<bool, SourceError> {
        Ok(true)
    }

    /// Who wrote the record at `offset`, if that is known: where another did, the log is not the one that was read before.
    fn written_by(&self, offset: i64) -> Option<String>;

    /// A reader that starts at `offset`.
    fn read_from(&self, offset: i64) -> Self::Reader;

    /// A reader that starts at `offset`, for a second look at what was read before.
    fn read_again(&self, offset: i64) -> Self::Reader {
        self.read_from(offset)
    }

    /// Where reading puts what producers say of themselves, if their heartbeats stand between the records of this log.
    fn lives(&self) -> Option<&Mutex<Aside>> {
        None
    }

    /// Writes what is said of a producer into the log, where heartbeats stand in it.
    fn say(&self, _record: &[u8]) -> Result<(), SourceError> {
        Err(SourceError::NotSaid(
            "lives of producers stand in another log".to_owned(),
        ))
    }

    /// Appends a cut record: everything before it becomes a batch, for everybody alike.
    fn append_cut(&self) -> Result<(), SourceError>;

    /// Where the mark of what was written is kept.
    fn keeper(&self, options: &Options) -> Box<dyn Keeper>;

    /// The shard of the store that has what was committed, if the log was told.
    fn written_shard(&self) -> Option<usize> {
        None
    }

    /// Everything before this boundary is archived.
    fn archived(&self, _boundary: i64) {}

    /// Passes the unreadable records of a batch on to whoever mends them, where the log has a place for that. May be repeated.
    fn dead_letters(&self, rows: &Rows) -> impl Future<Output = Fate>;
}

/// Reads published records in order; passes over all others.
pub trait Reader: Send {
    /// The place after all that was read or passed over.
    fn position(&self) -> i64;

    /// The next record, if there is one now.
    fn read(&mut self) -> Result<Read, SourceError>;

    /// Waits until there is more to read.
    fn wait(&self) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// There is nothing to read for now, but more of the log is on its way, or so it is hoped until then: no cut is needed yet.
    fn on_its_way_until(&self) -> Option<Instant> {
        None
    }
}
