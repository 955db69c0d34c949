//! A model of the whole pipeline without I/O: the real cut, decode, token and mark against a store that knows tokens, with
//! deaths between any two steps, answers that never came, and commits that go back to an old boundary. Tests only.
//!
//! The same model must find duplicates in the weaker algorithm, whose batches end wherever reading happened to stop.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use schemas::rows::Source as Place;
use schemas::wire::CUT_RECORD;
use schemas::{RecordKind, Text};

use crate::commit::{InWork, Mark};
use crate::cut::Gathering;
use crate::decode::Rows;
use crate::source::Record;
use crate::write::token;

/// How a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boundaries {
    /// By the cut rule, from the log alone.
    InTheLog,
    /// Wherever reading stopped.
    Free,
}

/// A store: tables by token, copies counted.
#[derive(Debug, Default)]
struct Store {
    tokens: BTreeMap<String, String>,
    /// `(table, offset)`, for `cuts` the first place: how often it was inserted.
    rows: BTreeMap<(&'static str, i64), u32>,
    boundaries: BTreeSet<(i64, i64)>,
}

impl Store {
    fn insert(&mut self, table: &'static str, token: String, offsets: &[i64], content: String) {
        if let Some(known) = self.tokens.get(&token) {
            assert_eq!(
                *known, content,
                "a token must always mean the same rows: {token}"
            );
            return;
        }
        self.tokens.insert(token, content);
        for offset in offsets {
            *self.rows.entry((table, *offset)).or_default() += 1;
        }
    }

    fn copies(&self) -> u32 {
        self.rows.values().map(|count| count - 1).sum()
    }
}

/// What happens next, drawn by the test; when the schedule is used up, nothing goes wrong any more.
struct Schedule(std::vec::IntoIter<u8>);

impl Schedule {
    fn draw(&mut self) -> u8 {
        self.0.next().unwrap_or(u8::MAX)
    }
}

/// The process died.
struct Died;

struct World {
    log: Vec<(RecordKind, Vec<u8>)>,
    /// So much of the log is there to be read.
    visible: usize,
    store: Store,
    mark: Mark,
    boundaries: Boundaries,
    schedule: Schedule,
}

fn place() -> Place {
    Place {
        topic: Text::cut("journal:model"),
        partition: 0,
    }
}

impl World {
    fn new(log: Vec<(RecordKind, Vec<u8>)>, boundaries: Boundaries, schedule: Vec<u8>) -> Self {
        let mark = Mark::new(&place(), 0, 0);
        Self {
            log,
            visible: 0,
            store: Store::default(),
            mark,
            boundaries,
            schedule: Schedule(schedule.into_iter()),
        }
    }

    /// Starts a consumer again and again until everything is committed.
    fn run(&mut self) {
        while usize::try_from(self.mark.committed).unwrap() < self.log.len() {
            let _died = self.live();
        }
    }

    /// One life of a consumer, from the committed boundary on.
    fn live(&mut self) -> Result<(), Died> {
        let mut at = usize::try_from(self.mark.committed).unwrap();
        let mut gathering = Gathering::new(Rows::new(place(), self.mark.committed));
        loop {
            if at == self.visible {
                let more = 1 + usize::from(self.schedule.draw() % 5);
                let waiting = gathering.is_waiting();
                let is_end = self.visible == self.log.len();
                if waiting && (is_end || self.schedule.draw().is_multiple_of(3)) {
                    if self.boundaries == Boundaries::Free {
                        let rows = gathering.take();
                        self.write(&rows)?;
                        continue;
                    }
                    // Whoever waits appends a cut, after what is visible now.
                    self.log
                        .insert(self.visible, (RecordKind::Cut, CUT_RECORD.to_vec()));
                    self.visible += 1;
                } else if is_end {
                    return Ok(());
                }
                self.visible = (self.visible + more).min(self.log.len());
                continue;
            }
            let (kind, bytes) = self.log[at].clone();
            let record = Record {
                offset: i64::try_from(at).unwrap(),
                kind,
                bytes: Bytes::from(bytes),
                stated: None,
                kept: None,
                replay_of: None,
            };
            at += 1;
            if let Some(rows) = gathering.push(&record).unwrap() {
                self.write(&rows)?;
            }
        }
    }

    fn write(&mut self, rows: &Rows) -> Result<(), Died> {
        self.mark.begin(InWork {
            first: rows.first(),
            last: rows.last(),
            repair_epoch: 0,
        });
        for (month, audit) in rows.audit() {
            let offsets: Vec<_> = audit.iter().map(|row| row.0.offset).collect();
            self.insert(
                "audit_log",
                token("audit_log", rows, *month, 0),
                &offsets,
                format!("{audit:?}"),
            )?;
        }
        for (month, usage) in rows.usage() {
            let offsets: Vec<_> = usage.iter().map(|row| row.0.head.offset).collect();
            self.insert(
                "usage_events",
                token("usage_events", rows, *month, 0),
                &offsets,
                format!("{usage:?}"),
            )?;
        }
        self.insert(
            "cuts",
            token("cuts", rows, 0, 0),
            &[rows.first()],
            format!("{:?}", rows.cut(0)),
        )?;
        self.store.boundaries.insert((rows.first(), rows.last()));
        self.commit()
    }

    /// Dies before, dies after with the rows in the store, or gets its answer.
    fn insert(
        &mut self,
        table: &'static str,
        token: String,
        offsets: &[i64],
        content: String,
    ) -> Result<(), Died> {
        let fate = self.schedule.draw();
        if fate < 12 {
            return Err(Died);
        }
        self.store.insert(table, token, offsets, content);
        if fate < 24 { Err(Died) } else { Ok(()) }
    }

    /// Commits; now and then a consumer that was thought dead comes back after it and commits an old boundary.
    fn commit(&mut self) -> Result<(), Died> {
        let fate = self.schedule.draw();
        if fate < 12 {
            return Err(Died);
        }
        self.mark.finish(None);
        if fate < 24 {
            let old: Vec<i64> = self
                .store
                .boundaries
                .iter()
                .map(|(first, _)| *first)
                .collect();
            self.mark.committed = old[usize::from(self.schedule.draw()) % old.len()];
            return Err(Died);
        }
        Ok(())
    }
}

/// The batches that the finished log has, read in peace.
fn boundaries_of(log: &[(RecordKind, Vec<u8>)]) -> BTreeSet<(i64, i64)> {
    let mut gathering = Gathering::new(Rows::new(place(), 0));
    let mut boundaries = BTreeSet::new();
    for ((kind, bytes), offset) in log.iter().zip(0..) {
        let record = Record {
            offset,
            kind: *kind,
            bytes: Bytes::from(bytes.clone()),
            stated: None,
            kept: None,
            replay_of: None,
        };
        if let Some(rows) = gathering.push(&record).unwrap() {
            boundaries.insert((rows.first(), rows.last()));
        }
    }
    boundaries
}

fn logs() -> impl Strategy<Value = Vec<(RecordKind, Vec<u8>)>> {
    let record = prop_oneof![
        6 => (0_u64..1_000_000).prop_map(|number| (RecordKind::Usage, event(number))),
        2 => prop::collection::vec(any::<u8>(), 0..20).prop_map(|noise| (RecordKind::Usage, noise)),
        1 => Just((RecordKind::Cut, CUT_RECORD.to_vec())),
    ];
    prop::collection::vec(record, 1..40)
}

/// A record of the golden form, months apart by its number.
fn event(number: u64) -> Vec<u8> {
    let mut event = crate::sample::event(number);
    event.received_us.0 += i64::try_from(number % 3).unwrap() * 31 * 86_400 * 1_000_000;
    crate::sample::encode(&event)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever dies whenever: the batches are those of the log, every row is there, none twice.
    #[test]
    fn any_schedule_of_deaths_gives_the_batches_and_rows_of_a_quiet_run(
        log in logs(),
        schedule in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut world = World::new(log, Boundaries::InTheLog, schedule);
        world.run();
        prop_assert_eq!(&world.store.boundaries, &boundaries_of(&world.log));
        prop_assert_eq!(world.store.copies(), 0);
        let stored = world.store.rows.keys().filter(|(table, _)| *table == "audit_log").count();
        prop_assert_eq!(stored, world.log.len());
    }
}

/// A model that finds nothing anywhere would prove nothing.
#[test]
fn free_boundaries_double_rows_under_the_same_deaths() {
    let log: Vec<_> = (0..40)
        .map(|number| (RecordKind::Usage, event(number)))
        .collect();
    let mut doubled = 0;
    for seed in 0..50_u32 {
        let schedule = (0..300_u32).map(|step| {
            let mixed = step.wrapping_mul(2_654_435_761).wrapping_add(seed * 40_503);
            mixed.to_le_bytes()[2]
        });
        let mut world = World::new(log.clone(), Boundaries::Free, schedule.collect());
        world.run();
        doubled += u32::from(world.store.copies() > 0);
    }
    assert!(doubled > 10, "only {doubled} of 50 runs doubled a row");
}
