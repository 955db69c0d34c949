//! Four algorithms that look as if they were enough. Each is played as well as it can be; what it gets wrong is its idea.

use super::store::Insert;
use super::world::{Entry, Heard, Kept, Task, World};

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rows, then the offset; batches end where reading stopped.
    InsertThenCommit,
    /// The same, and inserts have a token of their range.
    TokenFreeCuts,
    /// Before the insert the range is noted where the next owner finds it; whoever writes last is believed.
    StateRecord,
    /// The range is noted in the commit's metadata, which the broker refuses from members of an older generation.
    FencedIntent,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [
        Self::InsertThenCommit,
        Self::TokenFreeCuts,
        Self::StateRecord,
        Self::FencedIntent,
    ];

    fn has_intent(self) -> bool {
        matches!(self, Self::StateRecord | Self::FencedIntent)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begin,
    Read,
    Intend,
    Insert,
    Commit,
}

/// One task.
#[derive(Debug)]
pub(super) struct Weaker {
    kind: Kind,
    pub partition: usize,
    phase: Phase,
    first: i64,
    next: i64,
    /// The end of the batch that was begun before.
    must_end_at: Option<i64>,
}

impl Weaker {
    pub(super) fn new(kind: Kind, partition: usize, _generation: u64) -> Self {
        Self {
            kind,
            partition,
            phase: Phase::Begin,
            first: 0,
            next: 0,
            must_end_at: None,
        }
    }

    /// One exchange with the outside, in the generation that its member's client is in.
    pub(super) fn step(&mut self, world: &mut World, generation: u64) -> Task {
        match self.phase {
            Phase::Begin => {
                let kept = world.kept[self.partition];
                (self.first, self.next) = (kept.boundary, kept.boundary);
                self.must_end_at = kept
                    .intent
                    .filter(|(first, _)| *first == kept.boundary)
                    .map(|(_, last)| last);
                self.phase = Phase::Read;
            }
            Phase::Read => self.read(world),
            Phase::Intend => {
                let kept = Kept {
                    boundary: self.first,
                    intent: Some((self.first, self.next - 1)),
                };
                if !self.keep(world, generation, kept) {
                    return Task::Ended;
                }
                self.phase = Phase::Insert;
            }
            Phase::Insert => {
                if world.insert(&self.insert()) == Heard::Done {
                    self.phase = Phase::Commit;
                }
            }
            Phase::Commit => {
                let kept = Kept {
                    boundary: self.next,
                    intent: None,
                };
                if !self.keep(world, generation, kept) {
                    return Task::Ended;
                }
                self.first = self.next;
                self.must_end_at = None;
                self.phase = Phase::Read;
            }
        }
        Task::GoesOn
    }

    fn read(&mut self, world: &mut World) {
        let delivered: Option<(i64, Entry)> = world.deliver(self.partition, self.next);
        let is_next = delivered.is_some_and(|(offset, _)| offset == self.next);
        self.next += i64::from(is_next);
        let is_open = self.next > self.first;
        let ends = match self.must_end_at {
            Some(last) => self.next == last + 1,
            None => is_open && (delivered.is_none() || world.dice.one_in(4)),
        };
        if ends {
            let notes = self.kind.has_intent() && self.must_end_at.is_none();
            self.phase = if notes { Phase::Intend } else { Phase::Insert };
        }
    }

    /// Whether the broker took it.
    fn keep(&self, world: &mut World, generation: u64, kept: Kept) -> bool {
        let is_fenced = self.kind == Kind::FencedIntent && generation != world.generation;
        if !is_fenced {
            world.kept[self.partition] = kept;
        }
        !is_fenced
    }

    fn insert(&self) -> Insert {
        let token = format!("{}/{}-{}", self.partition, self.first, self.next - 1);
        Insert {
            table: 0,
            partition: self.partition,
            places: (self.first..self.next).collect(),
            token: (self.kind != Kind::InsertThenCommit).then_some(token),
            content: 0,
        }
    }
}
