//! Between the thread that owns the member and a partition's worker: records in order, bounded; where reading is to go on; what is
//! to be committed. A queue belongs to one assignment of a partition: what is put into that of an older one is heard by nobody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::{Read, Record, SourceError};

/// A later beginning of a log that is named for so long is believed.
pub(super) const CERTAIN_AFTER: Duration = Duration::from_secs(5);

/// One assignment of a partition.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    news: Notify,
    first_kept: AtomicI64,
    readable_end: AtomicI64,
}

#[derive(Debug, Default)]
struct Inner {
    reads: VecDeque<Read>,
    bytes: usize,
    /// Something was put in since it was last told.
    is_untold: bool,
    /// When it was told last that something was put in.
    fed_at: Option<Instant>,
    /// Where the worker wants to read from, until the owner has taken note.
    wanted: Option<i64>,
    /// The boundary to commit, until the owner has taken note.
    commit: Option<i64>,
    /// The last that the owner took note of, until the group has confirmed it.
    under_way: Option<i64>,
    /// Where the log begins, as far as that is certain.
    begins: Option<i64>,
    /// Since when it is said to begin later, and the earliest place that was named meanwhile.
    begins_later: Option<(Instant, i64)>,
    /// Why nothing follows, if so.
    broken: Option<String>,
}

impl Queue {
    /// Who waits is told by [`Self::tell`], once for all that was put in before.
    pub(crate) fn push(&self, record: Record) {
        let mut inner = self.inner.lock();
        inner.bytes += weight_of(&record);
        inner.is_untold = true;
        inner.reads.push_back(Read::Record(record));
    }

    /// Tells who waits that there is more.
    pub(crate) fn tell(&self) {
        let mut inner = self.inner.lock();
        if std::mem::take(&mut inner.is_untold) {
            inner.fed_at = Some(Instant::now());
            drop(inner);
            self.news.notify_one();
        }
    }

    pub(crate) fn push_lost(&self, first: i64, next: i64) {
        self.inner
            .lock()
            .reads
            .push_back(Read::Lost { first, next });
        self.news.notify_one();
    }

    /// What was pushed last follows nothing any more: the log lost its end.
    pub(crate) fn break_off(&self, why: String) {
        self.inner.lock().broken.get_or_insert(why);
        self.news.notify_one();
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.inner.lock().broken.is_some()
    }

    pub(crate) fn pop(&self) -> Result<Read, SourceError> {
        let mut inner = self.inner.lock();
        let read = match (inner.reads.pop_front(), &inner.broken) {
            (Some(read), _) => read,
            (None, None) => Read::CaughtUp,
            (None, Some(why)) => return Err(SourceError::Failed(why.clone())),
        };
        if let Read::Record(record) = &read {
            inner.bytes -= weight_of(record);
        }
        Ok(read)
    }

    /// Waits until something was pushed since the queue was last seen empty.
    pub(crate) async fn more(&self) {
        let is_quiet = || {
            let inner = self.inner.lock();
            inner.reads.is_empty() && inner.broken.is_none()
        };
        while is_quiet() {
            self.news.notified().await;
        }
    }

    /// When it was told last that something was put in; now if that never was.
    pub(crate) fn fed_at(&self) -> Instant {
        self.inner.lock().fed_at.unwrap_or_else(Instant::now)
    }

    /// Whether it holds all that it may.
    pub(crate) fn is_full(&self, most_bytes: usize) -> bool {
        self.inner.lock().bytes >= most_bytes
    }

    /// Whether it holds so much less that it is worth to go on.
    pub(crate) fn has_room_again(&self, most_bytes: usize) -> bool {
        self.inner.lock().bytes < most_bytes / 4
    }

    /// The worker reads from `offset` on.
    pub(crate) fn want(&self, offset: i64) {
        self.inner.lock().wanted = Some(offset);
    }

    pub(crate) fn take_wanted(&self) -> Option<i64> {
        self.inner.lock().wanted.take()
    }

    /// The boundary is to be committed.
    pub(crate) fn commit(&self, boundary: i64) {
        self.inner.lock().commit = Some(boundary);
    }

    /// The boundary to send, if there is a new one; it is under way from now on.
    pub(crate) fn take_commit(&self) -> Option<i64> {
        let mut inner = self.inner.lock();
        let boundary = inner.commit.take()?;
        inner.under_way = Some(boundary);
        Some(boundary)
    }

    /// The group has confirmed a boundary.
    pub(crate) fn committed(&self, boundary: i64) {
        let mut inner = self.inner.lock();
        inner.under_way = inner.under_way.filter(|sent| *sent != boundary);
    }

    /// What is under way for long is sent once more: always the last boundary, so that none goes back.
    pub(crate) fn commit_again(&self) {
        let mut inner = self.inner.lock();
        inner.commit = inner.commit.or(inner.under_way);
    }

    /// The last boundary, if the group has not confirmed it.
    pub(crate) fn owed(&self) -> Option<i64> {
        let inner = self.inner.lock();
        inner.commit.or(inner.under_way)
    }

    pub(crate) fn bounds(&self) -> (i64, i64) {
        (
            self.first_kept.load(Ordering::Acquire),
            self.readable_end.load(Ordering::Acquire),
        )
    }

    pub(crate) fn set_bounds(&self, first_kept: i64, readable_end: i64) {
        let mut inner = self.inner.lock();
        let certain = inner.believe(first_kept, Instant::now());
        drop(inner);
        self.first_kept.store(certain, Ordering::Release);
        self.readable_end.fetch_max(readable_end, Ordering::AcqRel);
    }
}

impl Inner {
    /// The log is said to begin at `named`. What is before that counts as gone for ever, so an answer that takes places away is
    /// believed only when it has been given for long.
    fn believe(&mut self, named: i64, now: Instant) -> i64 {
        let known = *self.begins.get_or_insert(named);
        if named <= known {
            (self.begins, self.begins_later) = (Some(named), None);
            return named;
        }
        let (since, least) = self.begins_later.get_or_insert((now, named));
        *least = named.min(*least);
        if now.duration_since(*since) < CERTAIN_AFTER {
            return known;
        }
        let certain = *least;
        (self.begins, self.begins_later) = (Some(certain), None);
        certain
    }
}

/// What a record holds of memory: also one that says nothing does.
fn weight_of(record: &Record) -> usize {
    let stated = record.stated.as_ref();
    size_of::<Read>() + record.bytes.len() + stated.map_or(0, |stated| stated.held())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::RecordKind;

    #[test]
    fn a_full_queue_has_room_again_once_most_of_it_is_taken() {
        const MOST: usize = 4 << 20;
        let queue = Queue::default();
        let record = Record {
            offset: 0,
            kind: RecordKind::Usage,
            bytes: vec![0; MOST / 2 - size_of::<Read>()].into(),
            stated: None,
            kept: None,
            replay_of: None,
        };
        queue.push(record.clone());
        assert!(!queue.is_full(MOST) && !queue.has_room_again(MOST));
        queue.push(record);
        assert!(queue.is_full(MOST));
        assert!(matches!(queue.pop(), Ok(Read::Record(_))));
        assert!(matches!(queue.pop(), Ok(Read::Record(_))));
        assert!(queue.has_room_again(MOST));
        assert_eq!(queue.pop(), Ok(Read::CaughtUp));
        queue.push_lost(1, 3);
        queue.break_off("why".into());
        assert_eq!(queue.pop(), Ok(Read::Lost { first: 1, next: 3 }));
        assert_eq!(queue.pop(), Err(SourceError::Failed("why".into())));
    }

    #[test]
    fn one_answer_does_not_take_the_beginning_away() {
        let (mut inner, now) = (Inner::default(), Instant::now());
        assert_eq!(inner.believe(3, now), 3, "the first is all there is");
        assert_eq!(inner.believe(10, now), 3);
        assert_eq!(inner.believe(4, now + CERTAIN_AFTER), 4, "always so long");
        assert_eq!(inner.believe(9, now + CERTAIN_AFTER), 4);
        assert_eq!(inner.believe(4, now + CERTAIN_AFTER), 4);
        assert_eq!(inner.believe(9, now + 2 * CERTAIN_AFTER), 4, "anew");
        assert_eq!(inner.believe(2, now + 3 * CERTAIN_AFTER), 2, "it has them");
        let queue = Queue::default();
        queue.set_bounds(3, 10);
        queue.set_bounds(10, 10);
        assert_eq!(queue.bounds(), (3, 10));
    }

    #[test]
    fn a_boundary_is_owed_until_the_group_has_confirmed_it() {
        let queue = Queue::default();
        assert_eq!((queue.take_commit(), queue.owed()), (None, None));
        queue.commit(3);
        assert_eq!(queue.owed(), Some(3));
        assert_eq!(queue.take_commit(), Some(3));
        assert_eq!((queue.take_commit(), queue.owed()), (None, Some(3)));
        queue.commit_again();
        assert_eq!(queue.take_commit(), Some(3), "it is sent once more");
        queue.commit(5);
        queue.commit_again();
        assert_eq!(queue.take_commit(), Some(5), "never one before the last");
        queue.committed(3);
        assert_eq!(queue.owed(), Some(5), "an older one is confirmed");
        queue.committed(5);
        queue.commit_again();
        assert_eq!((queue.take_commit(), queue.owed()), (None, None));
    }
}
