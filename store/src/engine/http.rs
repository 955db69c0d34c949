//! The listener: connections, routes and headers of ClickHouse's HTTP interface. What a query means is in `session`.

use super::ENGINE_VERSION;
use super::refusal::Refusal;
use super::session::{Desk, Served};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 128;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest head, in bytes: settings and statements of people's tools stand in the URL.
const MAX_HEAD_BYTES: usize = 256 << 10;
/// How long requests in flight may go on after the order to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// A pause after the system refused a connection (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` resolves, then lets requests in flight finish within a bound.
pub(super) async fn listen(listener: TcpListener, desk: Arc<Desk>, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let requests = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Some((stream, place)) => {
                let connection = connection(stream, Arc::clone(&desk));
                let watched = graceful.watch(connection);
                requests.spawn(async move {
                    // A client that goes away is no error of ours.
                    drop(watched.await);
                    drop(place);
                });
            }
            None => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    requests.close();
    let quiet = async {
        graceful.shutdown().await;
        requests.wait().await;
    };
    if tokio::time::timeout(STOP_TIMEOUT, quiet).await.is_err() {
        tracing::warn!("some requests were still open when the engine stopped");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some((stream, place))
}

fn connection(
    stream: TcpStream,
    desk: Arc<Desk>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = hyper::service::service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(answer(&desk, request).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}

async fn answer(desk: &Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if let Err(refusal) = desk.gatekeeper().check_host(request.headers()) {
        return refused(&refusal);
    }
    let is_probe = request.method() != Method::POST && request.uri().query().is_none();
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/ping") => plain(StatusCode::OK, "Ok.\n"),
        (&Method::GET | &Method::HEAD, "/") if is_probe => plain(StatusCode::OK, "Ok.\n"),
        (&Method::GET | &Method::POST, "/") => desk
            .serve(request)
            .await
            .map_or_else(|refusal| refused(&refusal), served),
        _ => plain(
            StatusCode::NOT_FOUND,
            "There is no handle; send queries to / and probes to /ping\n",
        ),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
    );
    response
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let mut response = plain(refusal.status, format!("{}\n", refusal.text));
    response.headers_mut().insert(
        "x-clickhouse-exception-code",
        HeaderValue::from(refusal.code),
    );
    if refusal.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"tollgate engine\"");
        response
            .headers_mut()
            .insert(hyper::header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn served(served: Served) -> Response<Full<Bytes>> {
    let Served {
        answer,
        format,
        query_id,
    } = served;
    let summary = format!(
        r#"{{"read_rows":"{}","written_rows":"{}","elapsed_ns":"{:.0}"}}"#,
        answer.rows_read,
        answer.rows_written,
        answer.elapsed_seconds * 1e9
    );
    let mut response = Response::new(Full::new(Bytes::from(answer.bytes)));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(content_type(&format)),
    );
    headers.insert("x-clickhouse-timezone", HeaderValue::from_static("UTC"));
    headers.insert(
        "x-clickhouse-server-display-name",
        HeaderValue::from_static(ENGINE_VERSION),
    );
    for (name, value) in [
        ("x-clickhouse-summary", Some(summary)),
        ("x-clickhouse-format", Some(format)),
        ("x-clickhouse-query-id", query_id),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

fn content_type(format: &str) -> &'static str {
    if format.starts_with("JSON") {
        "application/json; charset=UTF-8"
    } else if format.starts_with("CSV") {
        "text/csv; charset=UTF-8; header=absent"
    } else if format.starts_with("TabSeparated") || format.starts_with("TSV") {
        "text/tab-separated-values; charset=UTF-8"
    } else {
        "application/octet-stream"
    }
}
