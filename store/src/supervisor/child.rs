//! One engine process, from spawn to end. Its environment holds nothing but where the library is; its passwords go down
//! its standard input, whose end is its end.

use crate::DataDir;
use crate::engine::{Failed, Greeting, Hello, library_path};
use crate::running::{Endpoint, Publish};
use crate::secrets::Credentials;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

/// How long an engine may take until it answers; a large directory is read at the start.
const START_TIMEOUT: Duration = Duration::from_mins(2);
/// How long an engine may take to end in order; past it it is killed, which loses nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest line that an engine sends, in bytes.
const MAX_GREETING_BYTES: u64 = 16 << 10;

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The engine's library; where `scripts/engine.sh` installs it if not given.
    pub library: Option<PathBuf>,
    /// The program whose command line ends in [`crate::engine::serve`], with [`crate::engine::Started::ByParent`].
    pub program: PathBuf,
    /// Its arguments, all of them. The library's path is in `TOLLGATE_ENGINE_LIBRARY`.
    pub args: Vec<OsString>,
}

/// The engine's process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No library, and no word where it is.
    #[error(
        "nothing says where the embedded engine is; set HOME or TOLLGATE_ENGINE_LIBRARY, or run scripts/engine.sh"
    )]
    LibraryUnknown,
    /// The program could not be run.
    #[error("cannot run {} for the embedded engine: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine said why.
    #[error("{0}")]
    Refused(String),
    /// Another engine runs on the directory.
    #[error("{0}")]
    InUse(String),
    /// It ended without a word.
    #[error(
        "the embedded engine ended before it was ready ({0}); its last words are on standard error"
    )]
    Died(String),
    /// It did not answer.
    #[error("the embedded engine was not ready after {} s; is the disk slow or full?", START_TIMEOUT.as_secs())]
    TimedOut,
}

impl StartError {
    /// Whether the next try need not end in the same way.
    pub fn can_pass(&self) -> bool {
        matches!(self, Self::InUse(_) | Self::Died(_) | Self::TimedOut)
    }
}

/// A running engine. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    /// Open as long as we live: its end is the engine's end.
    _lifeline: ChildStdin,
    endpoint: Endpoint,
}

impl Child {
    /// Starts an engine and waits until it answers.
    pub(crate) async fn start(
        options: &Options,
        credentials: &Credentials,
        publish: Publish,
    ) -> Result<Self, StartError> {
        let spawn_error = |source| StartError::Spawn {
            program: options.program.clone(),
            source,
        };
        let mut process = command(options)?.spawn().map_err(spawn_error)?;
        let (Some(mut lifeline), Some(output)) = (process.stdin.take(), process.stdout.take())
        else {
            return Err(spawn_error(std::io::Error::other("its pipes are missing")));
        };
        let hello = Hello::new(credentials, publish == Publish::Yes);
        let mut line = serde_json::to_vec(&hello).map_err(|error| spawn_error(error.into()))?;
        line.push(b'\n');
        // If it died already, what it says below is the better reason.
        drop(lifeline.write_all(&line).await);
        let greeting = tokio::time::timeout(START_TIMEOUT, greeting(output))
            .await
            .map_err(|_| StartError::TimedOut)?;
        match greeting {
            Some(Greeting::Ready(endpoint)) => Ok(Self {
                process,
                _lifeline: lifeline,
                endpoint,
            }),
            Some(Greeting::Failed(Failed {
                reason,
                in_use: true,
            })) => Err(StartError::InUse(reason)),
            Some(Greeting::Failed(Failed { reason, .. })) => Err(StartError::Refused(reason)),
            None => Err(StartError::Died(ending(process.wait().await))),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Waits for its end, and says how it ended.
    pub(crate) async fn ended(&mut self) -> String {
        ending(self.process.wait().await)
    }

    /// Ends it in order, or kills it when that takes too long.
    pub(crate) async fn stop(mut self) {
        let pid = self
            .process
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(Err(errno)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
            tracing::debug!(%errno, "the embedded engine ended before it was told to");
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.process.wait())
            .await
            .is_err()
        {
            tracing::warn!("the embedded engine did not end in time and is killed");
            drop(self.process.kill().await);
        }
    }
}

fn command(options: &Options) -> Result<Command, StartError> {
    let library = options
        .library
        .clone()
        .or_else(library_path)
        .ok_or(StartError::LibraryUnknown)?;
    let mut command = Command::new(&options.program);
    command
        .args(&options.args)
        .env_clear()
        .env("TZ", "UTC")
        .env("TOLLGATE_ENGINE_LIBRARY", library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        // Ctrl-C at a terminal is for the parent, which stops the engine last.
        .process_group(0)
        .kill_on_drop(true);
    if let Some(filter) = std::env::var_os("RUST_LOG") {
        command.env("RUST_LOG", filter);
    }
    Ok(command)
}

async fn greeting(output: ChildStdout) -> Option<Greeting> {
    let mut line = String::new();
    BufReader::new(output.take(MAX_GREETING_BYTES))
        .read_line(&mut line)
        .await
        .ok()?;
    serde_json::from_str(&line).ok()
}

fn ending(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// The arguments' data directory and the options' must be one; this is where both are known.
impl Options {
    /// The data directory's paths.
    pub fn data_dir(&self) -> DataDir {
        DataDir::new(&self.data_dir)
    }
}
