//! The engine in this process: loaded once, one anchor connection that keeps it up, a fresh session for every request.
//! A session costs 0.3 ms; it is what keeps settings, and output that a failed query left behind, from the next request.

use super::ffi::{Answer, Connection, Library};
use super::{ENGINE_VERSION, ServeError};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than the result of a statement that is run for its effect, in bytes.
const SMALL_RESULT_BYTES: u64 = 64 << 10;

/// A query and what its session needs before it.
pub(super) struct Query {
    /// Statements that set the session up.
    pub(super) prepare: Vec<String>,
    pub(super) sql: Vec<u8>,
    /// The result's format unless the query names one.
    pub(super) format: String,
    pub(super) max_result_bytes: u64,
}

/// The running engine.
pub(super) struct EngineHost {
    library: Arc<Library>,
    directory: PathBuf,
    /// While it is open the engine stays up between requests.
    anchor: Mutex<Option<Connection>>,
    running: AtomicUsize,
}

impl EngineHost {
    /// Loads the library and opens the directory, checking first that it is the engine we were tested with.
    pub(super) fn start(library: &Path, directory: &Path) -> Result<Self, ServeError> {
        if !library.is_file() {
            return Err(ServeError::LibraryMissing {
                path: library.to_owned(),
            });
        }
        let loaded = Library::load(library).map_err(|error| ServeError::LibraryUnfit {
            path: library.to_owned(),
            reason: error.to_string(),
        })?;
        let refused = || ServeError::DirectoryRefused {
            path: directory.to_owned(),
        };
        let mut anchor = Connection::open(&loaded, directory).ok_or_else(refused)?;
        let answer = anchor
            .run(b"SELECT version()", "TabSeparated", SMALL_RESULT_BYTES)
            .map_err(ServeError::Bug)?;
        let found = String::from_utf8_lossy(&answer.bytes).trim().to_owned();
        if found != ENGINE_VERSION {
            return Err(ServeError::LibraryVersion {
                path: library.to_owned(),
                found,
            });
        }
        Ok(Self {
            library: loaded,
            directory: directory.to_owned(),
            anchor: Mutex::new(Some(anchor)),
            running: AtomicUsize::new(0),
        })
    }

    /// Runs a query on a session of its own. Blocks.
    pub(super) fn run(&self, query: &Query) -> Result<Answer, String> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let answer = self.run_session(query);
        self.running.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    fn run_session(&self, query: &Query) -> Result<Answer, String> {
        let mut session = Connection::open(&self.library, &self.directory)
            .ok_or("the engine opens no more sessions")?;
        for statement in &query.prepare {
            session.run(statement.as_bytes(), "Null", SMALL_RESULT_BYTES)?;
        }
        session.run(&query.sql, &query.format, query.max_result_bytes)
    }

    /// Whether a session is open.
    pub(super) fn is_busy(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }

    /// Ends every query that still runs, within the engine's next look at it.
    pub(super) fn cancel_all(&self) {
        let cancel = b"KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' ASYNC";
        let mut anchor = self.anchor.lock();
        if let Some(Err(error)) = anchor
            .as_mut()
            .map(|anchor| anchor.run(cancel, "Null", SMALL_RESULT_BYTES))
        {
            tracing::warn!(error, "running queries could not be ended");
        }
    }

    /// Closes the last connection, which shuts the engine down; no session may be running.
    pub(super) fn close(&self) {
        drop(self.anchor.lock().take());
    }
}
