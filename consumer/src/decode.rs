//! Decode: the third stage. The rows of a batch, split by month: a pure function of the bytes of the batch and of its place.

use std::collections::BTreeMap;

use schemas::rows::{BatchDigest, Fate, Source as Place, rows_of_shared};
use schemas::{AuditRow, CutRow, DeadLetter, Decoded, Micros, UsageRow, decode};
use store::Stored;

use crate::room::Room;
use crate::source::Record;

/// Rows by the month of `received`, `year * 100 + month`.
pub type ByMonth<R> = BTreeMap<u32, Pieces<R>>;

/// So many rows lie together: what is there is not moved again when more come.
const PIECE_ROWS: usize = 64;

/// Rows in the order of the log, in pieces.
#[derive(Clone, Debug)]
pub struct Pieces<R>(Vec<Vec<Stored<R>>>);

impl<R> Default for Pieces<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<R> Pieces<R> {
    fn push(&mut self, row: R) {
        let full = |piece: &Vec<_>| piece.len() >= PIECE_ROWS;
        if self.0.last().is_none_or(full) {
            self.0.push(Vec::with_capacity(PIECE_ROWS));
        }
        if let Some(piece) = self.0.last_mut() {
            piece.push(Stored(row));
        }
    }

    /// The rows.
    pub fn iter(&self) -> std::iter::Flatten<std::slice::Iter<'_, Vec<Stored<R>>>> {
        self.0.iter().flatten()
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, R> IntoIterator for &'a Pieces<R> {
    type Item = &'a Stored<R>;
    type IntoIter = std::iter::Flatten<std::slice::Iter<'a, Vec<Stored<R>>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A record was written by a newer version: the reader must stop, for a dead letter would lose money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the record at offset {offset} is of version {version}, newer than this program; upgrade the consumer first"
)]
pub struct Newer {
    /// Where it stands.
    pub offset: i64,
    /// What it calls itself.
    pub version: String,
}

/// The rows of one batch.
#[derive(Clone, Debug)]
pub struct Rows {
    place: Place,
    first: i64,
    last: i64,
    records: i64,
    events: i64,
    dead_letters: i64,
    reasons: BTreeMap<&'static str, u64>,
    digest: BatchDigest,
    audit: ByMonth<AuditRow>,
    usage: ByMonth<UsageRow>,
    room: Option<Room>,
}

impl Rows {
    /// An empty batch that starts at the boundary `first`.
    pub fn new(place: Place, first: i64) -> Self {
        Self {
            place,
            first,
            last: first - 1,
            records: 0,
            events: 0,
            dead_letters: 0,
            reasons: BTreeMap::new(),
            digest: BatchDigest::default(),
            audit: BTreeMap::new(),
            usage: BTreeMap::new(),
            room: None,
        }
    }

    /// Whether there is room for them to become many.
    pub(crate) fn has_room(&self) -> bool {
        self.room.is_some()
    }

    /// Keeps the room as long as the rows.
    pub(crate) fn keep(&mut self, room: Room) {
        self.room = Some(room);
    }

    /// The empty batch after this one.
    pub(crate) fn following(&self) -> Self {
        Self::new(self.place.clone(), self.last + 1)
    }

    /// Adds the rows of the next record.
    pub(crate) fn push(&mut self, record: &Record) -> Result<(), Newer> {
        let mut decoded = decode(record.kind, &record.bytes);
        let stated = record.stated.as_ref();
        if let (Decoded::Event(event), Some(stated)) = (&decoded, stated)
            && let Some(part) = stated.contradiction(event)
        {
            decoded = Decoded::DeadLetter(DeadLetter::Contradiction(part));
        }
        let rows = rows_of_shared(&self.place, record.offset, &record.bytes, &decoded);
        let Some((mut audit, usage)) = rows else {
            let version = match decoded {
                Decoded::Newer(version) => version,
                Decoded::Event(_) | Decoded::Cut | Decoded::DeadLetter(_) => String::new(),
            };
            return Err(Newer {
                offset: record.offset,
                version,
            });
        };
        if let (Decoded::Event(_), Some(place)) = (&decoded, &record.replay_of) {
            audit.reason = format!("replay of {place}");
        }
        self.last = record.offset;
        self.records += 1;
        self.events += i64::from(audit.fate == Fate::Event as i8);
        if let Decoded::DeadLetter(reason) = &decoded {
            self.dead_letters += 1;
            *self.reasons.entry(label(reason)).or_default() += 1;
        }
        self.digest.push(&audit.leaf);
        let month = Micros(audit.received).month();
        self.audit.entry(month).or_default().push(audit);
        if let Some(usage) = usage {
            self.usage.entry(month).or_default().push(usage);
        }
        Ok(())
    }

    /// They are all that there is up to `last`, which may have no record.
    pub(crate) fn reach(&mut self, last: i64) {
        self.last = self.last.max(last);
    }

    /// Which log and partition.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The place after the previous batch.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// The place of the last record.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// How many records.
    pub fn records(&self) -> i64 {
        self.records
    }

    /// How many of them are usage events.
    pub fn events(&self) -> i64 {
        self.events
    }

    /// How many of them can not be read.
    pub fn dead_letters(&self) -> i64 {
        self.dead_letters
    }

    /// How many of them for which reason.
    pub(crate) fn reasons(&self) -> &BTreeMap<&'static str, u64> {
        &self.reasons
    }

    /// The records that can not be read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = &AuditRow> {
        let rows = self.audit.values().flatten().map(|row| &row.0);
        rows.filter(|row| row.fate == Fate::DeadLetter as i8)
    }

    /// Rows of `audit_log`.
    pub fn audit(&self) -> &ByMonth<AuditRow> {
        &self.audit
    }

    /// Rows of `usage_events`.
    pub fn usage(&self) -> &ByMonth<UsageRow> {
        &self.usage
    }

    /// The row of `cuts`.
    pub fn cut(&self, repair_epoch: u32) -> CutRow {
        CutRow {
            topic: self.place.topic.clone(),
            partition: self.place.partition,
            first: self.first,
            last: self.last,
            records: self.records,
            events: self.events,
            dead_letters: self.dead_letters,
            digest: self.digest.clone().finish(),
            repair_epoch,
        }
    }
}

/// The metric label of a reason.
pub(crate) fn label(reason: &DeadLetter) -> &'static str {
    match reason {
        DeadLetter::Malformed { .. } => "malformed",
        DeadLetter::OutOfBounds(_) => "out_of_bounds",
        DeadLetter::NoVersion => "no_version",
        DeadLetter::WrongKind(_) => "wrong_kind",
        DeadLetter::Contradiction(_) => "contradiction",
    }
}
