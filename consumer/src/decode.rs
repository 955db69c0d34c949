//! Decode: the third stage. The rows of a batch, split by month: a pure function of the bytes of the batch and of its place.

use std::collections::BTreeMap;

use schemas::rows::{BatchDigest, Fate, Source as Place, rows_of};
use schemas::{AuditRow, CutRow, DeadLetter, Decoded, Micros, UsageRow, decode};
use store::Stored;

use crate::room::Room;
use crate::source::Record;

/// Rows by the month of `received`, `year * 100 + month`.
pub type ByMonth<R> = BTreeMap<u32, Vec<Stored<R>>>;

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

/// Rows that room is taken for at once, at the least.
const ROOM_ROWS: usize = 512;

/// Doubled room would be half empty in most batches: they end a little after a power of two, where a cut is asked for.
fn add<R>(by_month: &mut ByMonth<R>, month: u32, row: R) {
    let rows = by_month.entry(month).or_default();
    if rows.len() == rows.capacity() {
        rows.reserve_exact(ROOM_ROWS.max(rows.len() / 4));
    }
    rows.push(Stored(row));
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
        let decoded = match (decode(record.kind, &record.bytes), record.contradiction) {
            (Decoded::Event(_), Some(part)) => Decoded::DeadLetter(DeadLetter::Contradiction(part)),
            (decoded, _) => decoded,
        };
        let Some((mut audit, usage)) = rows_of(&self.place, record.offset, &record.bytes, &decoded)
        else {
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
        add(&mut self.audit, month, audit);
        if let Some(usage) = usage {
            add(&mut self.usage, month, usage);
        }
        Ok(())
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
