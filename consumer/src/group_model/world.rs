//! The model's world: logs, what the group committed, members and their tasks, and the faults that a schedule draws. What a task
//! does is the algorithm's; whatever can go wrong between two of its steps goes wrong here.

use super::dice::Dice;
use super::ours::Ours;
use super::store::{Insert, Store};
use super::weaker::{Kind, Weaker};

pub(super) const PARTITIONS: usize = 2;
const MEMBERS: usize = 3;
/// Steps of the part in which everything can fail.
const STORMY: usize = 450;
/// The most steps that the quiet end may take.
const QUIET: usize = 20_000;
/// An insert whose caller got no answer arrives at most so late: the insert's deadline.
const LATEST_ARRIVAL: u64 = 6;

/// What consumes a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Ours,
    Weaker(Kind),
}

/// A record of a log: a cut, or one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Cut,
    /// By which all its bytes are made.
    Record(u8),
}

/// What the broker keeps of a partition for the group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    pub boundary: i64,
    /// The batch that was begun, of algorithms that say so.
    pub intent: Option<(i64, i64)>,
}

/// What became of an insert, as its caller hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Done,
    NotDone,
    Unknown,
}

/// Whether a task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    GoesOn,
    Ended,
}

pub(super) enum Consuming {
    Ours(Box<Ours>),
    Weaker(Weaker),
}

struct Member {
    /// The generation that its client knows; a rejoin renews it whatever its tasks know.
    generation: u64,
    stalled_until: u64,
    tasks: Vec<Consuming>,
}

/// Everything but the members.
pub(super) struct World {
    pub dice: Dice,
    pub now: u64,
    pub logs: [Vec<Entry>; PARTITIONS],
    pub kept: [Kept; PARTITIONS],
    pub store: Store,
    pub generation: u64,
    /// Nothing goes wrong any more.
    pub is_quiet: bool,
    late: Vec<(u64, Insert)>,
    to_come: usize,
}

impl World {
    /// Hands an insert to the store, or not, and tells the caller what it hears of it.
    pub(super) fn insert(&mut self, insert: &Insert) -> Heard {
        let fate = if self.is_quiet {
            0
        } else {
            self.dice.below(20)
        };
        match fate {
            0..=15 => {
                self.store.insert(insert);
                Heard::Done
            }
            16 => Heard::NotDone,
            17 => {
                self.store.insert(insert);
                Heard::Unknown
            }
            18 => Heard::Unknown,
            _ => {
                let latest = usize::try_from(LATEST_ARRIVAL).expect("a small constant");
                let delay = 1 + self.dice.below(latest) as u64;
                self.late.push((self.now + delay, insert.clone()));
                Heard::Unknown
            }
        }
    }

    /// Appends a cut: once, twice, or not at all.
    pub(super) fn append_cut(&mut self, partition: usize) {
        let copies = match self.dice.below(10) {
            0 if !self.is_quiet => 0,
            1 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            self.logs[partition].push(Entry::Cut);
        }
    }

    /// Which record a reader that asks for `next` is given; `None` when it has caught up. Now and then it is an older one again,
    /// or one too far on.
    pub(super) fn deliver(&mut self, partition: usize, next: i64) -> Option<(i64, Entry)> {
        let end = self.logs[partition].len();
        let next = usize::try_from(next).expect("places are positive");
        let given = match self.dice.below(16) {
            0 if !self.is_quiet => next.saturating_sub(1 + self.dice.below(3)),
            1 if !self.is_quiet => next + 1,
            _ => next,
        };
        let given = if given < end { given } else { next };
        let entry = self.logs[partition].get(given)?;
        Some((i64::try_from(given).expect("a place"), *entry))
    }

    fn tick(&mut self) {
        self.now += 1;
        let now = self.now;
        let (arrived, late) = std::mem::take(&mut self.late)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.late = late;
        for (_, insert) in arrived {
            self.store.insert(&insert);
        }
    }

    fn produce(&mut self) {
        if self.to_come > 0 {
            self.to_come -= 1;
            let partition = self.dice.below(PARTITIONS);
            let number = u8::try_from(self.dice.below(256)).expect("a byte");
            self.logs[partition].push(Entry::Record(number));
        }
    }
}

/// What a schedule came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub copies: usize,
    pub missing: usize,
    /// Cuts that overlap others or leave something out between.
    pub crooked_cuts: usize,
}

impl Found {
    pub(super) fn is_exact(self) -> bool {
        self.copies + self.missing + self.crooked_cuts == 0
    }
}

struct Group {
    world: World,
    algorithm: Algorithm,
    members: Vec<Option<Member>>,
    owners: [Option<usize>; PARTITIONS],
}

/// Plays the schedule of a seed to its end, and looks at the store.
pub(super) fn play(algorithm: Algorithm, seed: u64) -> Found {
    let mut group = Group::new(algorithm, seed);
    for _ in 0..STORMY {
        group.storm();
    }
    group.calm();
    group.judge()
}

impl Group {
    fn new(algorithm: Algorithm, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let to_come = 4 + dice.below(40);
        let member = || {
            Some(Member {
                generation: 0,
                stalled_until: 0,
                tasks: Vec::new(),
            })
        };
        let mut group = Self {
            world: World {
                dice,
                now: 0,
                logs: Default::default(),
                kept: Default::default(),
                store: Store::default(),
                generation: 0,
                is_quiet: false,
                late: Vec::new(),
                to_come,
            },
            algorithm,
            members: (0..MEMBERS).map(|_| member()).collect(),
            owners: [None; PARTITIONS],
        };
        group.rebalance();
        group
    }

    fn storm(&mut self) {
        self.world.tick();
        let member = self.world.dice.below(MEMBERS);
        match self.world.dice.below(100) {
            0..=9 => self.world.produce(),
            10..=11 => self.kill(member),
            12..=14 => self.stall(member),
            15..=16 => self.rebalance(),
            17 => self.rejoin(member),
            18 => self.learn(member),
            _ => self.step(member),
        }
    }

    /// kill -9; another process takes its place.
    fn kill(&mut self, member: usize) {
        self.members[member] = None;
        for partition in 0..PARTITIONS {
            if self.owners[partition] == Some(member) {
                self.owners[partition] = None;
            }
        }
        if self.world.dice.one_in(2) {
            self.rebalance();
        }
        self.members[member] = Some(Member {
            generation: self.world.generation,
            stalled_until: 0,
            tasks: Vec::new(),
        });
    }

    /// It stands still; the group may find that out meanwhile, and give its partitions to others.
    fn stall(&mut self, member: usize) {
        let most = if self.world.dice.one_in(4) { 350 } else { 60 };
        let length = 5 + self.world.dice.below(most) as u64;
        let until = self.world.now + length;
        if let Some(member) = &mut self.members[member] {
            member.stalled_until = until;
        }
        if self.world.dice.one_in(2) {
            self.rebalance();
        }
    }

    fn is_awake(&self, member: usize) -> bool {
        self.members[member]
            .as_ref()
            .is_some_and(|member| member.stalled_until <= self.world.now)
    }

    /// A new generation: partitions go to members that are awake. Who loses one is not waited for.
    fn rebalance(&mut self) {
        self.world.generation += 1;
        for partition in 0..PARTITIONS {
            let member = self.world.dice.below(MEMBERS);
            if !self.is_awake(member) {
                continue;
            }
            let generation = self.world.generation;
            let (algorithm, now) = (self.algorithm, self.world.now);
            let Some(new) = &mut self.members[member] else {
                continue;
            };
            new.generation = generation;
            if self.owners[partition] != Some(member) {
                self.owners[partition] = Some(member);
                new.tasks.push(match algorithm {
                    Algorithm::Ours => Consuming::Ours(Box::new(Ours::new(partition, now))),
                    Algorithm::Weaker(kind) => {
                        Consuming::Weaker(Weaker::new(kind, partition, generation))
                    }
                });
            }
        }
        // Who is awake and keeps what it had is in the new generation too.
        for member in 0..MEMBERS {
            if self.is_awake(member) {
                self.rejoin(member);
            }
        }
    }

    /// Its client joins again, behind the back of its tasks, and whatever they send is sent in the new generation.
    fn rejoin(&mut self, member: usize) {
        if let Some(member) = &mut self.members[member] {
            member.generation = self.world.generation;
        }
    }

    /// It learns what it does not own any more; tasks bring to an end what they have in work, or are dropped.
    fn learn(&mut self, member: usize) {
        let (owners, now) = (self.owners, self.world.now);
        let dropped = self.world.dice.one_in(2);
        let Some(learning) = &mut self.members[member] else {
            return;
        };
        learning.tasks.retain_mut(|task| {
            let partition = task.partition();
            if owners[partition] == Some(member) {
                return true;
            }
            if let (Consuming::Ours(ours), false) = (&mut *task, dropped) {
                ours.leave(now);
                return true;
            }
            false
        });
    }

    /// One step of one of its tasks.
    fn step(&mut self, member: usize) {
        if !self.is_awake(member) {
            return;
        }
        let Some(stepping) = &mut self.members[member] else {
            return;
        };
        if stepping.tasks.is_empty() {
            return;
        }
        let at = self.world.dice.below(stepping.tasks.len());
        let generation = stepping.generation;
        let went = match &mut stepping.tasks[at] {
            Consuming::Ours(ours) => ours.step(&mut self.world),
            Consuming::Weaker(weaker) => weaker.step(&mut self.world, generation),
        };
        if went == Task::Ended {
            let ended = stepping.tasks.remove(at);
            if self.owners[ended.partition()] == Some(member) {
                self.owners[ended.partition()] = None;
            }
        }
    }

    /// Nothing new goes wrong: stale tasks go on for a while, then one new member has everything, and reads to the end.
    fn calm(&mut self) {
        self.world.is_quiet = true;
        for _ in 0..100 {
            self.world.tick();
            let member = self.world.dice.below(MEMBERS);
            self.step(member);
        }
        while self.world.to_come > 0 {
            self.world.produce();
        }
        for member in 1..MEMBERS {
            self.members[member] = None;
        }
        self.members[0] = Some(Member {
            generation: self.world.generation,
            stalled_until: 0,
            tasks: Vec::new(),
        });
        self.owners = [None; PARTITIONS];
        for step in 0.. {
            assert!(step < QUIET, "the quiet end does not come to an end");
            if self.owners.contains(&None) {
                self.rebalance();
            }
            self.world.tick();
            self.step(0);
            let ends = self.world.logs.iter().map(Vec::len);
            let is_over = ends.zip(&self.world.kept).all(|(end, kept)| {
                kept.intent.is_none() && usize::try_from(kept.boundary) == Ok(end)
            });
            if is_over {
                break;
            }
        }
        for _ in 0..=LATEST_ARRIVAL {
            self.world.tick();
        }
    }

    fn judge(&self) -> Found {
        let store = &self.world.store;
        let tables = match self.algorithm {
            Algorithm::Ours => 0..2,
            Algorithm::Weaker(_) => 0..1,
        };
        let mut missing = 0;
        let mut crooked_cuts = 0;
        for (partition, log) in self.world.logs.iter().enumerate() {
            missing += store.missing(0, partition, log.len());
            if self.algorithm == Algorithm::Ours {
                let mut cuts = store.cuts[partition].clone();
                cuts.sort_unstable();
                cuts.dedup();
                let mut next = 0;
                for (first, last) in cuts {
                    crooked_cuts += usize::from(first != next);
                    next = last + 1;
                }
                crooked_cuts += usize::from(usize::try_from(next) != Ok(log.len()));
                missing += usage_missing(store, partition, log);
            }
        }
        Found {
            copies: tables.map(|table| store.copies(table)).sum(),
            missing,
            crooked_cuts,
        }
    }
}

/// Events without a row in the second table.
fn usage_missing(store: &Store, partition: usize, log: &[Entry]) -> usize {
    let events = log.iter().zip(0_i64..).filter_map(|(entry, place)| {
        matches!(entry, Entry::Record(number) if super::ours::is_event(*number)).then_some(place)
    });
    let events: Vec<i64> = events.collect();
    events.len() - store.there(1, partition, &events)
}

impl Consuming {
    fn partition(&self) -> usize {
        match self {
            Self::Ours(ours) => ours.partition,
            Self::Weaker(weaker) => weaker.partition,
        }
    }
}
