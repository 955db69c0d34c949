//! What the journal, its thread, tickets, reservations and readers share: the append lock,
//! the wake-up of the syncing thread, and the published synced end.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::error::{AppendError, Poisoned};
use crate::frame::{BOOT_KIND, Lane};
use crate::ticket::Ticket;
use crate::writer::{State, Writer};

/// How far the journal is durable; what `subscribe_synced` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// All positions below are durable and may be read.
    pub end: u64,
    /// Nothing more will become durable before a restart.
    pub poisoned: bool,
    /// The journal was closed; `end` is final.
    pub closed: bool,
    /// Base of the segment that `end` lies in, and the offset of `end` there.
    pub(crate) segment_base: u64,
    pub(crate) segment_offset: u64,
}

/// What an append does to the open reservations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    Keep,
    Open,
    Close,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) writer: Mutex<Writer>,
    /// Wakes the syncing thread; used with the append lock.
    pub(crate) wake: Condvar,
    pub(crate) synced: watch::Sender<Synced>,
    /// One retirement at a time, in order.
    pub(crate) retiring: Mutex<()>,
}

impl Shared {
    /// Appends for a caller and wakes the syncing thread when it has a reason to.
    pub(crate) fn append(
        self: &Arc<Self>,
        (kind, lane): (u8, Lane),
        payload: &[u8],
        promise: Promise,
    ) -> Result<Ticket, AppendError> {
        if kind == BOOT_KIND {
            return Err(AppendError::ReservedKind);
        }
        let mut writer = self.writer.lock();
        let reserved_after = match promise {
            Promise::Keep => writer.reserved,
            Promise::Open => writer.reserved + 1,
            Promise::Close => writer.reserved.saturating_sub(1),
        };
        let unsynced_before = writer.unsynced_bytes;
        let appended = writer.append((kind, lane), payload, reserved_after);
        if appended.is_ok() {
            writer.reserved = reserved_after;
        }
        let poisoned = matches!(writer.state, State::Poisoned(_));
        let threshold = writer.options.sync_bytes;
        let crossed = unsynced_before < threshold && writer.unsynced_bytes >= threshold;
        let wakes = unsynced_before == 0 || crossed;
        drop(writer);
        match appended {
            Ok(position) => {
                if wakes {
                    self.wake.notify_one();
                }
                Ok(Ticket::new(position, Arc::clone(self)))
            }
            Err(error) => {
                if poisoned {
                    self.publish_poison();
                }
                Err(error)
            }
        }
    }

    pub(crate) fn synced(&self) -> Synced {
        *self.synced.borrow()
    }

    /// Stops the journal for good: a failed sync is never made up for by a later one.
    pub(crate) fn poison(&self, reason: String) {
        let mut writer = self.writer.lock();
        if !matches!(writer.state, State::Poisoned(_)) {
            writer.state = State::Poisoned(Poisoned { reason });
        }
        drop(writer);
        self.publish_poison();
    }

    fn publish_poison(&self) {
        self.synced.send_modify(|synced| synced.poisoned = true);
    }

    /// Why nothing more becomes durable.
    pub(crate) fn poisoned(&self) -> Poisoned {
        match &self.writer.lock().state {
            State::Poisoned(poisoned) => poisoned.clone(),
            State::Open | State::Closed => Poisoned {
                reason: "the journal was closed before it synced".to_owned(),
            },
        }
    }
}
