//! The receipt for one append. Waiting for durability, nothing else.

use std::sync::Arc;

use crate::error::Poisoned;
use crate::shared::Shared;

/// The receipt for one appended frame.
#[derive(Debug, Clone)]
pub struct Ticket {
    position: u64,
    shared: Arc<Shared>,
}

impl Ticket {
    pub(crate) fn new(position: u64, shared: Arc<Shared>) -> Self {
        Self { position, shared }
    }

    /// The frame's position.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// True once the frame survives a killed process: always, since `append` returned.
    pub fn written(&self) -> bool {
        true
    }

    /// True if the frame survives a power cut by now.
    pub fn is_synced(&self) -> bool {
        self.shared.synced().end > self.position
    }

    /// Waits until the frame survives a power cut, or never will.
    pub async fn synced(&self) -> Result<(), Poisoned> {
        wait_synced(&self.shared, self.position).await
    }
}

/// Waits until `position` is durable. A frame that was durable before the journal was
/// poisoned stays so.
pub(crate) async fn wait_synced(shared: &Shared, position: u64) -> Result<(), Poisoned> {
    let mut receiver = shared.synced.subscribe();
    let reached = receiver
        .wait_for(|synced| synced.end > position || synced.poisoned || synced.closed)
        .await
        .map(|synced| synced.end > position);
    match reached {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(shared.poisoned()),
    }
}
