//! What the caller chooses. The cut rule is not among it: it belongs to the wire version.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::Client;

use crate::worker::Bounds;

/// Says at a named point whether the consumer is to stand still there, as if it had died.
pub type Hold = Arc<dyn Fn(&'static str) -> bool + Send + Sync>;

/// Settings of one consumer.
#[derive(Clone)]
pub struct Options {
    /// The store, as the user who may write.
    pub client: Client,
    /// The cursor file; its directory must exist.
    pub cursor: PathBuf,
    /// How long records wait for their batch to end before a cut record is appended.
    pub linger: Duration,
    /// How often the store is audited.
    pub audit_every: Duration,
    /// The first pause before a failed call is repeated; each further one is twice as long.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_most: Duration,
    /// How long the store is trusted to know a token: so often it is looked whether another writes the same.
    pub token_trust: Duration,
    /// How often it is looked whether all numbers that producers claim are in the store.
    pub watch_every: Duration,
    /// A producer that gives no sign of life for so long, and did not say that it ends, is silent.
    pub silent_after: Duration,
    /// The time of day in microseconds, for what is said of others.
    pub clock: fn() -> i64,
    /// For tests: where to stand still.
    pub hold: Option<Hold>,
}

impl Options {
    /// The usual settings: a linger of 500 ms, an audit every 30 s, pauses from 50 ms to 5 s, a minute's
    /// trust in tokens, numbers looked for every 15 s, silence after a minute.
    pub fn new(client: Client, cursor: impl Into<PathBuf>) -> Self {
        Self {
            client,
            cursor: cursor.into(),
            linger: Duration::from_millis(500),
            audit_every: Duration::from_secs(30),
            retry_first: Duration::from_millis(50),
            retry_most: Duration::from_secs(5),
            token_trust: Duration::from_mins(1),
            watch_every: Duration::from_secs(15),
            silent_after: Duration::from_mins(1),
            clock: runtime::clock::now_us,
            hold: None,
        }
    }

    /// What the worker needs of it.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            linger: self.linger,
            retry_first: self.retry_first,
            retry_most: self.retry_most,
            token_trust: self.token_trust,
        }
    }

    /// Comes by a named point: may not return, see [`runtime::failpoint`].
    pub(crate) async fn pass(&self, point: &'static str) {
        runtime::failpoint::hit(point);
        if self.hold.as_ref().is_some_and(|hold| hold(point)) {
            std::future::pending::<()>().await;
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("cursor", &self.cursor)
            .field("linger", &self.linger)
            .field("audit_every", &self.audit_every)
            .finish_non_exhaustive()
    }
}
