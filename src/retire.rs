//! Old segments of the journal go when they are safe elsewhere, and more than is kept: in the store, found again there by the
//! audit, and in the archive, where there is one; or, where the log is Kafka, in the store by what its readers have committed, or
//! only acknowledged by Kafka.
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
        if journal.stats().bytes <= keep_bytes && !looks.is_multiple_of(LANE_EVERY) {
            continue;
        }
        let Some(confirmed) = confirmed(&journal, &running, &safe_below).await else {
            continue;
        };
        journal.refusals_confirmed_below(confirmed);
        let stats = journal.stats();
        let Some(position) =
            retire_below(stats.first, stats.end, stats.bytes, keep_bytes, confirmed)
        else {
            continue;
        };
        match journal.retire_before(position) {
            Ok(0) => {}
            Ok(segments) => tracing::info!(
                segments,
                below = position,
                "old segments of the journal removed"
            ),
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

/// Below which position segments may go: about as many as are too many, and never what is not confirmed.
fn retire_below(first: u64, end: u64, bytes: u64, keep_bytes: u64, confirmed: u64) -> Option<u64> {
    let surplus = bytes
        .checked_sub(keep_bytes)
        .filter(|surplus| *surplus > 0)?;
    let positions = end.checked_sub(first).filter(|count| *count > 0)?;
    let share = u128::from(positions) * u128::from(surplus) / u128::from(bytes);
    let wanted = first.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
    let below = wanted.min(confirmed);
    (below > first).then_some(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_surplus_goes_and_only_what_is_confirmed() {
        assert_eq!(retire_below(0, 1_000, 100, 100, 1_000), None);
        assert_eq!(retire_below(0, 1_000, 200, 100, 1_000), Some(500));
        assert_eq!(retire_below(0, 1_000, 200, 100, 30), Some(30));
        assert_eq!(retire_below(500, 1_000, 200, 100, 400), None);
        assert_eq!(retire_below(500, 500, 200, 100, 500), None);
    }
}
