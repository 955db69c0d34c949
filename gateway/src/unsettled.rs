//! Outcomes that the journal did not take: each waits with the room that was reserved for it and is tried again at every sign of
//! life, so that a passing fault of the disk costs no figure. What must not live here: what an outcome is.

use std::time::Duration;

use journal::{AppendError, Reservation, Ticket};
use parking_lot::Mutex;
use schemas::{EventId, UsageEvent};

use crate::ledger::Ledger;

/// So many wait; of more than these, which would be a disk that fails for minutes, the next start says `unknown`.
const MOST: usize = 1_024;
/// At a stop they are tried so often.
const AGAIN: Duration = Duration::from_millis(50);

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

    fn take(&self) -> Vec<Unsettled> {
        std::mem::take(&mut *self.0.lock())
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
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
        if self.waiting().keep(unsettled, &error) {
            self.metrics().waiting_outcomes.inc();
            tracing::error!(%event_id, %error, "outcome not recorded; it is tried again at each sign of life");
        } else {
            self.give_up(event_id, &error);
        }
        Err(error)
    }

    /// Tries again what waits.
    pub(crate) fn settle_again(&self) {
        for unsettled in self.waiting().take() {
            let event_id = unsettled.event.event_id;
            match self.settle_once(unsettled) {
                Ok(_) => {
                    self.metrics().waiting_outcomes.dec();
                    tracing::info!(%event_id, "an outcome is recorded that could not be before");
                }
                Err(failed) => {
                    let (error, unsettled) = *failed;
                    if !self.waiting().keep(unsettled, &error) {
                        self.metrics().waiting_outcomes.dec();
                        self.give_up(event_id, &error);
                    }
                }
            }
        }
    }

    /// At a stop: tries until nothing waits; what still waits when `bound` has passed is given up.
    pub(crate) async fn settle_rest(&self, bound: Duration) {
        let trying = async {
            self.settle_again();
            while !self.waiting().is_empty() {
                tokio::time::sleep(AGAIN).await;
                self.settle_again();
            }
        };
        if tokio::time::timeout(bound, trying).await.is_ok() {
            return;
        }
        for unsettled in self.waiting().take() {
            self.metrics().waiting_outcomes.dec();
            self.give_up(unsettled.event.event_id, &AppendError::Closed);
        }
    }

    /// Only the next start closes the request.
    fn give_up(&self, event_id: EventId, error: &AppendError) {
        self.metrics().open_requests.dec();
        self.metrics().unrecorded_outcomes.inc();
        tracing::error!(%event_id, %error, "outcome not recorded; the next start closes the request as unknown");
    }
}

#[cfg(test)]
#[path = "unsettled_tests.rs"]
pub(crate) mod tests;
