//! The parts of one side of a usage object, wherever and however often they are told.

use schemas::Unit;
use smallvec::SmallVec;

use super::counts::{NotACount, agree, count_of, counts_something, has_stranger, is_odd, object};
use super::parse::Object;
use super::side::Parts;

/// A part and the names that it goes by.
pub(super) type Part = (Unit, &'static [&'static str]);

/// The objects that divide one side. Mistral sends the same one under two names.
pub(super) struct Details<'a>(SmallVec<[&'a Object<'a>; 1]>);

impl<'a> Details<'a> {
    /// Those of `names` that are objects.
    pub(super) fn of(usage: &'a Object<'a>, names: &[&str]) -> Self {
        let objects = names.iter().filter_map(|name| object(usage, name));
        Self(objects.collect())
    }

    /// The objects of these names in any of them.
    pub(super) fn inside(&self, names: &[&str]) -> Self {
        let all = self.0.iter().flat_map(|details| Self::of(details, names).0);
        Self(all.collect())
    }

    /// These and others, which tell the same.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether there are any.
    pub(super) fn are_told(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether any figure in them is above zero.
    pub(super) fn count_something(&self) -> bool {
        let mut figures = self.0.iter().flat_map(|details| details.iter());
        figures.any(|(_, value)| counts_something(value))
    }

    /// A figure that may go by several names; told differently it is none.
    pub(super) fn count(&self, names: &[&str]) -> Result<Option<i64>, NotACount> {
        let mut found = None;
        for details in &self.0 {
            found = agree(found, count_of(details, names)?)?;
        }
        Ok(found)
    }

    /// Whether one of this name is there and no object.
    pub(super) fn have_odd(&self, name: &str) -> bool {
        self.0.iter().any(|details| is_odd(details, &[name]))
    }

    /// The parts that are told.
    pub(super) fn parts(&self, parts: &[Part]) -> Result<Parts, NotACount> {
        let mut told = Parts::new();
        for (unit, names) in parts {
            if let Some(count) = self.count(names)? {
                told.push((*unit, count));
            }
        }
        Ok(told)
    }

    /// Whether a figure above zero is neither a part nor among `others`.
    pub(super) fn have_stranger(&self, parts: &[Part], others: &[&[&str]]) -> bool {
        let known: SmallVec<[&[&str]; 12]> = parts
            .iter()
            .map(|(_, names)| *names)
            .chain(others.iter().copied())
            .collect();
        self.0.iter().any(|details| has_stranger(details, &known))
    }
}
