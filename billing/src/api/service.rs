//! The service: its state, its doors, and how it starts and stops. What it answers is the router's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use schemas::Clock;
use store::Client;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::book::Book;
use crate::api::lanes::Lane;
use crate::api::metrics::Metrics;
use crate::api::readers::{BadReaders, Readers};
use crate::api::router::router;
use crate::api::settings::Settings;
use crate::api::spool::Spool;
use crate::api::{listener, ops};

/// How often the price file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long what was broken off may take to end.
pub const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a service is made of.
pub struct Start {
    /// `[billing]`
    pub settings: Settings,
    /// The store, as a user who only reads.
    pub client: Client,
    /// The price book.
    pub book: Book,
    /// Where exports stand while they are made, unless the settings say.
    pub spool_dir: PathBuf,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// The service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its readers are wrong.
    #[error(transparent)]
    Readers(#[from] BadReaders),
    /// It has no address.
    #[error("no address to listen on: set `listen` in `[billing]`")]
    NoAddress,
    /// Its port cannot be had.
    #[error("cannot listen on {address}: {error}; stop what uses the port or change `{setting}`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Which setting says so.
        setting: &'static str,
        /// Why not.
        error: std::io::Error,
    },
    /// Exports have no place.
    #[error("exports cannot be made in {}: {error}; set `billing.spool_dir` to a folder that can be written", path.display())]
    Spool {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

/// What answers share.
pub struct Service {
    pub(super) settings: Settings,
    pub(super) client: Client,
    pub(super) book: Book,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) queries: Lane,
    pub(super) exports: Lane,
    pub(super) downloads: Arc<Semaphore>,
    pub(super) spool: Spool,
    pub(super) metrics: Metrics,
    pub(super) tasks: TaskTracker,
    /// Cancelled when running answers are no longer waited for.
    pub(super) hurry: CancellationToken,
    stop: CancellationToken,
    readers: ArcSwap<Readers>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// A service without doors.
    ///
    /// # Errors
    /// Where its readers are wrong, or exports have no place.
    pub fn new(start: Start) -> Result<Arc<Self>, StartError> {
        let settings = start.settings;
        let readers = Readers::of(&settings)?;
        let path = settings.spool_dir.clone().unwrap_or(start.spool_dir);
        let spool = Spool::open(&path).map_err(|error| StartError::Spool { path, error })?;
        Ok(Arc::new(Self {
            queries: Lane::new(settings.queries_at_once, &settings),
            exports: Lane::new(settings.exports_at_once, &settings),
            downloads: Arc::new(Semaphore::new(settings.downloads_at_once)),
            client: start.client,
            book: start.book,
            clock: start.clock,
            spool,
            metrics: Metrics::default(),
            tasks: TaskTracker::new(),
            hurry: CancellationToken::new(),
            stop: CancellationToken::new(),
            readers: ArcSwap::from_pointee(readers),
            settings,
        }))
    }

    /// The readers in force.
    pub(super) fn readers(&self) -> Arc<Readers> {
        self.readers.load_full()
    }

    /// Takes other readers; other settings need a new start.
    ///
    /// # Errors
    /// Where they are wrong: the old ones stay.
    pub fn take_readers(&self, settings: &Settings) -> Result<(), BadReaders> {
        let readers = Readers::of(settings);
        self.metrics.reloaded("readers", readers.is_ok());
        self.readers.store(Arc::new(readers?));
        Ok(())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Looks for a new price book until the stop.
    async fn watch_book(self: Arc<Self>) {
        let Some((file, in_force)) = self.book.to_watch() else {
            return;
        };
        let changed = || {
            let taken = self.book.reload();
            self.metrics.reloaded("prices", taken.is_ok());
            match taken {
                Ok(()) => {
                    let version = self.book.current().version().to_owned();
                    tracing::info!(file = %file.display(), version, "new price book in force");
                }
                Err(error) => tracing::error!(%error, "new price book refused, the old one stays"),
            }
        };
        let (path, seen, stop) = (file.to_owned(), in_force.to_owned(), self.stop.clone());
        runtime::config::watch(path, seen, LOOK_EVERY, stop, changed).await;
    }
}

/// A service with its doors open.
pub struct Running {
    service: Arc<Service>,
    tasks: JoinSet<()>,
    /// The operators' door, open until the very end, to say that the service stops.
    ops: JoinSet<()>,
    registry: Arc<Registry>,
    address: SocketAddr,
    ops_address: Option<SocketAddr>,
}

/// Opens the doors.
///
/// # Errors
/// Where a setting is wrong or a port cannot be had.
pub async fn start(start: Start) -> Result<Running, StartError> {
    let listen = start.settings.listen.ok_or(StartError::NoAddress)?;
    let service = Service::new(start)?;
    let (listener, address) = bind(listen, "billing.listen").await?;
    let mut registry = Registry::default();
    service.metrics.register(&mut registry);
    let registry = Arc::new(registry);
    let (mut tasks, mut ops) = (JoinSet::new(), JoinSet::new());
    let mut ops_address = None;
    if let Some(wanted) = service.settings.ops {
        let (listener, address) = bind(wanted, "billing.ops").await?;
        ops_address = Some(address);
        ops.spawn(ops::serve(listener, service.clone(), registry.clone()));
    }
    tasks.spawn(listener::serve(
        listener,
        router(service.clone()),
        service.clone(),
    ));
    tasks.spawn(service.clone().watch_book());
    Ok(Running {
        service,
        tasks,
        ops,
        registry,
        address,
        ops_address,
    })
}

async fn bind(
    address: SocketAddr,
    setting: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error| StartError::Listen {
        address,
        setting,
        error,
    })
}

impl Service {
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }
}

impl Running {
    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators ask, if they can.
    #[must_use]
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops_address
    }

    /// Its metrics.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    /// The service behind the doors.
    #[must_use]
    pub fn service(&self) -> Arc<Service> {
        self.service.clone()
    }

    /// Takes no more requests, waits for running answers within the bound, and ends.
    pub async fn stop(mut self) {
        self.service.stop.cancel();
        let patience = Duration::from_millis(self.service.settings.stop_timeout_ms);
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, ending).await.is_err() {
            tracing::warn!("answers are still running: they break off");
        }
        self.service.hurry.cancel();
        self.service.tasks.close();
        let last = async {
            while self.tasks.join_next().await.is_some() {}
            self.service.tasks.wait().await;
            while self.ops.join_next().await.is_some() {}
        };
        if tokio::time::timeout(LAST_WORDS, last).await.is_err() {
            tracing::warn!("a part of the API did not end in time: it is broken off");
            self.tasks.shutdown().await;
            self.ops.shutdown().await;
        }
    }
}
