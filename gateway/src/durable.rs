//! Waiting until a record is as durable as its tenant was promised, within a bound.
//!
//! What must not live here: what follows from a promise that is missed (`admit`, `body`), how a record becomes durable.

use std::time::Duration;

use journal::Ticket;
use schemas::Durability;

use crate::gate::Gate;

/// How long a record may wait for its fsync; then the answer goes on and the missed promise is logged.
const SYNC_PATIENCE: Duration = Duration::from_secs(10);

impl Gate {
    /// Waits until a record is as durable as promised. Says whether it is; one that is not is logged and counted.
    pub async fn wait_durable(&self, durability: Durability, ticket: &Ticket) -> bool {
        let waited = match durability {
            Durability::Written => return true,
            Durability::Synced => synced(ticket).await,
            Durability::Replicated => self.replicated(ticket).await,
        };
        let Err(why) = waited else {
            return true;
        };
        self.metrics.missed_durability.inc();
        tracing::error!(why, "a record is written but not as durable as promised");
        false
    }

    async fn replicated(&self, ticket: &Ticket) -> Result<(), String> {
        let Some(replicas) = &self.replicas else {
            return Err("no Kafka log is configured".into());
        };
        replicas
            .replicated(ticket)
            .await
            .map_err(|missed| missed.to_string())
    }
}

async fn synced(ticket: &Ticket) -> Result<(), String> {
    match tokio::time::timeout(SYNC_PATIENCE, ticket.synced()).await {
        Ok(synced) => synced.map_err(|error| error.to_string()),
        Err(_) => Err("it was not synced in time: the disk is slow".into()),
    }
}
