//! Heartbeats and lives that were read and are not in the store yet: of a boot's heartbeats only the last, every step of a life.
//! A heartbeat says all that the ones before it said, so nothing is lost by that. Inserting the same again changes nothing.

use std::collections::BTreeMap;

use schemas::rows::{Columns, Unreadable, leaf_hash};
use schemas::{Micros, ProducerKind, ProducerRow, RecordKind};
use store::{Class, Client, StoreError, Stored};

/// So many reasons why records could not be read are kept apart.
const MAX_REASONS: usize = 100;

/// What was read and waits to be written. Bounded by the boots whose heartbeats lie between two writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lives {
    beats: BTreeMap<(String, String), ProducerRow>,
    /// By the hash of the record: one that is read again is no second step.
    steps: BTreeMap<[u8; 32], ProducerRow>,
    unreadable: Vec<String>,
}

impl Lives {
    /// Takes a record. One that can not be read is told by [`Lives::take_unreadable`].
    pub(crate) fn take(&mut self, kind: RecordKind, bytes: &[u8]) {
        match ProducerRow::of(kind, bytes) {
            Ok(row) if row.kind() == Some(ProducerKind::Heartbeat) => self.beat(row),
            Ok(row) => {
                self.steps.insert(leaf_hash(bytes), row);
            }
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
        self.note(&why.to_string());
    }

    fn note(&mut self, why: &String) {
        if self.unreadable.len() < MAX_REASONS && !self.unreadable.contains(why) {
            self.unreadable.push(why.clone());
        }
    }

    /// How many rows wait.
    pub(crate) fn len(&self) -> usize {
        self.beats.len() + self.steps.len()
    }

    /// The earliest clock that they show.
    pub(crate) fn oldest(&self) -> Option<i64> {
        let rows = self.steps.values().chain(self.beats.values());
        rows.map(|row| row.clock).min()
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
        for row in self.steps.values().chain(self.beats.values()) {
            let month = months.entry(Micros(row.clock).month()).or_default();
            month.push(Stored(row.clone()));
        }
        months
    }
}

/// The same of a log in which such records stand between all others: what was put aside while reading on, and from which place on
/// the store may not have it.
#[derive(Debug, Default)]
pub struct Aside {
    waiting: Lives,
    /// The place of the first that waits.
    first: Option<i64>,
    /// The same of what is being written.
    in_hand: Option<i64>,
    /// The earliest clock in what was written.
    oldest: Option<i64>,
}

impl Aside {
    /// Puts the record at `offset` aside.
    pub(crate) fn put(&mut self, offset: i64, kind: RecordKind, bytes: &[u8]) {
        self.first = Some(self.first.map_or(offset, |first| first.min(offset)));
        self.waiting.take(kind, bytes);
    }

    /// Takes what waits, to be written.
    pub(crate) fn hand_out(&mut self) -> Lives {
        let first = self.first.take();
        self.in_hand = self.in_hand.into_iter().chain(first).min();
        std::mem::take(&mut self.waiting)
    }

    /// What was handed out is in the store.
    pub(crate) fn written(&mut self, lives: &Lives) {
        self.in_hand = None;
        self.oldest = self.oldest.into_iter().chain(lives.oldest()).min();
    }

    /// What was handed out is not in the store, and waits again, before what was put aside since.
    pub(crate) fn put_back(&mut self, lives: Lives) {
        self.first = self.first.into_iter().chain(self.in_hand.take()).min();
        let newer = std::mem::replace(&mut self.waiting, lives);
        newer
            .beats
            .into_values()
            .for_each(|row| self.waiting.beat(row));
        self.waiting.steps.extend(newer.steps);
        newer
            .unreadable
            .iter()
            .for_each(|why| self.waiting.note(why));
    }

    /// The earliest clock in what was written since this was last asked.
    pub(crate) fn take_oldest(&mut self) -> Option<i64> {
        self.oldest.take()
    }

    /// Whether the store has all that was put aside from before this place.
    pub(crate) fn is_written_below(&self, mark: i64) -> bool {
        let mut firsts = self.first.into_iter().chain(self.in_hand);
        firsts.all(|first| first >= mark)
    }
}

/// A row that the store refuses though it takes others, and why.
pub(crate) struct Refused {
    row: ProducerRow,
    error: StoreError,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ProducerRow {
            producer,
            boot,
            clock,
            ..
        } = &self.row;
        write!(
            f,
            "producer {producer}, start {boot}, clock {clock}: {}; it stays in the log",
            self.error
        )
    }
}

/// Inserts all rows, and gives those that the store refuses; an error says that it takes none. May be repeated.
pub(crate) async fn insert(client: &Client, lives: &Lives) -> Result<Vec<Refused>, StoreError> {
    let months = lives.by_month();
    let mut refused = Vec::new();
    for rows in months.values() {
        match insert_rows(client, rows).await {
            Ok(()) => {}
            Err(error) if error.class() == Class::Rejected && takes_rows(client).await => {
                tracing::warn!(%error, "what producers say is refused together: tried one by one");
                refused.extend(insert_apart(client, rows).await?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// Whether the table can be written at all: else no row is to blame.
async fn takes_rows(client: &Client) -> bool {
    const SQL: &str = "INSERT INTO producer_log SELECT * FROM producer_log WHERE 0";
    client.statement(SQL).execute().await.is_ok()
}

async fn insert_apart(
    client: &Client,
    rows: &[Stored<ProducerRow>],
) -> Result<Vec<Refused>, StoreError> {
    let mut refused = Vec::new();
    for stored in rows {
        match insert_rows(client, std::slice::from_ref(stored)).await {
            Ok(()) => {}
            Err(error) if error.class() == Class::Rejected => refused.push(Refused {
                row: stored.0.clone(),
                error,
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

async fn insert_rows(client: &Client, rows: &[Stored<ProducerRow>]) -> Result<(), StoreError> {
    let bytes: Vec<u8> = rows.iter().flat_map(|row| row.0.bytes.0.clone()).collect();
    let digest = hex::encode(leaf_hash(&bytes));
    let token = format!("{}/{digest}/{}", ProducerRow::TABLE, rows.len());
    client.insert_block(ProducerRow::TABLE, &token, rows).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{beat, life};
    use schemas::ProducerState;

    #[test]
    fn what_was_put_aside_is_written_when_it_was_handed_out_and_taken() {
        let mut aside = Aside::default();
        assert!(aside.is_written_below(9));
        aside.put(3, RecordKind::Heartbeat, &beat("gw-1", 3, None).encode());
        aside.put(5, RecordKind::Heartbeat, &beat("gw-1", 5, None).encode());
        assert!(aside.is_written_below(3) && !aside.is_written_below(4));
        let handed = aside.hand_out();
        assert_eq!(handed.len(), 1);
        aside.put(7, RecordKind::Heartbeat, &beat("gw-1", 7, None).encode());
        assert!(!aside.is_written_below(4), "it is still in hand");
        aside.written(&handed);
        assert_eq!(aside.take_oldest(), handed.oldest());
        assert_eq!(aside.take_oldest(), None);
        assert!(aside.is_written_below(7) && !aside.is_written_below(8));
    }

    #[test]
    fn what_was_handed_out_and_refused_waits_again_beside_what_came_since() {
        let mut aside = Aside::default();
        let put = |aside: &mut Aside, at, producer: &str| {
            let bytes = beat(producer, at, Some(at)).encode();
            aside.put(at, RecordKind::Heartbeat, &bytes);
        };
        put(&mut aside, 3, "gw-1");
        put(&mut aside, 4, "gw-2");
        let step = life("gw-1", 5, ProducerState::Live).encode();
        aside.put(5, RecordKind::Producer, &step);
        aside.put(5, RecordKind::Producer, &step);
        let handed = aside.hand_out();
        put(&mut aside, 7, "gw-1");
        aside.put_back(handed);
        assert!(aside.is_written_below(3) && !aside.is_written_below(4));
        let handed = aside.hand_out();
        let beats = handed.beats.values().map(|row| row.synced_position);
        assert_eq!(beats.collect::<Vec<_>>(), [Some(7), Some(4)]);
        assert_eq!(handed.steps.len(), 1);
        aside.written(&handed);
        assert!(aside.is_written_below(9));
    }

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
