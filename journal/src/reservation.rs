//! The promise of room for one outcome. It counts; who must settle is decided above.

use std::sync::Arc;

use crate::error::{AppendError, SettleError};
use crate::frame::Lane;
use crate::shared::{Promise, Shared};
use crate::ticket::Ticket;

/// Room for one outcome of at most `outcome_bytes`. Dropped unsettled, it gives the room back
/// and counts as abandoned in `Stats`.
#[must_use = "an admission must be settled"]
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    open: bool,
}

impl Reservation {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: true }
    }

    /// Appends the outcome into the reserved room. A payload that fits `outcome_bytes` always
    /// has room; a larger one may or may not.
    ///
    /// On failure the reservation comes back, still open.
    pub fn settle(mut self, kind: u8, payload: &[u8]) -> Result<Ticket, SettleError> {
        let settled = self.settle_once(kind, payload);
        settled.map_err(|error| SettleError {
            reservation: self,
            error,
        })
    }

    fn settle_once(&mut self, kind: u8, payload: &[u8]) -> Result<Ticket, AppendError> {
        let ticket = self
            .shared
            .append((kind, Lane::Main), payload, Promise::Close)?;
        self.open = false;
        Ok(ticket)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.open {
            let mut writer = self.shared.writer.lock();
            writer.reserved = writer.reserved.saturating_sub(1);
            writer.abandoned += 1;
        }
    }
}
