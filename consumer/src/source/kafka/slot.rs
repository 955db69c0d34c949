//! An assigned partition, as its owner keeps it: how far it has come, and the worker that reads it.

use std::sync::Arc;
use std::time::Instant;

use super::queue::Queue;
use crate::handle::Handle;
use crate::order::Order;
use crate::status::State;

/// Where a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is not known where the group was.
    New,
    /// Its worker looks where to begin.
    Beginning,
    /// It is to be read from here on.
    Seek(i64),
    Flowing,
    /// Its worker stopped then, for a person.
    Halted(Instant),
}

/// An assigned partition.
pub(super) struct Slot {
    pub(super) queue: Arc<Queue>,
    pub(super) order: Option<Order>,
    pub(super) stage: Stage,
    pub(super) is_paused: bool,
    pub(super) handle: Option<Handle>,
    /// The place before which records were missing once already.
    pub(super) gap: Option<i64>,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            queue: Arc::default(),
            order: None,
            stage: Stage::New,
            is_paused: true,
            handle: None,
            gap: None,
        }
    }
}

pub(super) fn has_ended(handle: &Handle) -> bool {
    matches!(handle.status().state, State::Ended | State::Halted(_))
}

/// What was begun is done again by whoever has the partition, with the same tokens.
pub(super) fn abandon(slot: Slot) {
    if let Some(handle) = slot.handle {
        handle.abort();
        handle.join();
    }
}
