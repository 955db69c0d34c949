//! The client's own log: one line a request, what it sent and what it saw.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What a client saw of its request's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// 200, whole; a stream to its `[DONE]`.
    Complete,
    /// Another status, whole.
    HttpError,
    /// An error event in a stream that began with 200.
    ErrorEvent,
    /// The answer broke off, or a stream ended without `[DONE]`.
    Cut,
    /// The connection ended before there was an answer.
    NoAnswer,
    /// There was nobody to connect to.
    NotConnected,
    /// The client waited no longer.
    Timeout,
    /// What came was not HTTP.
    BadAnswer,
    /// The client hung up, as it was told.
    HungUp,
}

impl Seen {
    /// The name in logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::HttpError => "http_error",
            Self::ErrorEvent => "error_event",
            Self::Cut => "cut",
            Self::NoAnswer => "no_answer",
            Self::NotConnected => "not_connected",
            Self::Timeout => "timeout",
            Self::BadAnswer => "bad_answer",
            Self::HungUp => "hung_up",
        }
    }
}

/// One request as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientLine {
    /// As sent.
    pub nonce: String,
    /// Status of the answer; 0 where there was none.
    pub status: u16,
    /// What became of it.
    pub outcome: Seen,
    /// From the usage object, if one came.
    pub prompt_tokens: Option<u64>,
    /// From the usage object, if one came.
    pub completion_tokens: Option<u64>,
    /// Events of a stream, without `[DONE]`.
    pub events: u64,
    /// Bytes of the body received.
    pub body_bytes: u64,
    /// From the moment it was due to the end, in µs.
    pub latency_us: u64,
}

/// Where the lines go.
#[derive(Debug)]
pub(super) struct ClientLog {
    file: Option<Mutex<BufWriter<File>>>,
    lines: Option<Mutex<Vec<ClientLine>>>,
}

impl ClientLog {
    pub(super) fn open(path: Option<&Path>, keep_lines: bool) -> io::Result<Self> {
        let file = path.map(File::create).transpose()?;
        Ok(Self {
            file: file.map(BufWriter::new).map(Mutex::new),
            lines: keep_lines.then(Mutex::default),
        })
    }

    pub(super) fn push(&self, line: impl FnOnce() -> ClientLine) -> io::Result<()> {
        if self.file.is_none() && self.lines.is_none() {
            return Ok(());
        }
        let line = line();
        if let Some(file) = &self.file {
            let mut text = serde_json::to_vec(&line)?;
            text.push(b'\n');
            file.lock().write_all(&text)?;
        }
        if let Some(lines) = &self.lines {
            lines.lock().push(line);
        }
        Ok(())
    }

    /// Writes what is buffered and gives the kept lines.
    pub(super) fn close(self) -> io::Result<Vec<ClientLine>> {
        if let Some(file) = self.file {
            file.into_inner().flush()?;
        }
        Ok(self.lines.map(Mutex::into_inner).unwrap_or_default())
    }
}
