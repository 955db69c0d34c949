//! Random lives of a journal against a plain list: appends, admissions, settlements,
//! refusals, syncs, retirements, kills, power cuts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use journal::testing::{FaultLayer, Survival};
use journal::{AppendError, Journal, Reservation};
use proptest::prelude::*;

use crate::common::{memory, open, read_all, read_live};

#[derive(Debug, Clone, Copy)]
enum Move {
    Append { bytes: usize },
    Admit { bytes: usize },
    Settle { bytes: usize },
    Refuse { bytes: usize },
    Sync,
    Retire { back: u64 },
    Close,
    Kill,
    PowerCut { seed: Option<u64> },
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => (0_usize..600).prop_map(|bytes| Move::Append { bytes }),
        8 => (0_usize..300).prop_map(|bytes| Move::Admit { bytes }),
        8 => (0_usize..238).prop_map(|bytes| Move::Settle { bytes }),
        3 => (0_usize..300).prop_map(|bytes| Move::Refuse { bytes }),
        4 => Just(Move::Sync),
        1 => (0_u64..20).prop_map(|back| Move::Retire { back }),
        1 => Just(Move::Close),
        2 => Just(Move::Kill),
        2 => any::<Option<u64>>().prop_map(|seed| Move::PowerCut { seed }),
    ]
}

/// What must be in the journal: kind and payload by position.
type Expected = BTreeMap<u64, (u8, Vec<u8>)>;

struct Life {
    layer: FaultLayer,
    journal: Journal,
    open: Vec<Reservation>,
    expected: Expected,
    stamp: u64,
    runtime: tokio::runtime::Runtime,
}

impl Life {
    fn begin() -> Self {
        let layer = memory();
        let (journal, _) = open(&layer);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut life = Self {
            layer,
            journal,
            open: vec![],
            expected: Expected::new(),
            stamp: 0,
            runtime,
        };
        life.note_boot(0);
        life
    }

    /// The boot frame is the journal's own; we take what it says for granted elsewhere.
    fn note_boot(&mut self, position: u64) {
        let (frames, damage) = read_live(&self.journal, position);
        assert!(
            !frames.is_empty(),
            "{position} {damage:?} {:?}",
            self.journal.stats()
        );
        self.expected
            .insert(position, (0, frames[0].payload.to_vec()));
    }

    fn payload(&mut self, bytes: usize) -> Vec<u8> {
        self.stamp += 1;
        let mut payload = self.stamp.to_le_bytes().to_vec();
        payload.resize(bytes, u8::try_from(self.stamp % 251).unwrap());
        payload
    }

    fn step(&mut self, step: Move) {
        match step {
            Move::Append { bytes } => {
                let payload = self.payload(bytes);
                let ticket = self
                    .journal
                    .append(1, &payload)
                    .map(|ticket| ticket.position());
                self.note(ticket, 1, payload);
            }
            Move::Refuse { bytes } => {
                let payload = self.payload(bytes);
                let ticket = self.journal.append_refusal(2, &payload);
                self.note(ticket.map(|ticket| ticket.position()), 2, payload);
            }
            Move::Admit { bytes } => {
                let payload = self.payload(bytes);
                let admitted = self
                    .journal
                    .admit(3, &payload)
                    .map(|(reservation, ticket)| {
                        self.open.push(reservation);
                        ticket.position()
                    });
                self.note(admitted, 3, payload);
            }
            Move::Settle { bytes } => {
                let payload = self.payload(bytes);
                if let Some(reservation) = self.open.pop() {
                    let ticket = reservation.settle(4, &payload).expect("promised room");
                    self.note(Ok(ticket.position()), 4, payload);
                }
            }
            Move::Sync => {
                self.runtime.block_on(self.journal.sync_now()).unwrap();
                self.check();
            }
            Move::Retire { back } => {
                let first_before = self.journal.stats().first;
                let before = self.journal.synced_end().saturating_sub(back);
                self.journal.retire_before(before).unwrap();
                let first = self.journal.stats().first;
                assert!(first <= before.max(first_before));
                self.expected = self.expected.split_off(&first);
            }
            Move::Close => {
                self.settle_all();
                self.journal.close().unwrap();
                self.restart(None);
            }
            Move::Kill => {
                self.layer.kill();
                self.restart(None);
            }
            Move::PowerCut { seed } => {
                let synced = self.journal.synced_end();
                let survival = seed.map_or(Survival::Nothing, |seed| Survival::Random { seed });
                self.layer.power_cut(survival).unwrap();
                self.restart(Some(synced.max(self.journal.synced_end())));
            }
        }
        assert_eq!(self.journal.stats().reserved, self.open.len() as u64);
    }

    fn note(&mut self, position: Result<u64, AppendError>, kind: u8, payload: Vec<u8>) {
        match position {
            Ok(position) => {
                let next = self
                    .expected
                    .last_key_value()
                    .map_or(0, |(last, _)| last + 1);
                assert!(position >= next, "positions grow");
                self.expected.insert(position, (kind, payload));
            }
            Err(AppendError::Full { .. } | AppendError::RefusalLaneFull) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn settle_all(&mut self) {
        while !self.open.is_empty() {
            self.step(Move::Settle { bytes: 238 });
        }
    }

    /// Starts again. `power_cut_at` is the synced end at which the power went: what lay above
    /// may be gone, even in the middle.
    fn restart(&mut self, power_cut_at: Option<u64>) {
        self.open.clear();
        // The old journal goes first: it holds the lock.
        let placeholder = open(&memory()).0;
        drop(std::mem::replace(&mut self.journal, placeholder));
        self.layer.restart();
        let (journal, recovery) = open(&self.layer);
        self.journal = journal;
        let written_end = self
            .expected
            .last_key_value()
            .map_or(0, |(last, _)| last + 1);
        match power_cut_at {
            None => {
                assert_eq!(recovery.recovered_end, written_end);
                assert_eq!(recovery.torn_tail, None);
            }
            Some(synced) => {
                assert!(
                    recovery.recovered_end >= synced,
                    "{} {synced}",
                    recovery.recovered_end
                );
                assert!(
                    recovery.recovered_end <= written_end,
                    "{written_end} {recovery:?}"
                );
                let _lost = self.expected.split_off(&recovery.recovered_end);
                for damage in &recovery.damage {
                    for position in damage.first_position..damage.next_position {
                        let held = self.expected.remove(&position).is_some();
                        assert!(
                            position >= synced || !held,
                            "lost {position} below {synced}"
                        );
                    }
                }
            }
        }
        assert_eq!(recovery.alarms, []);
        self.note_boot(recovery.boot_position);
        self.check();
    }

    /// What is read, live and offline, is exactly what is expected.
    fn check(&self) {
        let first = self.journal.stats().first;
        let (live, _) = read_live(&self.journal, first);
        let (offline, _) = read_all(Arc::new(self.layer.clone()), Path::new("/journal"));
        let synced = self.journal.synced_end();
        let below = self
            .expected
            .range(..synced)
            .map(|(at, held)| (*at, held.clone()));
        let live = live
            .into_iter()
            .map(|frame| (frame.position, (frame.kind, frame.payload.to_vec())));
        self.compare("live", &live.collect(), &below.collect());
        let offline = offline
            .into_iter()
            .map(|frame| (frame.position, (frame.kind, frame.payload.to_vec())));
        self.compare("offline", &offline.collect(), &self.expected);
    }

    fn compare(&self, how: &str, found: &Expected, expected: &Expected) {
        let positions = |held: &Expected| held.keys().copied().collect::<Vec<_>>();
        let stats = self.journal.stats();
        assert_eq!(positions(found), positions(expected), "{how} {stats:?}");
        assert!(found == expected, "{how}: other bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_behaves_like_a_list_whatever_happens(
        life in proptest::collection::vec(moves(), 1..120),
    ) {
        let mut journal = Life::begin();
        for step in life {
            journal.step(step);
        }
        journal.settle_all();
        journal.step(Move::Sync);
    }
}
