//! Heartbeats and lives that were read and are not in the store yet: of a boot's heartbeats only the last, every step of a life.
//! A heartbeat says all that the ones before it said, so nothing is lost by that. Inserting the same again changes nothing.

use std::collections::BTreeMap;

use schemas::rows::{Columns, Unreadable, leaf_hash};
use schemas::{Micros, ProducerKind, ProducerRow, RecordKind};
use store::{Client, StoreError, Stored};

/// What was read and waits to be written. Bounded by the boots whose heartbeats lie between two writes.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    beats: BTreeMap<(String, String), ProducerRow>,
    steps: Vec<ProducerRow>,
    unreadable: Vec<String>,
}

impl Lives {
    /// Takes a record. One that can not be read is told by [`Lives::take_unreadable`].
    pub(crate) fn take(&mut self, kind: RecordKind, bytes: &[u8]) {
        match ProducerRow::of(kind, bytes) {
            Ok(row) if row.kind() == Some(ProducerKind::Heartbeat) => self.beat(row),
            Ok(row) => self.steps.push(row),
            Err(why) => self.complain(&why),
        }
    }

    fn beat(&mut self, row: ProducerRow) {
        let key = (row.producer.to_string(), row.boot.clone());
        match self.beats.get_mut(&key) {
            Some(last) if last.synced_position > row.synced_position => {}
            Some(last) => *last = row,
            None => {
                self.beats.insert(key, row);
            }
        }
    }

    fn complain(&mut self, why: &Unreadable) {
        let why = why.to_string();
        if !self.unreadable.contains(&why) {
            self.unreadable.push(why);
        }
    }

    /// How many rows wait.
    pub(crate) fn len(&self) -> usize {
        self.beats.len() + self.steps.len()
    }

    /// Whether nothing is to be written or told.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.unreadable.is_empty()
    }

    /// Whether a step of a life waits, which is worth a write at once.
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Why records could not be read, each reason once.
    pub(crate) fn take_unreadable(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unreadable)
    }

    /// The rows by month, as the table is split.
    fn by_month(&self) -> BTreeMap<u32, Vec<Stored<ProducerRow>>> {
        let mut months: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for row in self.steps.iter().chain(self.beats.values()) {
            let month = months.entry(Micros(row.clock).month()).or_default();
            month.push(Stored(row.clone()));
        }
        months
    }
}

/// Inserts all rows. May be repeated.
pub(crate) async fn insert(client: &Client, lives: &Lives) -> Result<(), StoreError> {
    for rows in lives.by_month().values() {
        let bytes: Vec<u8> = rows.iter().flat_map(|row| row.0.bytes.0.clone()).collect();
        let digest = hex::encode(leaf_hash(&bytes));
        let token = format!("{}/{digest}/{}", ProducerRow::TABLE, rows.len());
        client
            .insert_block(ProducerRow::TABLE, &token, rows)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{beat, life};
    use schemas::ProducerState;

    #[test]
    fn of_heartbeats_the_last_is_kept_and_of_lives_every_step() {
        let mut lives = Lives::default();
        for position in [1, 3, 2] {
            lives.take(
                RecordKind::Heartbeat,
                &beat("gw-1", position, Some(position)).encode(),
            );
        }
        lives.take(RecordKind::Heartbeat, &beat("gw-2", 1, None).encode());
        for state in [ProducerState::Live, ProducerState::Draining] {
            lives.take(RecordKind::Producer, &life("gw-1", 4, state).encode());
        }
        lives.take(RecordKind::Heartbeat, b"{}");
        assert_eq!(lives.len(), 4);
        let kept = lives.beats.values().map(|row| row.synced_position);
        assert_eq!(kept.collect::<Vec<_>>(), [Some(3), Some(1)]);
        assert_eq!(lives.take_unreadable().len(), 1);
    }
}
