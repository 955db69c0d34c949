//! What holds one after another: entries of one key, each until the next begins, and what contradicts what.

use crate::price::error::{PriceError, Problem};
use crate::time::Micros;

/// An entry with a time in which it holds.
pub(super) trait Dated {
    /// The line of the file.
    fn line(&self) -> usize;
    /// First instant at which it holds.
    fn valid_from(&self) -> Option<Micros>;
    /// First instant at which it no longer holds, where the file says so.
    fn valid_to(&self) -> Option<Micros>;
    /// Whether two entries of one key and one time say the same.
    fn says_the_same(&self, other: &Self) -> bool;
    /// What else makes this entry impossible after an earlier one.
    fn after(&self, _earlier: &Self) -> Option<Problem> {
        None
    }
}

/// An entry and the instant at which it ends, or is replaced.
#[derive(Clone, Debug)]
pub(super) struct Held<T> {
    pub(super) item: T,
    pub(super) until: Option<Micros>,
}

impl<T: Dated> Held<T> {
    pub(super) fn holds(&self, at: Micros) -> bool {
        self.item.valid_from().is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
    }

    /// Whether there is an instant at which both hold.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| matches!((a.until, b.item.valid_from()), (Some(end), Some(start)) if end <= start);
        !before(self, other) && !before(other, self)
    }
}

/// All entries of one key.
#[derive(Clone, Debug)]
pub(super) struct Timeline<T>(Vec<Held<T>>);

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Dated> Timeline<T> {
    pub(super) fn push(&mut self, item: T) {
        let until = item.valid_to();
        self.0.push(Held { item, until });
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Held<T>> {
        self.0.iter()
    }

    pub(super) fn at(&self, at: Micros) -> Option<&T> {
        let held = self.0.iter().find(|held| held.holds(at))?;
        Some(&held.item)
    }

    /// Orders the entries by time, ends each where the next begins, and finds contradictions.
    pub(super) fn settle(&mut self, errors: &mut Vec<PriceError>) {
        let held = &mut self.0;
        held.sort_by_key(|held| (held.item.valid_from(), held.item.line()));
        let mut longest: Option<(Micros, usize)> = None;
        for at in 1..held.len() {
            let (before, rest) = held.split_at_mut(at);
            let (previous, this) = (&mut before[at - 1], &rest[0].item);
            if let Some(end) = previous.item.valid_to() {
                longest = longest.max(Some((end, previous.item.line())));
            }
            if let Some(problem) = contradiction(&previous.item, this, longest) {
                errors.push(PriceError {
                    line: this.line(),
                    problem,
                });
            }
            if previous.until.is_none() {
                previous.until = this.valid_from();
            }
        }
    }
}

fn contradiction<T: Dated>(
    previous: &T,
    this: &T,
    longest: Option<(Micros, usize)>,
) -> Option<Problem> {
    if let Some(problem) = this.after(previous) {
        return Some(problem);
    }
    if previous.valid_from() == this.valid_from() {
        let same = previous.says_the_same(this) && previous.valid_to() == this.valid_to();
        let problem = if same {
            Problem::Duplicate
        } else {
            Problem::Overlap
        };
        return Some(problem(previous.line()));
    }
    let (end, line) = longest?;
    this.valid_from()
        .is_none_or(|from| from < end)
        .then_some(Problem::Overlap(line))
}
