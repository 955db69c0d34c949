//! Waiting for what many faults together hold up: the store away for two minutes, and in the midst of it a group that waits a
//! minute for one who died.

use std::time::Duration;

/// Only a hanging run meets it.
const PATIENCE: Duration = Duration::from_mins(12);

/// Looks until `probe` gives something.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    tests::eventually_in(PATIENCE, what, probe).await
}
