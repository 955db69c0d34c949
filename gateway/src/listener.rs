//! The app door: accepts connections, bounds what a request may be, and closes in order.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::framing::Watched;
use crate::gate::Gate;
use crate::paths::Paths;

/// How long connections that were taken before the door closed may still ask.
const LAST_CALLS: Duration = Duration::from_millis(500);
/// Pause after the kernel refuses a connection (descriptors used up).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Well below the four minutes after which balancers drop an idle connection.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// A head above its bound by no more than this is refused with a code and a record; beyond it, it is not read.
const HEAD_SPARE_BYTES: usize = 64 << 10;
const HEADERS_SPARE: usize = 20;
/// For so many the server has room without being told: it is told of more, and makes room for each request then.
const USUAL_HEADERS: usize = 100;

/// The steps of a stop.
#[derive(Clone, Debug)]
pub struct Stops {
    /// Each answer asks its app to come by another connection, so that none waits idle when the door closes.
    pub leaving: CancellationToken,
    /// The door closes; what runs goes on.
    pub stop: CancellationToken,
    /// What runs is cut.
    pub hurry: CancellationToken,
}

/// Serves until it is stopped; then waits for running answers until it is told to hurry.
pub async fn serve(listener: TcpListener, gate: Arc<Gate>, settings: Settings, stops: Stops) {
    let Stops { stop, hurry, .. } = stops.clone();
    // Whoever waits for the requests waits for those too that are let in while the door closes.
    let _door = gate.tasks.token();
    let paths = Arc::new(Paths::new(gate.clone()));
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let builder = connection_builder(&settings);
    let stalled_after = Duration::from_millis(settings.total_timeout_ms);
    let begin = |(stream, peer, place): Accepted| {
        let (paths, leaving) = (paths.clone(), stops.leaving.clone());
        let (stream, heads) = Watched::new(stream);
        let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
            let mut request: Request = request.map(axum::body::Body::new);
            if let Some(fault) = heads.take(request.headers()) {
                request.extensions_mut().insert(fault);
            }
            let paths = paths.clone();
            let answer = begun(async move { paths.answer(peer, request).await });
            last_of_its_connection(answer, leaving.clone())
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        let (gate, hurry) = (gate.clone(), hurry.clone());
        gate.clone().tasks.spawn(async move {
            gate.metrics.connections.inc();
            tokio::select! {
                // How a connection ends concerns its peer; requests record their own ends.
                _ended = connection => {}
                () = hurry.cancelled() => {}
            }
            gate.metrics.connections.dec();
            drop(place);
        });
    };
    while let Some(accepted) = accept(&listener, &places, stalled_after, &stop).await {
        begin(accepted);
    }
    // Who was let in by the kernel before the door closed is served: refused is only who comes later.
    if let Ok(closing) = listener.into_std() {
        while let Some(accepted) = accept_waiting(&closing, &places, stalled_after) {
            begin(accepted);
        }
    }
    // A connection that has not asked yet would be closed at once, and its app may be about to ask.
    tokio::select! {
        () = all_asked(&graceful) => {}
        () = hurry.cancelled() => {}
    }
    tokio::select! {
        () = graceful.shutdown() => {}
        () = hurry.cancelled() => {}
    }
}

/// Waits until no connection is left, or a little: each answer was asked to be the last of its connection by now.
async fn all_asked(graceful: &GracefulShutdown) {
    let mut tick = tokio::time::interval(LAST_CALLS / 25);
    let empty = async {
        while graceful.count() > 0 {
            tick.tick().await;
        }
    };
    // What is still there is idle, or still answers: both are seen to by the shutdown.
    drop(tokio::time::timeout(LAST_CALLS, empty).await);
}

/// While the gateway leaves, an answer is the last of its connection.
async fn last_of_its_connection(
    answer: impl Future<Output = Response>,
    leaving: CancellationToken,
) -> Result<Response, Infallible> {
    let mut response = answer.await;
    if leaving.is_cancelled() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

/// Begins a request when it has come. The connection would begin it after its next look at the socket, and an app that
/// has hung up by then would leave no record.
fn begun<F: Future>(request: F) -> impl Future<Output = F::Output> {
    let mut request = Box::pin(request);
    // Nobody has to be woken: whoever takes this looks at it at once.
    let first = request
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    async move {
        match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => request.await,
        }
    }
}

fn connection_builder(settings: &Settings) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(settings.head_timeout_ms))
        .max_buf_size(settings.max_head_bytes + HEAD_SPARE_BYTES);
    let headers = settings.max_headers + HEADERS_SPARE;
    if headers > USUAL_HEADERS {
        builder.max_headers(headers);
    }
    builder
}

/// No delay for small writes; and a peer that takes nothing, or is gone, does not hold its request for ever.
fn prepare(stream: &TcpStream, stalled_after: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(stalled_after))?;
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE))
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// A connection that waits to be accepted, if there is one and a place for it.
fn accept_waiting(
    closing: &std::net::TcpListener,
    places: &Arc<Semaphore>,
    stalled_after: Duration,
) -> Option<Accepted> {
    let place = places.clone().try_acquire_owned().ok()?;
    let (stream, peer) = closing.accept().ok()?;
    stream.set_nonblocking(true).ok()?;
    let stream = TcpStream::from_std(stream).ok()?;
    prepare(&stream, stalled_after).ok()?;
    Some((stream, peer, place))
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stalled_after: Duration,
    stop: &CancellationToken,
) -> Option<Accepted> {
    let place = stop
        .run_until_cancelled(places.clone().acquire_owned())
        .await?
        .ok()?;
    loop {
        match stop.run_until_cancelled(listener.accept()).await? {
            Ok((stream, peer)) => {
                if let Err(error) = prepare(&stream, stalled_after) {
                    tracing::debug!(%error, "connection lost at once");
                    continue;
                }
                return Some((stream, peer, place));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
