//! The only place that asks the system for the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC; 0 if the system's clock stands before it. A test can have it wrong, see
/// [`crate::failpoint`].
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_micros()).ok())
        .unwrap_or(0)
        .saturating_add(crate::failpoint::clock_us())
}
