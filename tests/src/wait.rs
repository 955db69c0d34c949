//! Waiting for a state with a deadline that only a hanging test meets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

/// No state may take longer to come.
pub const DEADLINE: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Looks until `probe` gives something.
///
/// # Panics
/// At the deadline.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_in(DEADLINE, what, probe).await
}

/// The same with a deadline of one's own, where many faults come together.
///
/// # Panics
/// At the deadline.
pub async fn eventually_in<T>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Some(found) = probe().await {
                return found;
            }
        }
    };
    in_time(deadline, what, looking).await
}

/// Waits for something that comes by itself.
///
/// # Panics
/// At the deadline.
pub async fn within<T>(what: &str, coming: impl Future<Output = T>) -> T {
    in_time(DEADLINE, what, coming).await
}

async fn in_time<T>(deadline: Duration, what: &str, coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(deadline, coming)
        .await
        .unwrap_or_else(|_| panic!("waited {} s in vain: {what}", deadline.as_secs()))
}

/// Waits until somebody listens there.
///
/// # Panics
/// At the deadline.
pub async fn listens(address: SocketAddr) {
    let trying = async {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        while TcpStream::connect(address).await.is_err() {
            tick.tick().await;
        }
    };
    within("somebody listens", trying).await;
}
