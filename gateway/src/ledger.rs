//! The gateway's book: every admission and every outcome goes into the journal, numbered, exactly once.
//!
//! An open request must be closed with its usage event; one that is dropped closes itself as `unknown` and
//! raises an alarm. What must not live here: what an outcome is (see `conclude`), HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use journal::{AppendError, Journal, Reservation, Ticket};
use parking_lot::Mutex;
use schemas::name::Text;
use schemas::{
    Admission, Boot, EventId, Heartbeat, Micros, ProducerRecord, ProducerState, RecordKind, Units,
    UsageEvent, WIRE_VERSION, event, wire::CUT_RECORD,
};

use crate::ends::Unsaid;
use crate::metrics::Metrics;
use crate::unsettled::{Unsettled, Waiting};

/// Bytes of a frame that are not payload, with some to spare.
const FRAME_OVERHEAD_BYTES: usize = 64;
/// The longest record that a reservation covers for certain.
const MAX_RECORD_BYTES: usize = schemas::wire::MAX_EVENT_BYTES - FRAME_OVERHEAD_BYTES;

/// A cut record follows each so many usage records. An extra cut only makes a smaller batch, for everybody alike; so whoever
/// reads the journal holds a small part of it in memory, however far behind it is.
const CUT_EVERY: i64 = 2_048;

/// The book of one start of one producer.
#[derive(Debug)]
pub struct Ledger {
    journal: Journal,
    producer: Text,
    boot: Boot,
    /// The next `producer_seq`. Held while a record is appended, so that numbers and places agree.
    next_seq: Mutex<i64>,
    open: Mutex<BTreeMap<EventId, OpenSince>>,
    admitted: AtomicU64,
    settled: AtomicU64,
    waiting: Waiting,
    unsaid: Unsaid,
    metrics: Arc<Metrics>,
}

#[derive(Clone, Debug)]
struct OpenSince {
    admission: Arc<Admission>,
    position: u64,
}

/// A request that was admitted and must be closed.
#[must_use = "an admitted request must be closed"]
#[derive(Debug)]
pub struct OpenRequest {
    ledger: Arc<Ledger>,
    admission: Arc<Admission>,
    reservation: Option<Reservation>,
}

impl Ledger {
    /// A book over an opened journal.
    #[must_use]
    pub fn new(journal: Journal, producer: Text, boot: Boot, metrics: Arc<Metrics>) -> Self {
        Self {
            journal,
            producer,
            boot,
            next_seq: Mutex::new(0),
            open: Mutex::new(BTreeMap::new()),
            admitted: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            waiting: Waiting::default(),
            unsaid: Unsaid::default(),
            metrics,
        }
    }

    /// The gateway's lasting identity.
    #[must_use]
    pub fn producer(&self) -> &Text {
        &self.producer
    }

    /// This start.
    #[must_use]
    pub fn boot(&self) -> Boot {
        self.boot
    }

    /// The journal beneath.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    pub(crate) fn unsaid(&self) -> &Unsaid {
        &self.unsaid
    }

    /// The admission of a request that is still open.
    pub(crate) fn admission_of(&self, event_id: EventId) -> Option<Arc<Admission>> {
        let open = self.open.lock();
        open.get(&event_id).map(|since| since.admission.clone())
    }

    /// Writes the admission and reserves room for its outcome.
    pub fn admit(
        self: &Arc<Self>,
        admission: Admission,
    ) -> Result<(OpenRequest, Ticket), AppendError> {
        let payload = admission.encode();
        // Held from before the frame has a place: whoever asks what is settled sees it open.
        let mut open = self.open.lock();
        let (reservation, ticket) = self.journal.admit(RecordKind::Admission as u8, &payload)?;
        let admission = Arc::new(admission);
        let since = OpenSince {
            admission: admission.clone(),
            position: ticket.position(),
        };
        open.insert(admission.event_id, since);
        // Under the lock, like its counterpart: a heartbeat that holds it sees admitted = settled + open.
        self.admitted.fetch_add(1, Ordering::Relaxed);
        drop(open);
        self.metrics.open_requests.inc();
        let open = OpenRequest {
            ledger: self.clone(),
            admission,
            reservation: Some(reservation),
        };
        Ok((open, ticket))
    }

    /// Writes the record of a request that was never admitted, into the bounded lane for refusals.
    pub fn refuse(&self, mut event: UsageEvent) -> Result<Ticket, AppendError> {
        let append = |payload: &[u8]| {
            self.journal
                .append_refusal(RecordKind::Usage as u8, payload)
        };
        self.append_numbered(&mut event, append, || {})
    }

    /// Writes a record that no admission reserved room for, where any record may go.
    pub fn record(&self, mut event: UsageEvent) -> Result<Ticket, AppendError> {
        let append = |payload: &[u8]| self.journal.append(RecordKind::Usage as u8, payload);
        self.append_numbered(&mut event, append, || {})
    }

    /// Encodes, draws the number, appends; a number that was not used is drawn again. `count` runs before anybody can see that
    /// the number was drawn: a claim counts the requests that were settled by just the numbers that it claims.
    fn append_numbered<E>(
        &self,
        event: &mut UsageEvent,
        append: impl FnOnce(&[u8]) -> Result<Ticket, E>,
        count: impl FnOnce(),
    ) -> Result<Ticket, E> {
        let mut record = encode_bounded(event);
        let mut next_seq = self.next_seq.lock();
        event::seal(&mut record, *next_seq);
        let ticket = append(&record)?;
        *next_seq += 1;
        count();
        if *next_seq % CUT_EVERY == 0 {
            // Where there is no room for it, another will do.
            drop(self.journal.append(RecordKind::Cut as u8, CUT_RECORD));
        }
        drop(next_seq);
        self.metrics.observe(event);
        Ok(ticket)
    }

    /// Closes an open request with its record, or gives back what was not taken.
    pub(crate) fn settle_once(
        &self,
        unsettled: Unsettled,
    ) -> Result<Ticket, Box<(AppendError, Unsettled)>> {
        let Unsettled {
            mut event,
            reservation,
        } = unsettled;
        let event_id = event.event_id;
        let append = |record: &[u8]| reservation.settle(RecordKind::Usage as u8, record);
        let settled = self.append_numbered(&mut event, append, || {
            let mut open = self.open.lock();
            open.remove(&event_id);
            self.settled.fetch_add(1, Ordering::Relaxed);
            self.metrics.open_requests.dec();
        });
        settled.map_err(|failed| {
            let reservation = failed.reservation;
            Box::new((failed.error, Unsettled { event, reservation }))
        })
    }

    /// Every admission below this position is closed, and every earlier start that ended there is said to be.
    #[must_use]
    pub fn settled_below(&self) -> u64 {
        // In this order: what is said in between lies behind the end.
        let end = self.unsaid.found_from().unwrap_or(u64::MAX);
        let end = end.min(self.journal.stats().end);
        let open = self.open.lock();
        open.values()
            .map(|since| since.position)
            .min()
            .unwrap_or(end)
            .min(end)
    }

    /// Writes what `record` makes of the sign of life of this moment. Nothing is numbered and nobody is let in meanwhile: what
    /// stands before it in the journal is what it counts, no more and no less.
    fn claim(
        &self,
        now: Micros,
        kind: RecordKind,
        record: impl FnOnce(Heartbeat) -> Option<Vec<u8>>,
    ) -> Result<Option<Ticket>, AppendError> {
        let stats = self.journal.stats();
        // Always taken in this order.
        let next_seq = self.next_seq.lock();
        let open = self.open.lock();
        let last_seq = *next_seq - 1;
        let count = |counter: &AtomicU64| signed(counter.load(Ordering::Relaxed));
        let running = || open.values().map(|since| &since.admission);
        let heartbeat = Heartbeat {
            wire: Text::cut(WIRE_VERSION),
            producer: self.producer.clone(),
            boot: self.boot,
            last_producer_seq: (last_seq >= 0).then_some(last_seq),
            admitted: count(&self.admitted),
            settled: count(&self.settled),
            open: signed(open.len() as u64),
            oldest_open_us: running().map(|admission| admission.received_us).min(),
            reserved_bytes: signed(stats.reserved * schemas::wire::MAX_EVENT_BYTES as u64),
            reserved_units: reserved(running()),
            synced_position: signed(stats.synced_end),
            control_position: None,
            clock_us: now,
        };
        let appended = record(heartbeat)
            .map(|record| self.journal.append(kind as u8, &record))
            .transpose();
        drop(open);
        drop(next_seq);
        appended
    }

    /// Writes what this producer is from now on. `Closed` is said only when nothing is open any more.
    pub fn live(&self, state: ProducerState, now: Micros) -> Result<(), AppendError> {
        self.settle_again();
        self.close_starts_again(now);
        self.claim(now, RecordKind::Producer, |heartbeat| {
            if state == ProducerState::Closed && heartbeat.open > 0 {
                return None;
            }
            let record = ProducerRecord {
                wire: heartbeat.wire,
                producer: heartbeat.producer,
                boot: heartbeat.boot,
                state,
                last_producer_seq: heartbeat.last_producer_seq,
                admitted: Some(heartbeat.admitted),
                settled: Some(heartbeat.settled),
                open: Some(heartbeat.open),
                synced_position: Some(heartbeat.synced_position),
                clock_us: now,
                by: None,
                why: None,
                exposure: None,
            };
            Some(record.encode())
        })?;
        Ok(())
    }

    /// Writes a sign of life.
    pub fn beat(&self, now: Micros) -> Result<Option<Ticket>, AppendError> {
        self.settle_again();
        self.close_starts_again(now);
        self.claim(now, RecordKind::Heartbeat, |heartbeat| {
            Some(heartbeat.encode())
        })
    }
}

/// What was reserved for all of these. A sum that leaves 64 bits stays at their end.
fn reserved<'a>(open: impl Iterator<Item = &'a Arc<Admission>>) -> Units {
    let mut sum = Units::default();
    for admission in open {
        for (unit, count) in admission.reserved().iter() {
            if sum.add(unit, count).is_err() {
                // Never refused: it is not below 0.
                drop(sum.set(unit, i64::MAX));
            }
        }
    }
    sum
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The record without its number, within what a reservation covers: first go the details of failed calls, then what the
/// provider said verbatim, then the client's labels. The last two show in the record. The first does not: a failed call's id at
/// its provider and what was left of its limit stand on no bill, and `null` says that they are not known.
fn encode_bounded(event: &mut UsageEvent) -> Vec<u8> {
    let record = event.encode_unsealed();
    if record.len() <= MAX_RECORD_BYTES {
        return record;
    }
    if let Some((_last, failed)) = event.attempts.split_last_mut() {
        for attempt in failed {
            attempt.provider_request_id = None;
            attempt.throttle = None;
        }
    }
    let record = event.encode_unsealed();
    if record.len() <= MAX_RECORD_BYTES {
        return record;
    }
    event.usage_raw = None;
    event.usage_quality = schemas::UsageQuality::Unmapped;
    let record = event.encode_unsealed();
    if record.len() <= MAX_RECORD_BYTES {
        return record;
    }
    event.labels.clear();
    event.outcome_detail = Some(Text::cut("labels_left_out"));
    event.encode_unsealed()
}

impl OpenRequest {
    /// What was admitted.
    #[must_use]
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// An event of which nothing more than the admission is known.
    #[must_use]
    pub fn open_event(&self) -> UsageEvent {
        self.admission
            .open_event(&self.ledger.producer, self.ledger.boot)
    }

    /// Closes the request with its record. If the journal cannot take it now it is tried again; the error says that the promise
    /// is missed.
    pub fn close(mut self, event: UsageEvent) -> Result<Ticket, AppendError> {
        self.close_once(event)
    }

    fn close_once(&mut self, event: UsageEvent) -> Result<Ticket, AppendError> {
        let ledger = self.ledger.clone();
        let Some(reservation) = self.reservation.take() else {
            return Err(AppendError::Closed);
        };
        runtime::failpoint::hit("gateway.before_outcome");
        let appended = ledger.settle(Unsettled { event, reservation });
        runtime::failpoint::hit("gateway.after_outcome");
        appended
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.reservation.is_none() {
            return;
        }
        let event = self
            .admission
            .unknown_event(&self.ledger.producer, self.ledger.boot);
        tracing::error!(event_id = %self.admission.event_id, "request dropped without an outcome: recorded as unknown");
        self.ledger.metrics.dropped_without_outcome.inc();
        // A failure is logged and counted where it happens; there is nobody left to tell.
        drop(self.close_once(UsageEvent {
            outcome_detail: Some(Text::cut("dropped_without_outcome")),
            ..event
        }));
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
