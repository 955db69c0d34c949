//! Old segments of the journal go when they are safe elsewhere, and more than is kept: in the store, found again there by the
//! audit, and in the archive, where there is one; or, where the log is Kafka, in the store by what its readers have committed, or
//! only acknowledged by Kafka. They go whole, the oldest first, for as long as what is kept is left without them; and where the
//! journal is full, whatever is kept.
//!
//! Nothing that is not confirmed ever goes: a journal that is full of it refuses new work instead. Refusals that are confirmed
//! give their lane free, long before their segments go.

use std::sync::Arc;
use std::time::Duration;

use runtime::shutdown::Shutdown;

/// Short against the time in which a journal's last quarter can be filled.
const EVERY: Duration = Duration::from_secs(1);
/// Where there are no segments to remove, the lane of refusals is looked at each so many times.
const LANE_EVERY: u32 = 10;

/// Looks every second, until the stop.
pub async fn watch(
    journal: journal::Journal,
    running: Arc<gateway::Running>,
    safe_below: impl Fn() -> u64 + Send + Sync,
    keep_bytes: u64,
    shutdown: Shutdown,
) {
    let mut looks = 0_u32;
    while shutdown
        .token()
        .run_until_cancelled(tokio::time::sleep(EVERY))
        .await
        .is_some()
    {
        looks = looks.wrapping_add(1);
        if !journal.has_surplus(keep_bytes) && !looks.is_multiple_of(LANE_EVERY) {
            continue;
        }
        let Some(confirmed) = confirmed(&journal, &running, &safe_below).await else {
            continue;
        };
        journal.refusals_confirmed_below(confirmed);
        match journal.retire_surplus(confirmed, keep_bytes) {
            Ok(0) => {}
            Ok(segments) => {
                tracing::info!(segments, confirmed, "old segments of the journal removed");
            }
            Err(error) => tracing::warn!(%error, "old segments of the journal were not removed"),
        }
    }
}

/// Everything below is safe elsewhere, and every request that was admitted there is closed, durably.
async fn confirmed(
    journal: &journal::Journal,
    running: &gateway::Running,
    safe_below: &(impl Fn() -> u64 + Sync),
) -> Option<u64> {
    // In this order: the outcomes that closed what lies below are synced before anything of it may go.
    let settled = running.settled_below();
    journal.sync_now().await.ok()?;
    Some(settled.min(safe_below()))
}
