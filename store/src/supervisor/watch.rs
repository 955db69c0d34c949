//! The engine kept running: restarts with back-off, and a channel that says where it is. The rest of the process serves
//! on while it is away.

use super::backoff::Backoff;
use super::child::{Child, Options, StartError};
use crate::client::{Client, WhereIs};
use crate::running::{Endpoint, Publish};
use crate::secrets::{Credentials, SecretsError, User};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the engine is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Being started.
    Starting,
    /// Answering.
    Ready(Endpoint),
    /// Not there; the next start follows by itself.
    Down {
        /// For an operator.
        reason: String,
        /// What waiting can do about it.
        fault: Fault,
    },
    /// Stopped for good.
    Stopped,
}

/// Why an engine is not there, as far as it matters to who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Another engine holds the directory; that can pass.
    InUse,
    /// It died, or did not answer in time; the next one need not.
    Died,
    /// It said why it cannot run; it will say so again.
    Refused,
}

impl Fault {
    fn of(error: &StartError) -> Self {
        match error {
            StartError::InUse(_) => Self::InUse,
            StartError::Died(_) | StartError::TimedOut => Self::Died,
            StartError::LibraryUnknown | StartError::Spawn { .. } | StartError::Refused(_) => {
                Self::Refused
            }
        }
    }
}

/// Keeps one engine running until [`Supervisor::stop`]; dropping it kills the engine.
#[derive(Debug)]
pub struct Supervisor {
    state: watch::Receiver<State>,
    credentials: Credentials,
    stop: CancellationToken,
    /// One task; it is aborted, and the engine killed, when this is dropped.
    tasks: JoinSet<()>,
}

impl Supervisor {
    /// Starts the engine in the background. Must be called within a tokio runtime.
    pub fn start(options: Options) -> Result<Self, SecretsError> {
        let credentials = Credentials::open_or_create(&options.data_dir())?;
        let (sender, state) = watch::channel(State::Starting);
        let stop = CancellationToken::new();
        let keeper = Keeper {
            options,
            credentials: credentials.clone(),
            state: sender,
            stop: stop.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper.run());
        Ok(Self {
            state,
            credentials,
            stop,
            tasks,
        })
    }

    /// What the engine is doing, now and at each change.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The passwords of its users.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A client that follows the engine through restarts.
    pub fn client(&self, user: User, database: &str) -> Client {
        let where_is = WhereIs::Supervised(self.state.clone());
        Client::new(
            where_is,
            user.name(),
            self.credentials.of(user).clone(),
            database,
        )
    }

    /// Waits until the engine answers. Fails with the engine's reason as soon as it has one that waiting will not cure.
    pub async fn ready(&self, deadline: Duration) -> Result<Endpoint, StartError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| {
            matches!(
                state,
                State::Ready(_)
                    | State::Stopped
                    | State::Down {
                        fault: Fault::Refused,
                        ..
                    }
            )
        });
        let settled = tokio::time::timeout(deadline, settled)
            .await
            .map(|settled| settled.map(|state| state.clone()));
        match settled.unwrap_or_else(|_| Ok(self.state.borrow().clone())) {
            Ok(State::Ready(endpoint)) => Ok(endpoint),
            Ok(State::Down { reason, fault }) => Err(match fault {
                Fault::InUse => StartError::InUse(reason),
                Fault::Died => StartError::Died(reason),
                Fault::Refused => StartError::Refused(reason),
            }),
            Ok(State::Starting) => Err(StartError::TimedOut),
            Ok(State::Stopped) | Err(_) => Err(StartError::Died("it was stopped".into())),
        }
    }

    /// Ends the engine in order.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the engine's keeper did not end well");
            }
        }
    }
}

struct Keeper {
    options: Options,
    credentials: Credentials,
    state: watch::Sender<State>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        let mut backoff = Backoff::new();
        while let Some(ran) = self.run_once().await {
            let wait = tokio::time::sleep(backoff.after(ran));
            if self.stop.run_until_cancelled(wait).await.is_none() {
                break;
            }
            self.state.send_replace(State::Starting);
        }
        self.state.send_replace(State::Stopped);
    }

    /// One life of the engine; `None` if it was ended by order, else how long it answered.
    async fn run_once(&self) -> Option<Duration> {
        let starting = Child::start(&self.options, &self.credentials, Publish::Yes);
        let mut child = match self.stop.run_until_cancelled(starting).await? {
            Ok(child) => child,
            Err(error) => {
                tracing::error!(%error, "the embedded engine did not start");
                self.state.send_replace(State::Down {
                    reason: error.to_string(),
                    fault: Fault::of(&error),
                });
                return Some(Duration::ZERO);
            }
        };
        let started = Instant::now();
        self.state
            .send_replace(State::Ready(child.endpoint().clone()));
        let Some(ending) = self.stop.run_until_cancelled(child.ended()).await else {
            child.stop().await;
            return None;
        };
        tracing::error!(
            ending,
            "the embedded engine ended and will be started again"
        );
        self.state.send_replace(State::Down {
            reason: format!("the embedded engine ended: {ending}"),
            fault: Fault::Died,
        });
        Some(started.elapsed())
    }
}

/// Shared by clients that follow a supervisor.
pub(crate) fn current_url(state: &watch::Receiver<State>) -> Result<Arc<str>, String> {
    match &*state.borrow() {
        State::Ready(endpoint) => Ok(Arc::from(endpoint.url.as_str())),
        State::Down { reason, .. } => Err(reason.clone()),
        State::Starting => Err("the embedded engine is starting".into()),
        State::Stopped => Err("the embedded engine was stopped".into()),
    }
}
