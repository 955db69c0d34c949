//! Our algorithm in the model: the real worker, with its real rows and tokens, and only its hands are the model's. Nothing here
//! fences it: commits of stale members are accepted, late and backwards.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use schemas::rows::Source as Place;
use schemas::wire::CUT_RECORD;
use schemas::{Columns, CutRow, RecordKind, Text};

use super::store::Insert;
use super::world::{Entry, Heard, Task, World};
use crate::decode::Rows;
use crate::order::{Delivered, Order};
use crate::source::Record;
use crate::start::{Known, begin};
use crate::worker::{Bounds, Fate, Input, Output, Step, Worker};
use crate::write::token;

const BOUNDS: Bounds = Bounds {
    linger: Duration::from_millis(6),
    retry_first: Duration::from_millis(1),
    retry_most: Duration::from_millis(4),
    // With an insert that arrives late, still fewer inserts than the store remembers.
    token_trust: Duration::from_millis(6),
    ahead: i64::MAX,
};

/// Records that are events; the others are noise.
pub(super) fn is_event(number: u8) -> bool {
    number.is_multiple_of(16)
}

/// One task.
pub(super) struct Ours {
    pub partition: usize,
    started: u64,
    running: Option<Running>,
    leaves: bool,
}

struct Running {
    worker: Worker,
    order: Order,
    waits_until: Option<u64>,
}

impl Ours {
    pub(super) fn new(partition: usize, now: u64) -> Self {
        Self {
            partition,
            started: now,
            running: None,
            leaves: false,
        }
    }

    /// Its partition was taken away.
    pub(super) fn leave(&mut self, now: u64) {
        self.leaves = true;
        let now = self.at(now);
        if let Some(running) = &mut self.running {
            running.worker.take(Input::Leave, now).expect("no record");
        }
    }

    fn at(&self, now: u64) -> Duration {
        Duration::from_millis(now - self.started)
    }

    /// One exchange with the outside.
    pub(super) fn step(&mut self, world: &mut World) -> Task {
        if self.running.is_none() {
            if self.leaves {
                return Task::Ended;
            }
            self.begin(world);
            return Task::GoesOn;
        }
        let now = self.at(world.now);
        let partition = self.partition;
        let running = self.running.as_mut().expect("it runs");
        if let Some(until) = running.waits_until {
            if world.now >= until {
                running.waits_until = None;
                running.worker.take(Input::Waited, now).expect("no record");
            }
            return Task::GoesOn;
        }
        match running.worker.output() {
            None => running.read(partition, world, now),
            Some(Output::Begin(_)) => {}
            Some(Output::Step {
                rows,
                step,
                look_first,
            }) => {
                let fate = do_step(partition, world, &rows, step, look_first);
                let told = running.worker.take(Input::Stepped(fate), now);
                told.expect("no record");
            }
            Some(Output::Wait(pause)) => {
                let pause = u64::try_from(pause.as_millis()).expect("short");
                running.waits_until = Some(world.now + pause);
            }
            Some(Output::Commit(rows)) => {
                world.kept[partition].boundary = rows.last() + 1;
                let told = running.worker.take(Input::Committed, now);
                told.expect("no record");
            }
            Some(Output::AppendCut) => {
                world.append_cut(partition);
                running
                    .worker
                    .take(Input::CutTried, now)
                    .expect("no record");
            }
            Some(Output::End) => return Task::Ended,
        }
        Task::GoesOn
    }

    /// Asks the broker and the store where to go on.
    fn begin(&mut self, world: &mut World) {
        let partition = self.partition;
        self.started = world.now;
        let last_cut = world.store.after_last_cut(partition) - 1;
        let known = Known {
            mark: None,
            boundary: Some(world.kept[partition].boundary),
            last_cut: Some(last_cut),
            first_kept: 0,
            readable_end: i64::try_from(world.logs[partition].len()).expect("short"),
            written_by: None,
        };
        let at = begin(&known).expect("the log is there").at;
        let place = Place {
            topic: Text::cut("model"),
            partition: i32::try_from(partition).expect("few"),
        };
        world.kept[partition].boundary = at;
        let doubtful = world.store.last_row(partition, at);
        self.running = Some(Running {
            worker: Worker::new(Rows::new(place, at), BOUNDS, doubtful),
            order: Order::from(at),
            waits_until: None,
        });
    }
}

impl Running {
    fn read(&mut self, partition: usize, world: &mut World, now: Duration) {
        if !self.worker.wants_records() {
            return;
        }
        let Some((offset, entry)) = world.deliver(partition, self.order.next()) else {
            self.worker.take(Input::CaughtUp, now).expect("no record");
            return;
        };
        if self.order.take(offset) == Delivered::Next {
            let record = record(offset, entry);
            let told = self.worker.take(Input::Record(&record), now);
            told.expect("all of this version");
        }
    }
}

fn record(offset: i64, entry: Entry) -> Record {
    static EVENT: OnceLock<Bytes> = OnceLock::new();
    let (kind, bytes) = match entry {
        Entry::Cut => (RecordKind::Cut, Bytes::from_static(CUT_RECORD)),
        Entry::Record(number) if is_event(number) => {
            let make = || crate::sample::encode(&crate::sample::event(7)).into();
            (RecordKind::Usage, EVENT.get_or_init(make).clone())
        }
        Entry::Record(number) => (RecordKind::Usage, Bytes::copy_from_slice(&[number])),
    };
    Record {
        offset,
        kind,
        bytes,
        stated: None,
        kept: None,
        replay_of: None,
    }
}

fn do_step(partition: usize, world: &mut World, rows: &Rows, step: Step, look: bool) -> Fate {
    let inserts = inserts(partition, rows, step);
    let mut fate = Fate::Done;
    for insert in inserts {
        let there = world.store.there(insert.table, partition, &insert.places);
        if look && there == insert.places.len() {
            fate = Fate::WasThere;
            continue;
        }
        match world.insert(&insert) {
            Heard::Done => {}
            Heard::NotDone => return Fate::NotDone,
            Heard::Unknown => return Fate::Unknown,
        }
    }
    if step == Step::Cut {
        world.store.cuts[partition].push((rows.first(), rows.last()));
    }
    fate
}

fn inserts(partition: usize, rows: &Rows, step: Step) -> Vec<Insert> {
    let digest = rows.cut(0).digest;
    let content = u64::from_le_bytes(digest[..8].try_into().expect("eight bytes"));
    let insert = |table: usize, name: &str, month: u32, places: Vec<i64>| Insert {
        table,
        partition,
        places,
        token: Some(token(name, rows, month, 0)),
        content,
    };
    match step {
        Step::Audit => rows
            .audit()
            .iter()
            .map(|(month, audit)| {
                let places = audit.iter().map(|row| row.0.offset).collect();
                insert(0, "audit_log", *month, places)
            })
            .collect(),
        Step::Usage => rows
            .usage()
            .iter()
            .map(|(month, usage)| {
                let places = usage.iter().map(|row| row.0.head.offset).collect();
                insert(1, "usage_events", *month, places)
            })
            .collect(),
        Step::Cut => vec![insert(2, CutRow::TABLE, 0, vec![rows.first()])],
        Step::DeadLetters => Vec::new(),
    }
}
