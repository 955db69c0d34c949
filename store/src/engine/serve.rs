//! The life of the engine's process: claim the directory, bind, fence, load, say that it is ready, serve, close in order.

use super::auth::Gatekeeper;
use super::claim::{Claim, claim, write_atomically};
use super::fence::{self, FenceStatus};
use super::host::EngineHost;
use super::http::listen;
use super::parent::{Failed, Greeting, Hello, die, greet, without_input};
use super::session::{Desk, QUERY_THREADS};
use super::{ENGINE_VERSION, PACKAGE_VERSION, library_path};
use crate::running::Endpoint;
use crate::{Credentials, DataDir, SecretsError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long abandoned queries may go on after the order to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Who started the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// A parent that sends the passwords down standard input and whose death is ours.
    ByParent,
    /// A person at a shell: the passwords come from the data directory.
    ByHand,
}

/// How to run the engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The engine's library; where `scripts/engine.sh` installs it if not given.
    pub library: Option<PathBuf>,
    /// Who started it.
    pub started: Started,
    /// The port to listen on, on loopback; 0 takes a free one.
    pub port: u16,
}

/// Why the engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No library, and no word where it is.
    #[error(
        "nothing says where the embedded engine is; set HOME or TOLLGATE_ENGINE_LIBRARY, or run scripts/engine.sh"
    )]
    LibraryUnknown,
    /// The library's file is not there.
    #[error("the embedded engine is missing: there is no {}; run scripts/engine.sh (or `make setup`), or set TOLLGATE_ENGINE_LIBRARY to a libchdb.so of {PACKAGE_VERSION}", path.display())]
    LibraryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is no engine.
    #[error("{} cannot be loaded as the embedded engine ({reason}); remove it and run scripts/engine.sh", path.display())]
    LibraryUnfit {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
    /// Another version than the one we were tested with.
    #[error("{} is engine {found}, this tollgate needs {ENGINE_VERSION} (package {PACKAGE_VERSION}); run scripts/engine.sh", path.display())]
    LibraryVersion {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// Another engine runs there.
    #[error("another engine is running on {}; stop it, or use another data directory", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// A newer tollgate wrote there.
    #[error("{} says that layout {layout}, engine {engine} wrote this data directory, newer than this tollgate (layout {}, engine {ENGINE_VERSION}); use the newer tollgate", path.display(), super::claim::LAYOUT)]
    Newer {
        /// The version file.
        path: PathBuf,
        /// Its layout.
        layout: u32,
        /// Its engine.
        engine: String,
    },
    /// The version file is not readable as one.
    #[error("{} is not a version file of tollgate; restore it from a backup, or use another data directory", path.display())]
    VersionFile {
        /// The version file.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot use {}: {source}; the data directory must be writable by the user who runs tollgate, and not full", path.display())]
    DataDir {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine itself would not open its folder.
    #[error("the engine cannot open {} (its reason is on standard error); check the disk and the folder's owner", path.display())]
    DirectoryRefused {
        /// The engine's folder.
        path: PathBuf,
    },
    /// Folders or passwords could not be made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The port is taken, or loopback is missing.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; free the port, or use port 0")]
    Bind {
        /// The port asked for.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel refused a rule of the fence.
    #[error("the engine's process cannot be fenced in: {0}")]
    Fence(String),
    /// The parent's line could not be read.
    #[error(
        "the engine was started for a parent, but standard input brought no passwords: {0}; start it by `tollgate up`"
    )]
    Parent(std::io::Error),
    /// Threads, signals or timers are missing.
    #[error("the system refuses the engine what it needs: {0}")]
    System(std::io::Error),
    /// Cannot be; says what was.
    #[error("bug in the engine's process: {0}")]
    Bug(String),
}

/// Runs the engine until SIGTERM or SIGINT (or, [`Started::ByParent`], the parent's death).
///
/// All of it happens in a thread of its own, whose descendants the fence holds; the caller's threads do nothing.
pub async fn serve(options: Options) -> Result<(), ServeError> {
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("engine-main".into())
        .spawn(move || drop(done.send(run(&options))))
        .map_err(ServeError::System)?;
    ended
        .await
        .map_err(|_| ServeError::Bug("the engine's main thread panicked".into()))?
}

fn run(options: &Options) -> Result<(), ServeError> {
    let result = run_in_fence(options);
    if let (Err(error), Started::ByParent) = (&result, options.started) {
        let failed = Failed {
            reason: error.to_string(),
            in_use: matches!(error, ServeError::InUse { .. }),
        };
        // The parent may be gone; the error is returned all the same.
        drop(greet(&Greeting::Failed(failed)));
    }
    result
}

fn run_in_fence(options: &Options) -> Result<(), ServeError> {
    let data_dir = DataDir::new(&options.data_dir);
    let (credentials, publish) = match options.started {
        Started::ByParent => {
            let hello = Hello::read().map_err(ServeError::Parent)?;
            let publish = hello.publish;
            (hello.credentials(), publish)
        }
        Started::ByHand => {
            without_input().map_err(ServeError::Parent)?;
            (Credentials::open_or_create(&data_dir)?, true)
        }
    };
    let library = options
        .library
        .clone()
        .or_else(library_path)
        .ok_or(ServeError::LibraryUnknown)?;
    if !library.is_file() {
        return Err(ServeError::LibraryMissing { path: library });
    }
    let claim = claim(&data_dir)?;
    let socket = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)))
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
        .map_err(|source| ServeError::Bind {
            port: options.port,
            source,
        })?;
    if fence::enter(&data_dir, &library)? != FenceStatus::Full {
        tracing::warn!("this kernel cannot fence the engine in fully; see `tollgate doctor`");
    }
    let host = Arc::new(EngineHost::start(&library, &data_dir.engine())?);
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(QUERY_THREADS)
        .thread_name("engine-http")
        .enable_all()
        .build()
        .map_err(ServeError::System)?;
    let ended = threads.block_on(serve_socket(
        socket,
        &host,
        &credentials,
        &data_dir,
        publish,
    ));
    // Long reads, and queries whose client went away, still run in the runtime's threads.
    if host.is_busy() {
        host.cancel_all();
    }
    threads.shutdown_timeout(STOP_TIMEOUT);
    close(&host, claim);
    ended
}

async fn serve_socket(
    socket: std::net::TcpListener,
    host: &Arc<EngineHost>,
    credentials: &Credentials,
    data_dir: &DataDir,
    publish: bool,
) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::System)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::System)?;
    let port = socket.local_addr().map_err(ServeError::System)?.port();
    let listener = TcpListener::from_std(socket).map_err(ServeError::System)?;
    let desk = Arc::new(Desk::new(
        Arc::clone(host),
        Gatekeeper::new(credentials, port),
    ));
    let endpoint = Endpoint {
        url: format!("http://127.0.0.1:{port}"),
        pid: std::process::id(),
        version: ENGINE_VERSION.to_owned(),
        started_us: runtime::clock::now_us(),
    };
    if publish {
        let bytes =
            serde_json::to_vec(&endpoint).map_err(|error| ServeError::Bug(error.to_string()))?;
        write_atomically(&data_dir.endpoint_file(), &bytes)?;
    }
    tracing::info!(url = endpoint.url, version = ENGINE_VERSION, "engine ready");
    greet(&Greeting::Ready(endpoint)).map_err(ServeError::Parent)?;
    // Nobody reads our output from here on: what the library may print goes where logs go.
    rustix::stdio::dup2_stdout(std::io::stderr())
        .map_err(|errno| ServeError::System(errno.into()))?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    listen(listener, desk, stop).await;
    if publish {
        // A stale file is harmless: who reads it asks the engine before trusting it.
        drop(std::fs::remove_file(data_dir.endpoint_file()));
    }
    Ok(())
}

/// Every connection is closed before the process exits, or its exit handlers hang.
fn close(host: &EngineHost, claim: Claim) {
    if host.is_busy() {
        tracing::warn!(
            "a query did not end in time; the engine is killed, which loses nothing that was acknowledged"
        );
        die();
    }
    host.close();
    drop(claim);
}
