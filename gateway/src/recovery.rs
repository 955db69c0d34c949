//! What a start does about the last one: requests that were admitted and never closed are closed as
//! `unknown`, with what admission knew.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::cursor::Cursor;
use journal::{Item, ReadError};
use schemas::name::Text;
use schemas::{Admission, Clock, EventId, Outcome, RecordKind, UsageEvent};
use serde::Deserialize;

use crate::ledger::Ledger;

/// Why a start could not close what the last one left open.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal could not be read.
    #[error("reading the journal for open requests: {0}")]
    Read(#[from] ReadError),
    /// The record could not be written.
    #[error("closing a request of an earlier start: {0}")]
    Append(#[from] journal::AppendError),
    /// The cursor could not be read.
    #[error("reading the settled cursor: {0}")]
    Cursor(String),
}

/// The identity in a usage event; the rest is not needed here.
#[derive(Deserialize)]
struct Closed {
    event_id: EventId,
}

/// Closes every request that an earlier start admitted and nobody closed. Says how many.
pub fn close_orphans(
    ledger: &Arc<Ledger>,
    clock: &dyn Clock,
    settled: &Cursor,
) -> Result<usize, RecoveryError> {
    let orphans = find_orphans(ledger, read_cursor(settled)?)?;
    let count = orphans.len();
    for admission in orphans.into_values() {
        let event = UsageEvent {
            outcome: Outcome::Unknown,
            outcome_detail: Some(Text::cut("gateway_died")),
            completed_us: clock.now(),
            ..admission.open_event(ledger.producer(), ledger.boot())
        };
        tracing::warn!(event_id = %event.event_id, tenant = event.tenant.as_str(), "a request of an earlier start was never closed: recorded as unknown");
        ledger.record(event)?;
    }
    Ok(count)
}

fn read_cursor(settled: &Cursor) -> Result<u64, RecoveryError> {
    let bytes = settled
        .load()
        .map_err(|error| RecoveryError::Cursor(error.to_string()))?;
    let position = bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_be_bytes);
    Ok(position.unwrap_or(0))
}

fn find_orphans(ledger: &Ledger, from: u64) -> Result<BTreeMap<EventId, Admission>, RecoveryError> {
    let mut open = BTreeMap::new();
    let mut reader = ledger
        .journal()
        .reader(from.max(ledger.journal().stats().first));
    while let Some(item) = reader.read()? {
        let Item::Frame(frame) = item else { continue };
        match RecordKind::from_byte(frame.kind) {
            Some(RecordKind::Admission) => match Admission::decode(&frame.payload) {
                Ok(admission) => {
                    open.insert(admission.event_id, admission);
                }
                Err(error) => {
                    tracing::error!(
                        position = frame.position,
                        line = error.line(),
                        column = error.column(),
                        "an admission cannot be read"
                    );
                }
            },
            Some(RecordKind::Usage) => {
                if let Ok(closed) = serde_json::from_slice::<Closed>(&frame.payload) {
                    open.remove(&closed.event_id);
                }
            }
            _ => {}
        }
    }
    Ok(open)
}
