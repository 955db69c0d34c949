//! What every row is made of: a table's name and columns, a record's place, its fate, and the kinds of columns.

use bytes::Bytes;
use serde::Serialize;
use serde::ser::Serializer;
use uuid::Uuid;

use crate::name::Text;

/// A table's row: its name and its columns, in the order of serialisation.
pub trait Columns: Serialize {
    /// The table.
    const TABLE: &'static str;
    /// The columns.
    const COLUMNS: &'static [&'static str];
}

/// Where a record stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// `journal:<producer>:<the journal's identity>`, or the id of a Kafka topic.
    pub topic: Text,
    /// Partition; 0 for a journal.
    pub partition: i32,
}

/// What became of a log record. Numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Fate {
    /// A usage event.
    Event = 1,
    /// A cut.
    Cut = 2,
    /// Unreadable, kept whole.
    DeadLetter = 3,
}

impl Fate {
    /// Names and numbers, as the store's `Enum8` has them.
    pub const NAMES: &'static [(&'static str, i8)] =
        &[("event", 1), ("cut", 2), ("dead_letter", 3)];
}

/// Bytes as they are, UTF-8 or not; shared with whoever has read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// A UUID as `RowBinary` writes it: two halves.
pub type UuidHalves = (u64, u64);

pub(super) fn halves(uuid: Uuid) -> UuidHalves {
    uuid.as_u64_pair()
}
