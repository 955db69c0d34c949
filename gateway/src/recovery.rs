//! What a start does about the last one: requests that were admitted and never closed are closed as
//! `unknown`, with what admission knew; and a start that was killed is said to be closed, with the last number that it gave.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::cursor::Cursor;
use journal::{BOOT_KIND, Frame, Item, Journal, ReadError};
use schemas::name::Text;
use schemas::{Admission, Boot, Clock, EventId, Outcome, ProducerState, RecordKind, UsageEvent};
use serde::Deserialize;

use crate::ends::End;
use crate::ledger::Ledger;

/// What is said of a request whose gateway was killed.
const GATEWAY_DIED: &str = "gateway_died";

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
    deployment: Option<Text>,
    outcome_detail: Option<Text>,
}

impl Closed {
    /// It closes a request that the same start had let in.
    fn is_own(&self) -> bool {
        let detail = self.outcome_detail.as_ref().map(Text::as_str);
        self.deployment.is_some() && detail != Some(GATEWAY_DIED)
    }
}

/// What a heartbeat or a step of a life says of a start's end.
#[derive(Deserialize)]
struct Said {
    producer: Text,
    boot: Boot,
    last_producer_seq: Option<i64>,
    #[serde(default)]
    state: Option<ProducerState>,
    #[serde(default)]
    admitted: Option<i64>,
    #[serde(default)]
    settled: Option<i64>,
}

/// What earlier starts left.
#[derive(Default)]
struct Left {
    /// By whom each was let in; nobody where that frame is gone.
    open: BTreeMap<EventId, (Option<Boot>, Admission)>,
    starts: BTreeMap<Boot, Past>,
    damaged: Damaged,
}

/// What a start left of itself.
#[derive(Default)]
struct Past {
    /// The last number that it gave.
    last: Option<i64>,
    is_closed: bool,
    /// Requests let in and settled, as its last claim counts them and what follows it adds; nothing where neither a claim of it
    /// nor its beginning was read.
    counts: Option<(i64, i64)>,
    /// Of its requests those that other starts close.
    unknown: i64,
}

/// Whose frames may lie where the journal cannot be read.
#[derive(Default)]
struct Damaged {
    /// From the start that wrote before, if that is known, up to the first that certainly began behind.
    between: Vec<(Option<Boot>, Option<Boot>)>,
}

impl Damaged {
    fn begins(&mut self, position: u64, ledger: &Ledger) {
        let before = position
            .checked_sub(1)
            .and_then(|before| ledger.journal().written_by(before))
            .map(|boot| Boot {
                counter: boot.counter,
                nonce: boot.nonce,
            });
        match self.between.last() {
            // Nobody began between that damage and this.
            Some((_, None)) => {}
            _ => self.between.push((before, None)),
        }
    }

    fn ends(&mut self, next: Boot) {
        if let Some((_, end @ None)) = self.between.last_mut() {
            *end = Some(next);
        }
    }

    fn may_hide(&self, boot: Boot) -> bool {
        self.between.iter().any(|(before, next)| {
            let is_later = before.is_none_or(|before| before.counter <= boot.counter);
            *before == Some(boot) || is_later && next.is_none_or(|next| boot.counter < next.counter)
        })
    }
}

impl Past {
    fn admits(&mut self) {
        if let Some((admitted, _)) = &mut self.counts {
            *admitted += 1;
        }
    }

    fn settles(&mut self) {
        if let Some((_, settled)) = &mut self.counts {
            *settled += 1;
        }
    }
}

/// Closes every request that an earlier start admitted and nobody closed. Says how many.
pub fn close_orphans(
    ledger: &Arc<Ledger>,
    clock: &dyn Clock,
    settled: &Cursor,
) -> Result<usize, RecoveryError> {
    let settled = settled
        .load()
        .map_err(|error| RecoveryError::Cursor(error.to_string()))?;
    let from = settled.map_or(0, |mark| settled_in(ledger.journal(), &mark));
    let mut left = find_left(ledger, from)?;
    let open = std::mem::take(&mut left.open);
    let count = open.len();
    for (by, admission) in open.into_values() {
        let event = UsageEvent {
            outcome: Outcome::Unknown,
            outcome_detail: Some(Text::cut(GATEWAY_DIED)),
            completed_us: clock.now(),
            ..admission.unknown_event(ledger.producer(), ledger.boot())
        };
        tracing::warn!(event_id = %event.event_id, tenant = event.tenant.as_str(), "a request of an earlier start was never closed: recorded as unknown");
        ledger.record(event)?;
        if let Some(by) = by {
            left.starts.entry(by).or_default().unknown += 1;
        }
    }
    // Last: were this start killed before, the next one closes them, and counts what was closed here.
    ledger.close_starts(from, left.ends(ledger.boot()), clock.now());
    Ok(count)
}

/// What is kept of a position below which every admission is closed: the position, and the start that wrote the place before it.
/// A journal that was put back from a copy, or begun anew, has another start there.
pub(crate) fn settled_mark(journal: &Journal, position: u64) -> Option<Vec<u8>> {
    let before = journal.written_by(position.checked_sub(1)?)?;
    let mut mark = position.to_be_bytes().to_vec();
    mark.extend_from_slice(&before.counter.to_be_bytes());
    mark.extend_from_slice(&before.nonce);
    Some(mark)
}

/// The position of a mark that was made of this journal; of another, the beginning.
fn settled_in(journal: &Journal, mark: &[u8]) -> u64 {
    let position = mark
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    if settled_mark(journal, position).as_deref() == Some(mark) {
        position
    } else {
        0
    }
}

fn find_left(ledger: &Ledger, from: u64) -> Result<Left, RecoveryError> {
    let mut left = Left::default();
    let mut reader = ledger
        .journal()
        .reader(from.max(ledger.journal().stats().first));
    while let Some(item) = reader.read()? {
        match item {
            Item::Frame(frame) => left.note(&frame, ledger),
            Item::Damaged(damage) => left.damaged.begins(damage.first_position, ledger),
        }
    }
    Ok(left)
}

impl Left {
    /// A start that was killed said nothing of its end: what it gave is in this journal, and nothing follows. Where the journal is
    /// damaged nobody knows the last number of the starts that wrote there, so those stay without an end until a person has looked.
    fn ends(&self, own: Boot) -> Vec<End> {
        let mut ends = Vec::new();
        for (boot, past) in &self.starts {
            if past.is_closed || *boot == own {
                continue;
            }
            if self.damaged.may_hide(*boot) {
                tracing::error!(%boot, "the journal is damaged where this earlier start wrote: how far it came is not known");
                continue;
            }
            ends.push(End {
                boot: *boot,
                last_producer_seq: past.last,
                admitted: past.counts.map(|(admitted, _)| admitted),
                settled: past.counts.map(|(_, settled)| settled),
                open: past.counts.map(|_| past.unknown),
            });
        }
        ends
    }

    fn note(&mut self, frame: &Frame, ledger: &Ledger) {
        let written_by = ledger.journal().written_by(frame.position);
        let written_by = written_by.map(|boot| Boot {
            counter: boot.counter,
            nonce: boot.nonce,
        });
        if frame.kind == BOOT_KIND
            && let Some(boot) = written_by
        {
            self.past(boot).counts = Some((0, 0));
            self.damaged.ends(boot);
        }
        match RecordKind::from_byte(frame.kind) {
            Some(RecordKind::Admission) => self.admission(frame, written_by),
            Some(RecordKind::Usage) => {
                if let Ok(closed) = serde_json::from_slice::<Closed>(&frame.payload) {
                    self.closed(&closed);
                }
            }
            Some(RecordKind::Heartbeat | RecordKind::Producer) => {
                let said = serde_json::from_slice::<Said>(&frame.payload).ok();
                if let Some(said) = said.filter(|said| said.producer == *ledger.producer()) {
                    self.said(&said, written_by);
                }
            }
            Some(RecordKind::Cut) | None => {}
        }
    }

    fn past(&mut self, boot: Boot) -> &mut Past {
        self.starts.entry(boot).or_default()
    }

    fn admission(&mut self, frame: &Frame, written_by: Option<Boot>) {
        match Admission::decode(&frame.payload) {
            Ok(admission) => {
                self.open
                    .insert(admission.event_id, (written_by, admission));
                if let Some(boot) = written_by {
                    self.past(boot).admits();
                }
            }
            Err(error) => {
                tracing::error!(
                    position = frame.position,
                    line = error.line(),
                    column = error.column(),
                    "an admission cannot be read"
                );
            }
        }
    }

    fn closed(&mut self, closed: &Closed) {
        let past = self.past(closed.boot);
        past.last = past.last.max(Some(closed.producer_seq));
        match self.open.remove(&closed.event_id) {
            Some((Some(by), _)) if by != closed.boot => self.past(by).unknown += 1,
            // It may have been let in before the first frame that is read.
            _ if closed.is_own() => self.past(closed.boot).settles(),
            _ => {}
        }
    }

    /// A claim stands behind all that it counts.
    fn said(&mut self, said: &Said, written_by: Option<Boot>) {
        let past = self.past(said.boot);
        past.last = past.last.max(said.last_producer_seq);
        past.is_closed |= said.state == Some(ProducerState::Closed);
        if written_by == Some(said.boot) {
            past.counts = said.admitted.zip(said.settled).or(past.counts);
        }
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
