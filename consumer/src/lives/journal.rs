//! The watch over a journal: one partition, of which the consumer's own status says how much is in the store.

use schemas::ProducerRecord;

use super::watch::{Log, Watch};
use crate::options::Options;
use crate::source::Source;
use crate::status::News;

struct JournalLog<'a, S> {
    source: &'a S,
    news: &'a News,
}

impl<S: Source> Log for JournalLog<'_, S> {
    type Mark = i64;

    fn mark(&self) -> Result<i64, String> {
        Ok(self.source.readable_end())
    }

    async fn covers(&self, mark: &i64) -> Result<bool, String> {
        // In this order: what was settled was read, and put aside before that.
        let is_settled = self.news.settled() >= *mark;
        let aside = self.source.lives();
        Ok(is_settled && aside.is_none_or(|aside| aside.lock().is_written_below(*mark)))
    }

    fn take_oldest(&self) -> Option<i64> {
        self.source.lives()?.lock().take_oldest()
    }

    async fn say(&self, record: &ProducerRecord) -> Result<(), String> {
        self.source
            .say(&record.encode())
            .map_err(|error| error.to_string())
    }
}

/// Watches for ever, or does nothing where the log of lives is another one.
pub(crate) async fn watch_journal<S: Source>(source: &S, options: &Options, news: &News) {
    if source.lives().is_none() {
        return std::future::pending().await;
    }
    let log = JournalLog { source, news };
    let who = source.place().topic.as_str();
    let mut watch = Watch::new(options, who, news.board.clone(), news.metrics.clone());
    loop {
        tokio::time::sleep_until(watch.due_at()).await;
        watch.look(&log).await;
    }
}
