//! What parent and child say to each other: one JSON line down the child's standard input, one back up its output. The
//! end of that input is the parent's death, and the child's.

use crate::running::Endpoint;
use crate::{Credentials, Password};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, Read as _, Write as _};

/// Longest first line of a parent, in bytes.
const MAX_HELLO_BYTES: u64 = 4 << 10;

/// The parent's line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    writer: String,
    reader: String,
    /// Whether other processes may find this engine through its endpoint file.
    pub(crate) publish: bool,
}

/// The child's line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Greeting {
    /// It answers there.
    Ready(Endpoint),
    /// It cannot start.
    Failed(Failed),
}

/// Why a child did not start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) reason: String,
    /// Another engine holds the directory; it may let go.
    pub(crate) in_use: bool,
}

impl Hello {
    pub(crate) fn new(credentials: &Credentials, publish: bool) -> Self {
        Self {
            writer: credentials.writer.expose().to_owned(),
            reader: credentials.reader.expose().to_owned(),
            publish,
        }
    }

    pub(super) fn credentials(self) -> Credentials {
        Credentials {
            writer: Password::new(self.writer),
            reader: Password::new(self.reader),
        }
    }

    /// Reads the parent's line, then watches for the parent's end from a thread of its own.
    pub(super) fn read() -> std::io::Result<Self> {
        let mut line = String::new();
        // Unbuffered beyond the line: nothing follows it, and what would is not ours to read.
        let mut input = std::io::stdin().lock();
        input.by_ref().take(MAX_HELLO_BYTES).read_line(&mut line)?;
        drop(input);
        let hello =
            serde_json::from_str(&line).map_err(|error| std::io::Error::other(error.to_string()));
        std::thread::Builder::new()
            .name("parent-watch".into())
            .spawn(die_with_parent)?;
        hello
    }
}

/// Nothing on standard input, whatever was there: the engine takes it for rows of an insert.
pub(super) fn without_input() -> std::io::Result<()> {
    let (ended, writer) = std::io::pipe()?;
    drop(writer);
    Ok(rustix::stdio::dup2_stdin(ended)?)
}

/// Kills this process at once when the parent is gone: an acknowledged insert is already safe, an unacknowledged one is
/// its sender's to repeat, and an engine without a parent would keep the directory locked.
fn die_with_parent() {
    let mut byte = [0_u8; 1];
    loop {
        match std::io::stdin().lock().read(&mut byte) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => die(),
            Ok(_) => {}
        }
    }
}

/// Ends the process without the engine's exit handlers, which hang while a query runs.
pub(super) fn die() {
    if let Err(errno) = kill_process(getpid(), Signal::KILL) {
        tracing::error!(%errno, "the engine cannot kill itself");
        std::process::abort();
    }
}

pub(super) fn greet(greeting: &Greeting) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(greeting)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    output.flush()
}
