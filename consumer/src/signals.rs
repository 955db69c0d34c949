//! What the outside can ask of a running consumer. Flags only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The requests; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    /// End after the batch in work.
    pub stop: CancellationToken,
    /// End once everything readable is written.
    pub drain: CancellationToken,
    /// Audit the store now.
    pub audit: AuditRequests,
}

/// Numbered requests for an audit, so that who asked can tell whether the audit began after the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditRequests {
    last: Arc<AtomicU64>,
    news: Arc<Notify>,
}

impl AuditRequests {
    /// Asks; gives the request's number.
    pub(crate) fn ask(&self) -> u64 {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        self.news.notify_one();
        number
    }

    /// The number of the last request.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// Waits for the next request.
    pub(crate) async fn asked(&self) {
        self.news.notified().await;
    }
}
