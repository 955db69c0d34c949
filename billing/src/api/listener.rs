//! The API's door: accepts connections, bounds what a request's head may be, and closes in order.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::api::service::Service;

/// Pause after the kernel refuses a connection (descriptors used up).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Well below the four minutes after which balancers drop an idle connection.
const KEEPALIVE: Duration = Duration::from_mins(1);
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// Below it hyper keeps no buffer.
const LEAST_HEAD_BYTES: usize = 8 << 10;

/// Serves until the stop; then waits for running answers until they are hurried.
pub(super) async fn serve(listener: TcpListener, router: Router, service: Arc<Service>) {
    let (stop, hurry) = (service.stop_token(), service.hurry.clone());
    let places = Arc::new(Semaphore::new(service.settings.max_connections));
    let stalled_after = Duration::from_millis(service.settings.stalled_ms);
    let graceful = GracefulShutdown::new();
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(service.settings.head_timeout_ms))
        .max_buf_size(service.settings.max_head_bytes.max(LEAST_HEAD_BYTES))
        .max_headers(MAX_HEADERS);
    while let Some((stream, place)) = accept(&listener, &places, stalled_after, &stop).await {
        let router = router.clone();
        let answer = hyper::service::service_fn(move |request: hyper::Request<_>| {
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), answer));
        let (metrics, hurry) = (service.metrics.clone(), hurry.clone());
        service.tasks.spawn(async move {
            metrics.connections.inc();
            tokio::select! {
                // How a connection ends concerns its peer.
                _ended = connection => {}
                () = hurry.cancelled() => {}
            }
            metrics.connections.dec();
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = hurry.cancelled() => {}
    }
}

/// A peer that takes nothing, or is gone, does not hold its answer for ever.
fn prepare(stream: &TcpStream, stalled_after: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(stalled_after))?;
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE))
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stalled_after: Duration,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned();
    let place = stop.run_until_cancelled(place).await?.ok()?;
    loop {
        match stop.run_until_cancelled(listener.accept()).await? {
            Ok((stream, _)) if prepare(&stream, stalled_after).is_ok() => {
                return Some((stream, place));
            }
            // Lost at once.
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
