//! Figures about a journal for metrics and `doctor`. Read only.

use crate::shared::Shared;
use crate::writer::State;

/// A snapshot of a journal's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Oldest position that is kept.
    pub first: u64,
    /// Next position.
    pub end: u64,
    /// All positions below are durable.
    pub synced_end: u64,
    /// Segment files with frames.
    pub segments: u64,
    /// Bytes in those files.
    pub bytes: u64,
    /// Open reservations.
    pub reserved: u64,
    /// Reservations that were dropped unsettled since the start; not 0 is a bug above.
    pub abandoned: u64,
    /// Bytes of refusals in kept segments.
    pub refusal_bytes: u64,
    /// Bytes of refusals that nobody has confirmed: what their lane bounds.
    pub unconfirmed_refusal_bytes: u64,
    /// Bytes that capacity still allows beside open reservations; the disk may allow less.
    pub room_bytes: u64,
    /// Nothing is taken until a restart.
    pub poisoned: bool,
}

impl Shared {
    pub(crate) fn stats(&self) -> Stats {
        let synced_end = self.synced().end;
        let writer = self.writer.lock();
        let bytes = writer.closed_bytes + writer.active.offset;
        let promised = writer.reserved * writer.options.outcome_bytes;
        Stats {
            first: writer.segments.first_base().unwrap_or(writer.end),
            end: writer.end,
            synced_end,
            segments: writer.segments.len() as u64,
            bytes,
            reserved: writer.reserved,
            abandoned: writer.abandoned,
            refusal_bytes: writer.refusal_bytes,
            unconfirmed_refusal_bytes: writer.lane.bytes(),
            room_bytes: writer
                .options
                .capacity_bytes
                .saturating_sub(bytes + promised),
            poisoned: matches!(writer.state, State::Poisoned(_)),
        }
    }
}
