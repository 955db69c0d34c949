//! Heartbeats and lives that were read and are not in the store yet: of a boot's heartbeats only the last, every step of a life.
//! A heartbeat says all that the ones before it said, so nothing is lost by that. Inserting the same again changes nothing.

use std::collections::BTreeMap;

use schemas::rows::{Columns, Unreadable, leaf_hash};
use schemas::{Micros, ProducerKind, ProducerRow, RecordKind};
use store::{Class, Client, StoreError, Stored};

use crate::letters::{LetterPlace, Unused};

/// So many records that could not be read are kept apart until they are told.
const MAX_UNREADABLE: usize = 1_000;
/// So much of what the store says of a refused row is told.
const MAX_ERROR_CHARS: usize = 500;

/// A row, and where its record stands.
#[derive(Clone, Debug)]
struct Placed {
    row: ProducerRow,
    place: LetterPlace,
}

/// What was read and waits to be written. Bounded by the boots whose heartbeats lie between two writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lives {
    beats: BTreeMap<(String, String), Placed>,
    /// By the hash of the record: one that is read again is no second step.
    steps: BTreeMap<[u8; 32], Placed>,
    unreadable: Vec<Unused>,
    newer: Option<Newer>,
}

/// What producers of a newer version say: no letter, for an upgraded reader reads it once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newer {
    /// How many records.
    pub records: u64,
    /// Where the last of them stands.
    pub place: LetterPlace,
    /// Of which version it is.
    pub reason: String,
}

impl Lives {
    /// Takes a record. One that can not be read is told by [`Lives::take_unreadable`].
    pub(crate) fn take(&mut self, kind: RecordKind, bytes: &[u8], place: LetterPlace) {
        match ProducerRow::of(kind, bytes) {
            Ok(row) if row.kind() == Some(ProducerKind::Heartbeat) => {
                self.beat(Placed { row, place });
            }
            Ok(row) => {
                self.steps.insert(leaf_hash(bytes), Placed { row, place });
            }
            Err(why @ Unreadable::Newer(_)) => {
                let records = self.newer.take().map_or(1, |newer| newer.records + 1);
                let reason = why.to_string();
                self.newer = Some(Newer {
                    records,
                    place,
                    reason,
                });
            }
            Err(why) => self.complain(Unused {
                place,
                reason: why.to_string(),
                bytes: bytes.to_vec(),
            }),
        }
    }

    fn beat(&mut self, beat: Placed) {
        let key = (beat.row.producer.to_string(), beat.row.boot.clone());
        match self.beats.get_mut(&key) {
            Some(last) if last.row.synced_position > beat.row.synced_position => {}
            Some(last) => *last = beat,
            None => {
                self.beats.insert(key, beat);
            }
        }
    }

    fn complain(&mut self, of: Unused) {
        if self.unreadable.len() < MAX_UNREADABLE && !self.unreadable.contains(&of) {
            self.unreadable.push(of);
        }
    }

    /// How many rows wait.
    pub(crate) fn len(&self) -> usize {
        self.beats.len() + self.steps.len()
    }

    /// The earliest clock that they show.
    pub(crate) fn oldest(&self) -> Option<i64> {
        let rows = self.steps.values().chain(self.beats.values());
        rows.map(|placed| placed.row.clock).min()
    }

    /// Whether nothing is to be written or told.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.unreadable.is_empty() && self.newer.is_none()
    }

    /// Whether a step of a life waits, which is worth a write at once.
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Records that could not be read.
    pub(crate) fn take_unreadable(&mut self) -> Vec<Unused> {
        std::mem::take(&mut self.unreadable)
    }

    /// What was passed over since this was last asked.
    pub(crate) fn take_newer(&mut self) -> Option<Newer> {
        self.newer.take()
    }

    /// They were told to nobody, and wait again.
    pub(crate) fn put_back_unreadable(&mut self, unreadable: Vec<Unused>) {
        for of in unreadable {
            self.complain(of);
        }
    }

    /// The rows by month, as the table is split.
    fn by_month(&self) -> BTreeMap<u32, Vec<&Placed>> {
        let mut months: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for placed in self.steps.values().chain(self.beats.values()) {
            let month = Micros(placed.row.clock).month();
            months.entry(month).or_default().push(placed);
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
    /// Puts a record aside.
    pub(crate) fn put(&mut self, place: LetterPlace, kind: RecordKind, bytes: &[u8]) {
        let at = place.offset;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.waiting.take(kind, bytes, place);
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
            .for_each(|beat| self.waiting.beat(beat));
        self.waiting.steps.extend(newer.steps);
        self.waiting.put_back_unreadable(newer.unreadable);
        self.waiting.newer = newer.newer.or(self.waiting.newer.take());
    }

    /// Puts aside again what an earlier run kept: a heartbeat, or a step of a life.
    pub(crate) fn put_again(&mut self, place: LetterPlace, bytes: &[u8]) {
        let is_beat = ProducerRow::of(RecordKind::Heartbeat, bytes).is_ok();
        let kind = if is_beat {
            RecordKind::Heartbeat
        } else {
            RecordKind::Producer
        };
        self.put(place, kind, bytes);
    }

    /// The records that wait, and why.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Unused> {
        let rows = self
            .waiting
            .steps
            .values()
            .chain(self.waiting.beats.values());
        rows.map(|placed| Unused {
            place: placed.place.clone(),
            reason: "the table takes nothing".to_owned(),
            bytes: placed.row.bytes.0.to_vec(),
        })
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

/// A row that the store refuses though it takes others.
fn refused(of: &Placed, error: &StoreError) -> Unused {
    let ProducerRow {
        producer,
        boot,
        clock,
        ..
    } = &of.row;
    let error: String = error.to_string().chars().take(MAX_ERROR_CHARS).collect();
    Unused {
        place: of.place.clone(),
        reason: format!(
            "refused by the store: producer {producer}, start {boot}, clock {clock}: {error}"
        ),
        bytes: of.row.bytes.0.to_vec(),
    }
}

/// Inserts all rows, and gives those that the store refuses; an error says that it takes none. May be repeated.
pub(crate) async fn insert(client: &Client, lives: &Lives) -> Result<Vec<Unused>, StoreError> {
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

async fn insert_apart(client: &Client, rows: &[&Placed]) -> Result<Vec<Unused>, StoreError> {
    let mut unused = Vec::new();
    for row in rows {
        match insert_rows(client, std::slice::from_ref(row)).await {
            Ok(()) => {}
            Err(error) if error.class() == Class::Rejected => unused.push(refused(row, &error)),
            Err(error) => return Err(error),
        }
    }
    Ok(unused)
}

async fn insert_rows(client: &Client, rows: &[&Placed]) -> Result<(), StoreError> {
    let rows: Vec<_> = rows.iter().map(|of| Stored(of.row.clone())).collect();
    let bytes: Vec<u8> = rows.iter().flat_map(|row| row.0.bytes.0.clone()).collect();
    let digest = hex::encode(leaf_hash(&bytes));
    let token = format!("{}/{digest}/{}", ProducerRow::TABLE, rows.len());
    client.insert_block(ProducerRow::TABLE, &token, &rows).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{beat, life};
    use schemas::ProducerState;

    fn at(offset: i64) -> LetterPlace {
        LetterPlace {
            topic: "journal:gw-1:0a1b2c3d".to_owned(),
            partition: 0,
            offset,
        }
    }

    #[test]
    fn what_was_put_aside_is_written_when_it_was_handed_out_and_taken() {
        let mut aside = Aside::default();
        assert!(aside.is_written_below(9));
        aside.put(
            at(3),
            RecordKind::Heartbeat,
            &beat("gw-1", 3, None).encode(),
        );
        aside.put(
            at(5),
            RecordKind::Heartbeat,
            &beat("gw-1", 5, None).encode(),
        );
        assert!(aside.is_written_below(3) && !aside.is_written_below(4));
        let handed = aside.hand_out();
        assert_eq!(handed.len(), 1);
        aside.put(
            at(7),
            RecordKind::Heartbeat,
            &beat("gw-1", 7, None).encode(),
        );
        assert!(!aside.is_written_below(4), "it is still in hand");
        aside.written(&handed);
        assert_eq!(aside.take_oldest(), handed.oldest());
        assert_eq!(aside.take_oldest(), None);
        assert!(aside.is_written_below(7) && !aside.is_written_below(8));
    }

    #[test]
    fn what_was_handed_out_and_refused_waits_again_beside_what_came_since() {
        let mut aside = Aside::default();
        let put = |aside: &mut Aside, position, producer: &str| {
            let bytes = beat(producer, position, Some(position)).encode();
            aside.put(at(position), RecordKind::Heartbeat, &bytes);
        };
        put(&mut aside, 3, "gw-1");
        put(&mut aside, 4, "gw-2");
        let step = life("gw-1", 5, ProducerState::Live).encode();
        aside.put(at(5), RecordKind::Producer, &step);
        aside.put(at(5), RecordKind::Producer, &step);
        let handed = aside.hand_out();
        put(&mut aside, 7, "gw-1");
        aside.put_back(handed);
        assert!(aside.is_written_below(3) && !aside.is_written_below(4));
        let handed = aside.hand_out();
        let beats = handed.beats.values().map(|beat| beat.row.synced_position);
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
                at(position),
            );
        }
        let other = beat("gw-2", 1, None).encode();
        lives.take(RecordKind::Heartbeat, &other, at(4));
        for state in [ProducerState::Live, ProducerState::Draining] {
            lives.take(
                RecordKind::Producer,
                &life("gw-1", 4, state).encode(),
                at(5),
            );
        }
        for offset in [6, 7] {
            lives.take(RecordKind::Heartbeat, b"{}", at(offset));
        }
        for offset in [8, 9] {
            lives.take(RecordKind::Heartbeat, br#"{"wire":"v2"}"#, at(offset));
        }
        assert_eq!(lives.len(), 4);
        let newer = lives.take_newer().unwrap();
        assert_eq!((newer.records, newer.place), (2, at(9)));
        assert_eq!(lives.take_newer(), None);
        let kept = lives.beats.values().map(|beat| beat.row.synced_position);
        assert_eq!(kept.collect::<Vec<_>>(), [Some(3), Some(1)]);
        let unreadable = lives.take_unreadable().into_iter();
        let places = unreadable.map(|of| of.place.offset);
        assert_eq!(places.collect::<Vec<_>>(), [6, 7]);
    }
}
