//! What an import did not take, each with its place and its reason.

use serde::Serialize;

/// The most refusals that are kept; all are counted.
pub const MOST_KEPT: usize = 10_000;

/// Something of an export that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The line of the file; 0 where it has none.
    pub line: usize,
    /// What it is called there.
    pub entry: String,
    /// The field; empty for the whole of it.
    pub field: String,
    /// Why.
    pub reason: String,
}

impl Refused {
    pub(super) fn of_line(line: usize, entry: &str, reason: String) -> Self {
        Self {
            line,
            entry: entry.chars().take(128).collect(),
            field: String::new(),
            reason,
        }
    }
}

/// All that was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    kept: Vec<Refused>,
    count: usize,
}

impl Refusals {
    /// Keeps one, as long as there is room.
    pub(super) fn add(&mut self, refused: Refused) {
        self.count += 1;
        if self.kept.len() < MOST_KEPT {
            self.kept.push(refused);
        }
    }

    /// Those that are kept, in their order.
    #[must_use]
    pub fn kept(&self) -> &[Refused] {
        &self.kept
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}
