//! The recorded answers that are kept, within bounds, and who is to get which.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;

use crate::fate::Framing;

/// Bytes of all bodies together.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Answers that are kept, and places in queues.
const MAX_ENTRIES: usize = 65_536;

/// Told by the framing, and never by a record.
const FRAMING_HEADERS: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// An answer as it was recorded, and how it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Status of the head, from 200 on.
    pub status: u16,
    /// Headers, `content-type` among them; nothing is added but `date` and what the framing needs.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
    /// How its end is told.
    pub framing: Framing,
    /// Lengths of the pieces, each a write of its own; what is left is the last piece.
    pub pieces: Vec<u64>,
    /// Wait between two pieces.
    pub gap_ms: u64,
    /// The connection is reset after the last byte, so that the body never ends.
    pub reset: bool,
}

/// Why a recorded answer was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The upload is not what is expected.
    #[error("a recorded answer: {0}")]
    Unreadable(String),
    /// A header cannot be sent.
    #[error("header `{0}` of a recorded answer cannot be sent; leave it out")]
    Header(String),
    /// The status is no status of an answer.
    #[error("status {0} of a recorded answer must be 200 to 599, and not one without a body")]
    Status(u16),
    /// The bounds are reached.
    #[error("no more recorded answers can be kept; DELETE /replay forgets all")]
    Full,
    /// There is no such answer.
    #[error("there is no recorded answer {0}")]
    Unknown(u64),
}

/// Who gets a recorded answer next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The request with this nonce.
    Nonce(String),
    /// The next request with the key of which these are the first 8 hex digits of its SHA-256.
    Key(String),
}

/// A handle on the recorded answers of a running simulator.
#[derive(Debug, Clone, Default)]
pub struct Replays {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    bytes: usize,
    kept: BTreeMap<u64, Arc<Recorded>>,
    queued: usize,
    queues: HashMap<Whose, VecDeque<u64>>,
}

impl Replays {
    /// Keeps an answer and gives its number.
    pub fn keep(&self, recorded: Recorded) -> Result<u64, ReplayError> {
        check(&recorded)?;
        let mut inner = self.inner.lock();
        let bytes = inner.bytes + recorded.body.len();
        if bytes > MAX_BYTES || inner.kept.len() >= MAX_ENTRIES {
            return Err(ReplayError::Full);
        }
        inner.bytes = bytes;
        inner.last_id += 1;
        let id = inner.last_id;
        inner.kept.insert(id, Arc::new(recorded));
        Ok(id)
    }

    /// Puts a kept answer at the end of somebody's queue; it is played once for each place.
    pub fn queue(&self, whose: Whose, id: u64) -> Result<(), ReplayError> {
        let mut inner = self.inner.lock();
        if !inner.kept.contains_key(&id) {
            return Err(ReplayError::Unknown(id));
        }
        if inner.queued >= MAX_ENTRIES {
            return Err(ReplayError::Full);
        }
        inner.queued += 1;
        inner.queues.entry(whose).or_default().push_back(id);
        Ok(())
    }

    /// Forgets all answers and queues; numbers go on.
    pub fn forget(&self) {
        let mut inner = self.inner.lock();
        let last_id = inner.last_id;
        *inner = Inner {
            last_id,
            ..Inner::default()
        };
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<Recorded>> {
        self.inner.lock().kept.get(&id).cloned()
    }

    /// Takes what is next for a request, by its nonce or else by its key.
    pub(crate) fn next_for(&self, nonce: Option<&str>, key: Option<&str>) -> Option<u64> {
        let mut inner = self.inner.lock();
        if inner.queued == 0 {
            return None;
        }
        let nonce = nonce.map(|nonce| Whose::Nonce(nonce.to_owned()));
        let key = key.map(|key| Whose::Key(key.to_owned()));
        nonce
            .into_iter()
            .chain(key)
            .find_map(|whose| inner.take(&whose))
    }
}

impl Inner {
    fn take(&mut self, whose: &Whose) -> Option<u64> {
        let queue = self.queues.get_mut(whose)?;
        let id = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(whose);
        }
        self.queued -= usize::from(id.is_some());
        id
    }
}

fn check(recorded: &Recorded) -> Result<(), ReplayError> {
    let status = recorded.status;
    if StatusCode::from_u16(status).is_err()
        || !(200..=599).contains(&status)
        || matches!(status, 204 | 304)
    {
        return Err(ReplayError::Status(status));
    }
    for (name, value) in &recorded.headers {
        let sendable = HeaderName::from_bytes(name.as_bytes())
            .is_ok_and(|name| !FRAMING_HEADERS.contains(&name.as_str()))
            && HeaderValue::from_str(value).is_ok();
        if !sendable {
            return Err(ReplayError::Header(name.clone()));
        }
    }
    Ok(())
}
