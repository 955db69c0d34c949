//! The engine as its users find it: one that runs already, or a private one for the life of a command.

use crate::client::{Client, WhereIs};
use crate::secrets::{Credentials, SecretsError, User};
use crate::supervisor::{Child, Options, StartError};
use crate::{DataDir, StoreError};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How long a command waits for another command's private engine to let go of the directory.
const IN_USE_TIMEOUT: Duration = Duration::from_secs(30);
const IN_USE_PAUSE: Duration = Duration::from_millis(100);

/// Where a running engine is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// The engine's version.
    pub version: String,
    /// Microseconds since the epoch.
    pub started_us: i64,
}

impl Endpoint {
    /// The published engine of a data directory, if one runs. The lock decides: a file without its holder is a leftover,
    /// and a password is never sent to whoever has that port by now.
    pub fn of_running(data_dir: &DataDir) -> Option<Self> {
        let lock = std::fs::File::open(data_dir.lock_file()).ok()?;
        match flock(&lock, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Ok(()) | Err(_) => return None,
        }
        serde_json::from_slice(&std::fs::read(data_dir.endpoint_file()).ok()?).ok()
    }
}

/// A client of whichever engine runs on a data directory: one that starts later, or again elsewhere, is found.
pub fn client_of_running(
    data_dir: &DataDir,
    user: User,
    database: &str,
) -> Result<Client, SecretsError> {
    let credentials = Credentials::open_or_create(data_dir)?;
    let password = credentials.of(user).clone();
    let where_is = WhereIs::Running(data_dir.clone());
    Ok(Client::new(where_is, user.name(), password, database))
}

/// The engine could not be reached or started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Its child process did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Passwords could not be read or made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// It runs but does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An engine to speak to.
#[derive(Debug)]
pub struct Engine {
    endpoint: Endpoint,
    credentials: Credentials,
    private: Option<Child>,
}

impl Engine {
    /// Uses the engine that runs on the data directory, or starts one that lives as long as the returned value.
    pub async fn connect_or_start(options: &Options) -> Result<Self, EngineError> {
        let data_dir = DataDir::new(&options.data_dir);
        let credentials = Credentials::open_or_create(&data_dir)?;
        let deadline = Instant::now() + IN_USE_TIMEOUT;
        loop {
            if let Some(endpoint) = Endpoint::of_running(&data_dir) {
                let engine = Self {
                    endpoint,
                    credentials: credentials.clone(),
                    private: None,
                };
                match engine.client(User::Reader, "system").ping().await {
                    Ok(()) => return Ok(engine),
                    Err(error) if Instant::now() > deadline => return Err(error.into()),
                    Err(_) => {}
                }
            } else {
                match Child::start(options, &credentials, Publish::No).await {
                    Ok(child) => {
                        return Ok(Self {
                            endpoint: child.endpoint().clone(),
                            credentials,
                            private: Some(child),
                        });
                    }
                    Err(StartError::InUse(_)) if Instant::now() < deadline => {}
                    Err(error) => return Err(error.into()),
                }
            }
            tokio::time::sleep(IN_USE_PAUSE).await;
        }
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The passwords of its users.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether it was started for this value and ends with it.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// A client of it.
    pub fn client(&self, user: User, database: &str) -> Client {
        let where_is = WhereIs::Fixed(self.endpoint.url.clone());
        Client::new(
            where_is,
            user.name(),
            self.credentials.of(user).clone(),
            database,
        )
    }

    /// Ends a private engine in order; does nothing to one that others use.
    pub async fn stop(self) {
        if let Some(child) = self.private {
            child.stop().await;
        }
    }
}

/// Whether a child's endpoint is for everybody or for its parent alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publish {
    Yes,
    No,
}
