//! What happens every second: a sign of life, the flush of folded refusals, the cursor of settled
//! requests, the return of memory that rests.

use std::sync::Arc;
use std::time::Duration;

use journal::cursor::Cursor;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;
use crate::recovery::settled_mark;

const EVERY: Duration = Duration::from_secs(1);

/// Beats until `stop`, and once more then.
pub async fn beat(gate: Arc<Gate>, settled: Cursor, stop: CancellationToken) {
    let settled = Arc::new(settled);
    let mut confirmed = None;
    loop {
        let going_on = stop
            .run_until_cancelled(tokio::time::sleep(EVERY))
            .await
            .is_some();
        gate.flush_strangers();
        // One of the threads that serve, another each time.
        runtime::memory::tidy();
        match gate.ledger.beat(gate.clock.now()) {
            Ok(ticket) => {
                let beat = ticket.map_or(0, |ticket| ticket.position());
                confirmed = store_settled(&gate, &settled, confirmed, beat).await;
            }
            // Whoever reads from the cursor must find a sign of life behind it: it stays.
            Err(error) => tracing::warn!(%error, "no sign of life was written"),
        }
        if !going_on {
            return;
        }
    }
}

/// A position is stored one beat after it was read, and only if everything before it was synced by then:
/// a power cut can not take back an outcome that the cursor counts on. It never passes the sign of life at `beat`, from which the
/// next start counts on.
async fn store_settled(
    gate: &Gate,
    settled: &Arc<Cursor>,
    confirmed: Option<(u64, u64)>,
    beat: u64,
) -> Option<(u64, u64)> {
    // In this order: an outcome that comes between the two lies below the end that must be synced first.
    let settled_now = gate.ledger.settled_below().min(beat);
    let stats = gate.ledger.journal().stats();
    if let Some((position, end_then)) = confirmed
        && stats.synced_end >= end_then
    {
        let cursor = settled.clone();
        // Nothing is kept of a beginning: there is nothing to pass over.
        if let Some(mark) = settled_mark(gate.ledger.journal(), position) {
            let stored = tokio::task::spawn_blocking(move || cursor.store(&mark)).await;
            if !matches!(stored, Ok(Ok(()))) {
                tracing::warn!("the settled cursor was not stored; the next start reads more");
            }
        }
    }
    Some((settled_now, stats.end))
}
