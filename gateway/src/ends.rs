//! How earlier starts ended that were killed: said once in the journal, and tried again at every sign of life until it takes it.
//! What must not live here: how an end is found (see `recovery`).

use parking_lot::Mutex;
use schemas::name::Text;
use schemas::{Boot, Micros, ProducerRecord, ProducerState, RecordKind, WIRE_VERSION};

use crate::ledger::Ledger;

/// How an earlier start ended that was killed, as its journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The start.
    pub boot: Boot,
    /// The last number that it gave.
    pub last_producer_seq: Option<i64>,
    /// Requests that it let in; unknown where its journal is not kept that far back, like the next two.
    pub admitted: Option<i64>,
    /// Of those, closed by it.
    pub settled: Option<i64>,
    /// Of those, closed as unknown by later starts.
    pub open: Option<i64>,
}

/// Ends that the journal has not taken yet, and the place that they were found from: whoever starts before they are said reads
/// from there again.
#[derive(Debug, Default)]
pub(crate) struct Unsaid(Mutex<Option<(u64, Vec<End>)>>);

impl Unsaid {
    /// Where a next start must read from.
    pub(crate) fn found_from(&self) -> Option<u64> {
        self.0.lock().as_ref().map(|(from, _)| *from)
    }
}

impl Ledger {
    /// Says of earlier starts of this producer, found in the journal from `from` on, that nothing follows their last numbers.
    pub(crate) fn close_starts(&self, from: u64, ends: Vec<End>, now: Micros) {
        *self.unsaid().0.lock() = Some((from, ends));
        self.close_starts_again(now);
    }

    /// Tries again what the journal did not take.
    pub(crate) fn close_starts_again(&self, now: Micros) {
        let mut unsaid = self.unsaid().0.lock();
        let Some((from, ends)) = unsaid.take() else {
            return;
        };
        let is_left = |end: &End| match self.close_start(end, now) {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, boot = %end.boot, "the end of an earlier start was not written; it is tried again at each sign of life");
                true
            }
        };
        let left: Vec<End> = ends.into_iter().filter(is_left).collect();
        *unsaid = (!left.is_empty()).then_some((from, left));
    }

    fn close_start(&self, end: &End, now: Micros) -> Result<(), journal::AppendError> {
        let synced_end = self.journal().stats().synced_end;
        let record = ProducerRecord {
            wire: Text::cut(WIRE_VERSION),
            producer: self.producer().clone(),
            boot: end.boot,
            state: ProducerState::Closed,
            last_producer_seq: end.last_producer_seq,
            admitted: end.admitted,
            settled: end.settled,
            open: end.open,
            synced_position: Some(i64::try_from(synced_end).unwrap_or(i64::MAX)),
            clock_us: now,
            by: Some(Text::cut(&self.boot().to_string())),
            why: Some(Text::cut(
                "killed; its journal was recovered by a later start",
            )),
            exposure: None,
        };
        self.journal()
            .append(RecordKind::Producer as u8, &record.encode())?;
        Ok(())
    }
}
