//! Outcomes that the journal did not take: each waits with the room that was reserved for it and is tried again at every sign of
//! life, so that a passing fault of the disk costs no figure. Of more than can wait only the room stays: those are closed as
//! `unknown` when the journal takes records again. What must not live here: what an outcome is.

use std::time::Duration;

use journal::{AppendError, Reservation, Ticket};
use parking_lot::Mutex;
use schemas::name::Text;
use schemas::{EventId, UsageEvent};

use crate::ledger::Ledger;

/// So many wait with their figures; of more than these, which would be a disk that fails for minutes, the record says `unknown`.
const MOST: usize = 1_024;
/// What such a record says of it.
const NO_ROOM: &str = "too_many_unrecorded";
/// At a stop they are tried so often.
const AGAIN: Duration = Duration::from_millis(50);

/// The record of a request that is still open, and its room.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) event: UsageEvent,
    pub(crate) reservation: Reservation,
}

/// A request whose figures are given up, and the room that its record still has.
#[derive(Debug)]
struct Bare {
    event_id: EventId,
    reservation: Reservation,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    whole: Mutex<Vec<Unsettled>>,
    bare: Mutex<Vec<Bare>>,
}

/// What becomes of what the journal did not take.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    Whole,
    /// Only its room.
    Bare,
    /// The journal takes nothing any more.
    Not,
}

impl Waiting {
    fn keep(&self, mut unsettled: Unsettled, error: &AppendError) -> Kept {
        if takes_nothing(error) {
            return Kept::Not;
        }
        // Its answer went out before its record was there.
        unsettled.event.durability_degraded = true;
        let mut whole = self.whole.lock();
        if whole.len() < MOST {
            whole.push(unsettled);
            return Kept::Whole;
        }
        self.bare.lock().push(Bare {
            event_id: unsettled.event.event_id,
            reservation: unsettled.reservation,
        });
        Kept::Bare
    }

    fn take(&self) -> Vec<Unsettled> {
        std::mem::take(&mut *self.whole.lock())
    }

    fn take_bare(&self) -> Vec<Bare> {
        std::mem::take(&mut *self.bare.lock())
    }

    fn is_empty(&self) -> bool {
        self.whole.lock().is_empty() && self.bare.lock().is_empty()
    }
}

fn takes_nothing(error: &AppendError) -> bool {
    matches!(error, AppendError::Poisoned(_) | AppendError::Closed)
}

impl Ledger {
    /// Closes an open request with its record; one that is not taken now is tried again later.
    pub(crate) fn settle(&self, unsettled: Unsettled) -> Result<Ticket, AppendError> {
        let event_id = unsettled.event.event_id;
        let (error, unsettled) = match self.settle_once(unsettled) {
            Ok(ticket) => return Ok(ticket),
            Err(failed) => *failed,
        };
        match self.waiting().keep(unsettled, &error) {
            Kept::Whole => {
                self.metrics().waiting_outcomes.inc();
                tracing::error!(%event_id, %error, "outcome not recorded; it is tried again at each sign of life");
            }
            Kept::Bare => self.lose(event_id, &error),
            Kept::Not => self.give_up(event_id, &error),
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
                    match self.waiting().keep(unsettled, &error) {
                        Kept::Whole => {}
                        Kept::Bare => {
                            self.metrics().waiting_outcomes.dec();
                            self.lose(event_id, &error);
                        }
                        Kept::Not => {
                            self.metrics().waiting_outcomes.dec();
                            self.give_up(event_id, &error);
                        }
                    }
                }
            }
        }
        self.close_bare();
    }

    /// Closes as `unknown` what waits without its figures: left open, it would keep the journal from giving any segment back.
    fn close_bare(&self) {
        for bare in self.waiting().take_bare() {
            let Bare {
                event_id,
                reservation,
            } = bare;
            let Some(admission) = self.admission_of(event_id) else {
                continue;
            };
            let event = UsageEvent {
                outcome_detail: Some(Text::cut(NO_ROOM)),
                durability_degraded: true,
                ..admission.unknown_event(self.producer(), self.boot())
            };
            match self.settle_once(Unsettled { event, reservation }) {
                Ok(_) => {
                    tracing::info!(%event_id, "a request without its outcome is closed as unknown");
                }
                Err(failed) => {
                    let (error, Unsettled { reservation, .. }) = *failed;
                    if takes_nothing(&error) {
                        self.leave_open(event_id, &error);
                    } else {
                        self.waiting().bare.lock().push(Bare {
                            event_id,
                            reservation,
                        });
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
        for bare in self.waiting().take_bare() {
            self.leave_open(bare.event_id, &AppendError::Closed);
        }
    }

    /// Its figures are lost.
    fn lose(&self, event_id: EventId, error: &AppendError) {
        self.metrics().unrecorded_outcomes.inc();
        tracing::error!(%event_id, %error, "too many outcomes wait: this request is closed as unknown when the journal takes records again");
    }

    /// The same, and only the next start closes the request.
    fn give_up(&self, event_id: EventId, error: &AppendError) {
        self.metrics().unrecorded_outcomes.inc();
        self.leave_open(event_id, error);
    }

    fn leave_open(&self, event_id: EventId, error: &AppendError) {
        self.metrics().open_requests.dec();
        tracing::error!(%event_id, %error, "outcome not recorded; the next start closes the request as unknown");
    }
}

#[cfg(test)]
#[path = "unsettled_tests.rs"]
pub(crate) mod tests;
