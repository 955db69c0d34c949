//! The list of segment files in order of their base positions. No I/O.

use std::collections::VecDeque;
use std::path::PathBuf;

/// One segment file.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) base: u64,
    pub(crate) path: PathBuf,
    /// Length in bytes; of the active segment it is only known to the writer.
    pub(crate) bytes: u64,
    pub(crate) refusal_bytes: u64,
}

/// All segments, oldest first; never empty once a journal is open.
#[derive(Debug, Default)]
pub(crate) struct SegmentList {
    list: VecDeque<Segment>,
}

impl SegmentList {
    pub(crate) fn push(&mut self, segment: Segment) {
        self.list.push_back(segment);
    }

    pub(crate) fn pop_last(&mut self) -> Option<Segment> {
        self.list.pop_back()
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Segment> {
        self.list.back_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.list.iter()
    }

    /// The oldest position that is kept.
    pub(crate) fn first_base(&self) -> Option<u64> {
        self.list.front().map(|segment| segment.base)
    }

    /// The segment that holds `position`, or would.
    pub(crate) fn holding(&self, position: u64) -> Option<&Segment> {
        let after = self
            .list
            .partition_point(|segment| segment.base <= position);
        self.list.get(after.checked_sub(1)?)
    }

    /// The segment that follows the one at `base`.
    pub(crate) fn after(&self, base: u64) -> Option<&Segment> {
        self.list
            .get(self.list.partition_point(|segment| segment.base <= base))
    }

    /// The oldest segment if all of it lies below `position` and another follows.
    pub(crate) fn oldest_below(&self, position: u64) -> Option<&Segment> {
        let next = self.list.get(1)?;
        (next.base <= position).then(|| &self.list[0])
    }

    /// Forgets the oldest segment if it is the one at `base`.
    pub(crate) fn forget_oldest(&mut self, base: u64) -> Option<Segment> {
        if self.first_base()? != base {
            return None;
        }
        self.list.pop_front()
    }
}
