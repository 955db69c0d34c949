//! Whether a delivered record is the next one. A reader may be given a record again, or one too far on; neither may reach the
//! worker, for a batch is what the log says and not what was delivered. Pure.

/// The place that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    next: i64,
}

/// What to do with a delivered record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// Take it.
    Next,
    /// It was taken before: drop it.
    Again,
    /// Others are missing before it: drop it, and read from `wanted` again.
    TooFar {
        /// The place that comes next.
        wanted: i64,
    },
}

impl Order {
    /// Begins at `next`.
    pub(crate) fn from(next: i64) -> Self {
        Self { next }
    }

    /// The place that comes next.
    pub(crate) fn next(self) -> i64 {
        self.next
    }

    /// Judges the record at `offset`.
    pub(crate) fn take(&mut self, offset: i64) -> Delivered {
        if offset < self.next {
            return Delivered::Again;
        }
        if offset > self.next {
            return Delivered::TooFar { wanted: self.next };
        }
        self.next += 1;
        Delivered::Next
    }
}
