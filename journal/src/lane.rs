//! The account of the refusal lane: how many bytes of refusals nobody has confirmed yet. No I/O.
//!
//! Neighbours share a mark, so that the account stays small and still drains in small steps.

use std::collections::VecDeque;

/// A mark holds about this share of the lane.
const MARKS: u64 = 64;

/// Refusals that are confirmed together.
#[derive(Debug, Clone, Copy)]
struct Mark {
    last: u64,
    bytes: u64,
}

/// The refusals that are not confirmed, oldest first.
#[derive(Debug)]
pub(crate) struct RefusalLane {
    limit_bytes: u64,
    bytes: u64,
    marks: VecDeque<Mark>,
}

impl RefusalLane {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            bytes: 0,
            marks: VecDeque::new(),
        }
    }

    /// Bytes that are not confirmed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        self.bytes.saturating_add(bytes) <= self.limit_bytes
    }

    /// Notes a refusal; what a start finds may be more than the lane takes.
    pub(crate) fn note(&mut self, position: u64, bytes: u64) {
        self.bytes += bytes;
        match self.marks.back_mut() {
            Some(mark) if mark.bytes + bytes <= self.limit_bytes / MARKS => {
                mark.last = position;
                mark.bytes += bytes;
            }
            _ => self.marks.push_back(Mark {
                last: position,
                bytes,
            }),
        }
    }

    /// Everything below `position` counts no more.
    pub(crate) fn confirm_below(&mut self, position: u64) {
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.last < position) {
            self.bytes -= mark.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_drains_in_steps_and_has_few_marks() {
        let mut lane = RefusalLane::new(6_400);
        let mut position = 0;
        while lane.has_room_for(10) {
            lane.note(position, 10);
            position += 3;
        }
        assert_eq!((lane.bytes(), lane.marks.len()), (6_400, 64));
        lane.confirm_below(0);
        assert_eq!(lane.bytes(), 6_400);
        // Three marks lie wholly below, the fourth does not.
        lane.confirm_below(3 * 10 * 3 + 6);
        assert_eq!(lane.bytes(), 6_100);
        lane.confirm_below(u64::MAX);
        assert_eq!((lane.bytes(), lane.marks.len()), (0, 0));
    }
}
