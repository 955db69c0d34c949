//! The seam for durability `replicated`: who was promised it waits here until its record is acknowledged by Kafka.

use std::sync::Arc;
use std::time::Duration;

use journal::Ticket;
use tokio::sync::watch;

use super::health::{Health, State};
use super::sink::Sink;

/// How far the journal is acknowledged, for those who wait for it.
#[derive(Clone)]
pub struct Replicas {
    acked: watch::Receiver<u64>,
    patience: Duration,
    health: Arc<Health>,
    sink: Arc<Sink>,
}

/// A record is in the journal, and Kafka did not acknowledge it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kafka did not acknowledge a record within {} ms; it is in the journal and will be published", patience.as_millis())]
pub struct Missed {
    /// The bound.
    pub patience: Duration,
}

impl Replicas {
    /// Waits no longer than `patience` each time.
    #[must_use]
    pub(crate) fn new(
        acked: watch::Receiver<u64>,
        patience: Duration,
        health: Arc<Health>,
        sink: Arc<Sink>,
    ) -> Self {
        Self {
            acked,
            patience,
            health,
            sink,
        }
    }

    /// How publishing goes, in words.
    #[must_use]
    pub fn state(&self) -> String {
        let publishing = match self.health.state() {
            State::Connecting => "connecting to Kafka".to_owned(),
            State::Publishing => "publishing to Kafka".to_owned(),
            State::Waiting(reason) => format!("not publishing to Kafka: {reason}"),
        };
        match self.sink.trouble() {
            Some(reason) => format!("{publishing}; the store is behind: {reason}"),
            None => publishing,
        }
    }

    /// Everything in the journal below is in the store, as far as it has said so.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.sink.confirmed()
    }

    /// Everything in the journal below is acknowledged, or was never to be published.
    #[must_use]
    pub fn acked(&self) -> u64 {
        *self.acked.borrow()
    }

    /// Waits until the ticket's record, and all before it, is acknowledged.
    pub async fn replicated(&self, ticket: &Ticket) -> Result<(), Missed> {
        let mut acked = self.acked.clone();
        let position = ticket.position();
        let waiting = acked.wait_for(|acked| *acked > position);
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(Ok(_)) => Ok(()),
            // The publisher has ended, or is too slow.
            Ok(Err(_)) | Err(_) => Err(Missed {
                patience: self.patience,
            }),
        }
    }
}
