//! Where the next frame goes, so that every open reservation keeps its room. Pure.
//!
//! A frame never crosses a segment, so a segment's last bytes can be wasted. Room is therefore
//! counted in whole slots of `outcome_bytes` per segment: a frame no larger than a slot that
//! fits takes at most one slot; one that does not fit finds no slot in the active segment
//! anyway. So a settlement always finds room while `slots >= reserved`.

/// Bytes and segments at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Preallocated bytes left in the active segment.
    pub(crate) active_bytes: u64,
    /// Preallocated segments that wait.
    pub(crate) spares: u64,
    /// Bytes of frames that a fresh segment holds.
    pub(crate) segment_bytes: u64,
    /// Bytes of a slot.
    pub(crate) outcome_bytes: u64,
}

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into the active segment.
    Active,
    /// Into the next spare.
    NextSegment,
    /// Nowhere before another segment is preallocated.
    NeedsSegment,
}

impl Room {
    /// Slots that are certainly there.
    pub(crate) fn slots(self) -> u64 {
        self.active_bytes / self.outcome_bytes + self.spares * self.slots_per_segment()
    }

    /// The place for a frame that leaves at least `reserved` slots free.
    pub(crate) fn place(self, frame_bytes: u64, reserved: u64) -> Place {
        let (room, place) = if frame_bytes <= self.active_bytes {
            let active_bytes = self.active_bytes - frame_bytes;
            (
                Self {
                    active_bytes,
                    ..self
                },
                Place::Active,
            )
        } else if self.spares > 0 && frame_bytes <= self.segment_bytes {
            let active_bytes = self.segment_bytes - frame_bytes;
            let spares = self.spares - 1;
            (
                Self {
                    active_bytes,
                    spares,
                    ..self
                },
                Place::NextSegment,
            )
        } else {
            return Place::NeedsSegment;
        };
        if room.slots() >= reserved {
            place
        } else {
            Place::NeedsSegment
        }
    }

    fn slots_per_segment(self) -> u64 {
        self.segment_bytes / self.outcome_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever sizes were appended, settling all reservations one by one never needs a new segment.
        #[test]
        fn settlements_always_find_room(
            segment in 64_u64..500,
            outcome in 8_u64..32,
            steps in proptest::collection::vec((1_u64..64, any::<bool>()), 1..200),
            mut limit in 1_u64..6,
        ) {
            let mut room = Room { active_bytes: segment, spares: 0, segment_bytes: segment, outcome_bytes: outcome };
            let mut reserved = 0;
            for (size, admits) in steps {
                let after = reserved + u64::from(admits);
                match room.place(size, after) {
                    Place::Active => room.active_bytes -= size,
                    Place::NextSegment => {
                        room.spares -= 1;
                        room.active_bytes = segment - size;
                    }
                    Place::NeedsSegment if limit > 0 => {
                        limit -= 1;
                        room.spares += 1;
                        continue;
                    }
                    Place::NeedsSegment => continue,
                }
                reserved = after;
                let mut closing = room;
                for left in (0..reserved).rev() {
                    let size = 1 + (size * (left + 1)) % outcome;
                    match closing.place(size, left) {
                        Place::Active => closing.active_bytes -= size,
                        Place::NextSegment => {
                            closing.spares -= 1;
                            closing.active_bytes = segment - size;
                        }
                        Place::NeedsSegment => prop_assert!(false, "no room for {} of {}", left, reserved),
                    }
                }
            }
        }
    }
}
