//! What a start does about the last one: requests that were admitted and never closed are closed as
//! `unknown`, with what admission knew; and a start that was killed is said to be closed, with the last number that it gave.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::cursor::Cursor;
use journal::{Frame, Item, ReadError};
use schemas::name::Text;
use schemas::{Admission, Boot, Clock, EventId, Outcome, ProducerState, RecordKind, UsageEvent};
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
    boot: Boot,
    producer_seq: i64,
}

/// What a heartbeat or a step of a life says of a start's end.
#[derive(Deserialize)]
struct Said {
    producer: Text,
    boot: Boot,
    last_producer_seq: Option<i64>,
    #[serde(default)]
    state: Option<ProducerState>,
}

/// What earlier starts left.
#[derive(Default)]
struct Left {
    open: BTreeMap<EventId, Admission>,
    /// Of each start the last number that it gave, and whether it ended in order.
    starts: BTreeMap<Boot, (Option<i64>, bool)>,
    is_damaged: bool,
}

/// Closes every request that an earlier start admitted and nobody closed. Says how many.
pub fn close_orphans(
    ledger: &Arc<Ledger>,
    clock: &dyn Clock,
    settled: &Cursor,
) -> Result<usize, RecoveryError> {
    let left = find_left(ledger, read_cursor(settled)?)?;
    close_starts(ledger, clock, &left);
    let count = left.open.len();
    for admission in left.open.into_values() {
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

/// A start that was killed said nothing of its end: what it gave is in this journal, and nothing follows. Where the journal is
/// damaged nobody knows its last number, so it stays without an end until a person has looked.
fn close_starts(ledger: &Ledger, clock: &dyn Clock, left: &Left) {
    let starts = left.starts.iter();
    for (boot, (last, is_closed)) in starts.filter(|(boot, _)| **boot != ledger.boot()) {
        if *is_closed {
            continue;
        }
        if left.is_damaged {
            tracing::error!(%boot, "the journal is damaged: how far this earlier start came is not known");
            continue;
        }
        if let Err(error) = ledger.close_start(*boot, *last, clock.now()) {
            tracing::warn!(%error, %boot, "the end of an earlier start was not written");
        }
    }
}

fn find_left(ledger: &Ledger, from: u64) -> Result<Left, RecoveryError> {
    let mut left = Left::default();
    let mut reader = ledger
        .journal()
        .reader(from.max(ledger.journal().stats().first));
    while let Some(item) = reader.read()? {
        match item {
            Item::Frame(frame) => left.note(&frame, ledger.producer()),
            Item::Damaged(_) => left.is_damaged = true,
        }
    }
    Ok(left)
}

impl Left {
    fn note(&mut self, frame: &Frame, producer: &Text) {
        match RecordKind::from_byte(frame.kind) {
            Some(RecordKind::Admission) => match Admission::decode(&frame.payload) {
                Ok(admission) => {
                    self.open.insert(admission.event_id, admission);
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
                    self.open.remove(&closed.event_id);
                    self.heard(closed.boot, Some(closed.producer_seq), false);
                }
            }
            Some(RecordKind::Heartbeat | RecordKind::Producer) => {
                let said = serde_json::from_slice::<Said>(&frame.payload).ok();
                if let Some(said) = said.filter(|said| said.producer == *producer) {
                    let is_closed = said.state == Some(ProducerState::Closed);
                    self.heard(said.boot, said.last_producer_seq, is_closed);
                }
            }
            Some(RecordKind::Cut) | None => {}
        }
    }

    fn heard(&mut self, boot: Boot, last: Option<i64>, is_closed: bool) {
        let start = self.starts.entry(boot).or_default();
        start.0 = start.0.max(last);
        start.1 |= is_closed;
    }
}
