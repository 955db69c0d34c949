//! The operators' door of a process: HTTP/1.1 on a port of its own, whose peers cannot hold anything up. A head that does not come,
//! or an answer that nobody takes, delays no stop.
//!
//! What must not live here: what is answered.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections at once; more wait in the kernel.
const PLACES: usize = 256;
/// How long a head may take to come, and a connection may be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// How long a stop waits for answers.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// Pause after the kernel refuses a connection (descriptors used up).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers until `stop`; then lets what is being answered end, within a bound.
pub async fn serve<A, F, B>(listener: TcpListener, stop: CancellationToken, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let places = Arc::new(Semaphore::new(PLACES));
    let graceful = GracefulShutdown::new();
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE);
    let mut connections = JoinSet::new();
    while let Some((stream, place)) = accept(&listener, &places, &stop).await {
        while connections.try_join_next().is_some() {}
        let service = hyper::service::service_fn(answer.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            // How a connection ends concerns its peer.
            let _ended = connection.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(LAST_ANSWERS, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::debug!("connections of the operators' door are broken off");
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned();
    let place = stop.run_until_cancelled(place).await?.ok()?;
    loop {
        match stop.run_until_cancelled(listener.accept()).await? {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection at the operators' door");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
