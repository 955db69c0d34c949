//! What is known of the store while publishing goes on: checkpoints of one topic, how old the oldest record is that is not
//! confirmed, and why. Nothing is confirmed while anything is in doubt.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use super::checkpoints::{Checkpoints, Missing};
use super::readers::{Progress, Readers};
use crate::publish::lag::Lag;
use crate::publish::metrics::Metrics;

/// A record that the store has not confirmed for so long is said to be late.
const LATE: Duration = Duration::from_mins(1);

/// What is known of the store.
#[derive(Default)]
pub(crate) struct Sink {
    readers: OnceLock<Arc<dyn Readers>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    checkpoints: Checkpoints,
    /// The topic of all checkpoints; unknown while empty.
    topic_id: String,
    /// A session publishes without knowing which topic it is: once that can be asked, it is to begin again.
    asks_again: bool,
    lag: Lag,
    /// Why nothing more is confirmed now.
    waits_for: Option<String>,
    is_late: bool,
}

impl Sink {
    /// Who reads the topic.
    pub(crate) fn set_readers(&self, readers: Arc<dyn Readers>) {
        drop(self.readers.set(readers));
    }

    /// Who reads the topic, if anybody is known to.
    pub(crate) fn readers(&self) -> Option<&Arc<dyn Readers>> {
        self.readers.get()
    }

    /// Everything in the journal below is in the store; nothing where nobody says so.
    pub(crate) fn confirmed(&self) -> u64 {
        self.inner.lock().checkpoints.confirmed()
    }

    /// Why the store is behind, while it is.
    pub(crate) fn trouble(&self) -> Option<String> {
        let inner = self.inner.lock();
        inner.waits_for.clone().filter(|_| inner.is_late)
    }

    /// Whether it is known where everything stands that was published to this topic.
    pub(crate) fn is_in(&self, topic_id: &str) -> bool {
        self.inner.lock().topic_id == topic_id
    }

    /// From now on it is published to this topic, and every usage record below `position` stands in it before `ends`.
    pub(crate) fn begin(&self, topic_id: &str, position: u64, ends: Vec<i64>) {
        let mut inner = self.inner.lock();
        inner.checkpoints.forget();
        topic_id.clone_into(&mut inner.topic_id);
        inner.checkpoints.add(position, ends);
    }

    /// The same of what was published since it began; counts only together with what was noted before.
    pub(crate) fn checkpoint(&self, position: u64, ends: Vec<i64>) {
        let mut inner = self.inner.lock();
        if !inner.topic_id.is_empty() {
            inner.checkpoints.add(position, ends);
        }
    }

    /// It is not known where anything stands: it is published again, or to who knows which topic.
    pub(crate) fn forget(&self) {
        let mut inner = self.inner.lock();
        inner.checkpoints.forget();
        inner.topic_id.clear();
    }

    /// A session goes on without knowing to which topic.
    pub(crate) fn go_on_unknown(&self) {
        self.forget();
        self.inner.lock().asks_again = true;
    }

    /// Takes what the readers say. Says if they speak of another topic than the one that is published to.
    pub(crate) fn take(&self, progress: Result<Progress, String>) -> Option<String> {
        let name = self.readers().map_or("", |readers| readers.name());
        let mut inner = self.inner.lock();
        let progress = match progress {
            Ok(progress) => progress,
            Err(error) => {
                inner.waits_for = Some(format!("{name} can not be asked: {error}"));
                return None;
            }
        };
        if inner.topic_id.is_empty() {
            let news = "the identity of the topic is not known".to_owned();
            inner.waits_for = Some(news.clone());
            return std::mem::take(&mut inner.asks_again).then_some(news);
        }
        if inner.topic_id != progress.topic_id {
            let (was, is) = (&inner.topic_id, &progress.topic_id);
            let news = format!("the topic was made anew ({was} became {is})");
            inner.waits_for = Some(news.clone());
            return Some(news);
        }
        let missing = inner.checkpoints.take(&progress.committed);
        inner.waits_for = missing.map(|missing| in_words(name, missing));
        None
    }

    /// Shows how far the store is behind `acked` of a journal that begins at `first`, at `now`; says it once when it is late, and
    /// once when it no longer is.
    pub(crate) fn show(&self, metrics: &Metrics, now: Duration, first: u64, acked: u64) {
        if self.readers().is_none() {
            return;
        }
        let mut inner = self.inner.lock();
        // What went before was confirmed before.
        let confirmed = inner.checkpoints.confirmed().max(first);
        let age = inner.lag.sample(now, acked, confirmed);
        let behind = i64::try_from(acked.saturating_sub(confirmed)).unwrap_or(i64::MAX);
        metrics.sink_lag_positions.set(behind);
        metrics.sink_lag.set(age.as_secs_f64());
        let is_late = age > LATE;
        if is_late && !inner.is_late {
            let reason = inner.waits_for.as_deref().unwrap_or("it was not asked yet");
            tracing::warn!(
                reason,
                positions = behind,
                "the store has not confirmed what Kafka has: no segment of the journal goes, and it grows"
            );
        } else if inner.is_late && !is_late {
            tracing::info!("the store confirms what Kafka has again");
        }
        inner.is_late = is_late;
    }
}

fn in_words(name: &str, missing: Missing) -> String {
    let Missing {
        partition,
        wanted,
        committed,
    } = missing;
    match committed {
        None => format!(
            "{name} has committed nothing in partition {partition}, and must come to {wanted}"
        ),
        Some(committed) => {
            format!("{name} is at {committed} in partition {partition}, and must come to {wanted}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Readers for Nobody {
        fn topic_id(&self) -> Result<String, String> {
            Ok("a".into())
        }
        fn progress(&self) -> Result<Progress, String> {
            Err("away".into())
        }
        fn name(&self) -> &'static str {
            "group `g`"
        }
    }

    fn sink() -> Sink {
        let sink = Sink::default();
        sink.set_readers(Arc::new(Nobody));
        sink
    }

    fn progress(topic_id: &str, committed: Option<i64>) -> Progress {
        Progress {
            topic_id: topic_id.into(),
            committed: vec![committed],
        }
    }

    #[test]
    fn another_topic_of_the_name_confirms_nothing_and_is_named() {
        let sink = sink();
        sink.begin("a", 5, vec![5]);
        assert!(sink.take(Ok(progress("b", Some(100)))).is_some());
        assert_eq!(sink.confirmed(), 0);
        sink.begin("b", 5, vec![7]);
        assert_eq!(sink.take(Ok(progress("b", Some(6)))), None);
        assert_eq!(sink.confirmed(), 0);
        assert_eq!(sink.take(Ok(progress("b", Some(7)))), None);
        assert_eq!(sink.confirmed(), 5);
        sink.forget();
        assert_eq!(sink.confirmed(), 5, "the store has it");
        assert!(!sink.is_in("b"));
    }

    #[test]
    fn without_the_topics_identity_nothing_is_confirmed() {
        let sink = sink();
        sink.checkpoint(5, vec![5]);
        assert_eq!(sink.take(Ok(progress("a", Some(100)))), None);
        assert_eq!(sink.confirmed(), 0);
    }

    #[test]
    fn a_session_that_does_not_know_its_topic_ends_once_it_can_be_asked() {
        let sink = sink();
        sink.begin("a", 5, vec![5]);
        sink.go_on_unknown();
        assert_eq!(sink.take(Err("away".into())), None);
        assert!(sink.take(Ok(progress("a", Some(100)))).is_some());
        assert_eq!(sink.take(Ok(progress("a", Some(100)))), None, "once");
        assert_eq!(sink.confirmed(), 0);
    }

    #[test]
    fn who_is_late_is_said_with_the_reason_until_it_is_there() {
        let (sink, metrics) = (sink(), Metrics::default());
        sink.begin("a", 3, vec![2]);
        sink.checkpoint(5, vec![5]);
        sink.take(Ok(progress("a", None)));
        let at = Duration::from_secs;
        sink.show(&metrics, at(1), 0, 5);
        assert_eq!(sink.trouble(), None);
        sink.show(&metrics, at(100), 0, 5);
        let reason = sink.trouble().expect("it is late");
        assert!(
            reason.contains("group `g`") && reason.contains("partition 0"),
            "{reason}"
        );
        assert_eq!(metrics.sink_lag_positions.get(), 5);
        sink.take(Ok(progress("a", Some(5))));
        sink.show(&metrics, at(101), 0, 5);
        assert_eq!(sink.trouble(), None);
        assert_eq!(metrics.sink_lag_positions.get(), 0);
    }
}
