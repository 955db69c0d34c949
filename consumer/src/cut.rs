//! Cut: the second stage. Gathers the records of a partition into batches by the cut rule, and nothing else: a batch is a
//! function of the log and of the boundary where reading began, whoever reads and however often.

use schemas::{CutRule, Cutter};

use crate::decode::{Newer, Rows};
use crate::room::Room;
use crate::source::Record;

/// A batch that has so much needs room to grow.
const ROOM_FROM_BYTES: usize = 2 << 20;

/// The records since the last boundary, decoded as they come.
#[derive(Debug)]
pub(crate) struct Gathering {
    rule: CutRule,
    rows: Rows,
}

impl Gathering {
    /// Starts at a boundary.
    pub(crate) fn new(rows: Rows) -> Self {
        Self {
            rule: CutRule::default(),
            rows,
        }
    }

    /// Whether records wait for their batch to end.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.rule.is_at_boundary()
    }

    /// How many records the open batch has.
    pub(crate) fn records(&self) -> i64 {
        self.rows.records()
    }

    /// Whether it grows without having room for it.
    pub(crate) fn wants_room(&self) -> bool {
        self.rule.bytes() >= ROOM_FROM_BYTES && !self.rows.has_room()
    }

    /// The open batch may grow; what it has is given back with its rows.
    pub(crate) fn give_room(&mut self, room: Room) {
        self.rows.keep(room);
    }

    /// Where the open batch starts.
    pub(crate) fn boundary(&self) -> i64 {
        self.rows.first()
    }

    /// Takes the next record; gives the batch that it ends. A record of a newer version is not taken.
    pub(crate) fn push(&mut self, record: &Record) -> Result<Option<Rows>, Newer> {
        self.rows.push(record)?;
        if self.rule.push(record.kind, record.bytes.len()) == Cutter::GoesOn {
            return Ok(None);
        }
        let next = self.rows.following();
        Ok(Some(std::mem::replace(&mut self.rows, next)))
    }

    /// What was gathered is a batch that ends with the place `last`, whatever the log says: the store has cuts on both sides of it.
    pub(crate) fn end_at(&mut self, last: i64) -> Rows {
        self.rule = CutRule::default();
        self.rows.reach(last);
        let next = self.rows.following();
        std::mem::replace(&mut self.rows, next)
    }

    /// What was gathered, as if the log said that the batch ends here: what the product never does.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> Rows {
        self.rule = CutRule::default();
        let next = self.rows.following();
        std::mem::replace(&mut self.rows, next)
    }
}
