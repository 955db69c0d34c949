//! Listening, accepting and shutting down. What a request gets is decided in `routes`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::calls::Calls;
use crate::config::Config;
use crate::connection::{Connection, ConnectionFlags};
use crate::control::Control;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::replay::Replays;
use crate::routes::{State, route};
use crate::seen::Seen;
use crate::truth::TruthLog;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;
/// What the kernel keeps of an answer that is not on its way yet.
const UNSENT_BYTES: u32 = 128 << 10;
/// Bytes buffered of a connection, each way.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// A running simulator. Dropping it ends it at once; `shutdown` lets running answers finish.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    state: Arc<State>,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
    grace: Duration,
}

impl Simulator {
    /// Listens and serves on the current tokio runtime; returns as soon as connections are accepted.
    pub fn start(config: Config) -> io::Result<Self> {
        if !config.listen.ip().is_loopback() && !config.allow_remote {
            let message = format!(
                "{} is not loopback; set allow_remote to listen there",
                config.listen
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let control = Control::new(config.settings)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let state = Arc::new(State {
            control,
            truth: TruthLog::open(config.truth_file.as_deref())?,
            keys: Keys::new(config.api_keys),
            limits: Limits::default(),
            seen: Seen::default(),
            replays: Replays::default(),
            calls: Calls::default(),
        });
        let listener = listen(config.listen)?;
        let simulator = Self {
            addr: listener.local_addr()?,
            state,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            grace: Duration::from_millis(config.shutdown_grace_ms),
        };
        simulator.tasks.spawn(simulator.acceptor().run(listener));
        Ok(simulator)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL for clients, `http://…/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The settings, to look at and to change.
    pub fn control(&self) -> Control {
        self.state.control.clone()
    }

    /// What was received and done.
    pub fn truth(&self) -> TruthLog {
        self.state.truth.clone()
    }

    /// The recorded answers, to keep and to queue.
    pub fn replays(&self) -> Replays {
        self.state.replays.clone()
    }

    /// Headers of the last requests, if `seen_requests` is set.
    pub fn seen(&self) -> Vec<crate::SeenRequest> {
        self.state.seen.all()
    }

    /// Stops accepting, waits for running answers up to the grace, then cuts them. Afterwards the truth is complete.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.grace, self.tasks.wait())
            .await
            .is_err()
        {
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor {
            state: Arc::clone(&self.state),
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
            cut: self.cut.clone(),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut.cancel();
    }
}

/// Takes connections in and serves each in a task of its own.
#[derive(Clone)]
struct Acceptor {
    state: Arc<State>,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    self.tasks.spawn(self.clone().serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let flags = Arc::new(ConnectionFlags::default());
        let io = TokioIo::new(Connection::new(stream, Arc::clone(&flags)));
        let service =
            service_fn(move |request| route(Arc::clone(&self.state), Arc::clone(&flags), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(io, service);
        tokio::pin!(connection);
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.cut.cancelled() => return,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = connection.as_mut() => served,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // A simulator that is started again on its port must not wait for old connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // A thousand long answers that nobody reads would fill what the kernel has for connections.
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
