//! Outcomes that the journal did not take: each waits with the room that was reserved for it and is tried again at every sign of
//! life, so that a passing fault of the disk costs no figure. What must not live here: what an outcome is.

use journal::{AppendError, Reservation, Ticket};
use parking_lot::Mutex;
use schemas::UsageEvent;

use crate::ledger::Ledger;

/// So many wait; of more than these, which would be a disk that fails for minutes, the next start says `unknown`.
const MOST: usize = 1_024;

/// The record of a request that is still open, and its room.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) event: UsageEvent,
    pub(crate) reservation: Reservation,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Vec<Unsettled>>);

impl Waiting {
    /// Keeps what the journal did not take, unless it takes nothing any more. Says whether it is kept.
    fn keep(&self, mut unsettled: Unsettled, error: &AppendError) -> bool {
        if matches!(error, AppendError::Poisoned(_) | AppendError::Closed) {
            return false;
        }
        let mut waiting = self.0.lock();
        let has_room = waiting.len() < MOST;
        if has_room {
            // Its answer went out before its record was there.
            unsettled.event.durability_degraded = true;
            waiting.push(unsettled);
        }
        has_room
    }
}

impl Ledger {
    /// Closes an open request with its record; one that is not taken now is tried again later.
    pub(crate) fn settle(&self, unsettled: Unsettled) -> Result<Ticket, AppendError> {
        let event_id = unsettled.event.event_id;
        let (error, unsettled) = match self.settle_once(unsettled) {
            Ok(ticket) => return Ok(ticket),
            Err(failed) => *failed,
        };
        self.metrics().unrecorded_outcomes.inc();
        if self.waiting().keep(unsettled, &error) {
            tracing::error!(%event_id, %error, "outcome not recorded; it is tried again at each sign of life");
        } else {
            tracing::error!(%event_id, %error, "outcome not recorded; the next start closes the request as unknown");
        }
        Err(error)
    }

    /// Tries again what waits.
    pub(crate) fn settle_again(&self) {
        let waiting = std::mem::take(&mut *self.waiting().0.lock());
        for unsettled in waiting {
            let event_id = unsettled.event.event_id;
            match self.settle_once(unsettled) {
                Ok(_) => {
                    tracing::info!(%event_id, "an outcome is recorded that could not be before");
                }
                Err(failed) => {
                    let (error, unsettled) = *failed;
                    if !self.waiting().keep(unsettled, &error) {
                        tracing::error!(%event_id, %error, "outcome not recorded; the next start closes the request as unknown");
                    }
                }
            }
        }
    }
}
