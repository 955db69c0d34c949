//! Calls to providers over HTTP/1.1: connections, their pool and their bounds. What is sent, and what becomes of the
//! answer, must not live here.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, Response, Uri};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connect, HttpConnector, capture_connection,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service;

use crate::metrics::{self, Metrics};
use crate::patient::{Hearing, Patient};
use crate::upload::Sent;

/// The most that is read of an answer at once, and the longest head of one, in bytes. Some pieces of this size wait in
/// memory for an app that reads slowly; a thousand of those must fit.
const READ_BYTES: usize = 16 << 10;
/// Well below the minute after which balancers drop an idle connection.
const POOL_IDLE: Duration = Duration::from_secs(55);
const KEEPALIVE: Duration = Duration::from_mins(1);

/// What a provider answers.
pub type Answer = Response<Incoming>;

/// Why there is no answer. Names no host: the text goes into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody took the connection; nothing was sent.
    #[error("the provider could not be reached")]
    Unreachable,
    /// Nobody took the connection in time; nothing was sent.
    #[error("the provider took no connection in time")]
    ConnectTimeout,
    /// The connection broke before the head of an answer.
    #[error("the provider closed the connection")]
    Broken,
    /// No head of an answer came within the limit of whoever waited.
    #[error("the provider did not begin to answer in time")]
    Silent,
}

impl CallError {
    /// Its name for apps and in records.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream_unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Broken => "upstream_reset",
            Self::Silent => "first_byte_timeout",
        }
    }

    /// Whether anything of the request can have reached the provider, which may bill it then.
    #[must_use]
    pub fn may_have_reached(self) -> bool {
        matches!(self, Self::Broken | Self::Silent)
    }

    fn of(error: &hyper_util::client::legacy::Error) -> Self {
        if !error.is_connect() {
            return Self::Broken;
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if cause.is::<NotInTime>() {
                return Self::ConnectTimeout;
            }
            source = cause.source();
        }
        Self::Unreachable
    }
}

/// The client of all providers. Follows no redirect, uses no proxy, sends nothing twice.
#[derive(Clone, Debug)]
pub struct Upstream {
    client: Client<Connector, Sent>,
}

impl Upstream {
    /// A client that waits so long for a connection, TLS included. Fails where TLS cannot be set up.
    pub fn new(connect_timeout: Duration, metrics: Arc<Metrics>) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .try_with_platform_verifier()
            .map_err(|error| error.to_string())?;
        let connector = Connector {
            inner: tls.https_or_http().enable_http1().wrap_connector(tcp),
            timeout: connect_timeout,
            metrics,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .http1_max_buf_size(READ_BYTES)
            .build(connector);
        Ok(Self { client })
    }

    /// Posts a body; ends with the head of the answer.
    pub fn post(&self, url: Uri, headers: HeaderMap, body: Sent) -> (Calling, Line) {
        post(&self.client, url, headers, body)
    }
}

/// The same by any connections.
pub(crate) fn post<C>(
    client: &Client<C, Sent>,
    url: Uri,
    headers: HeaderMap,
    body: Sent,
) -> (Calling, Line)
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url;
    *request.headers_mut() = headers;
    let line = Line(capture_connection(&mut request));
    let mut calling = client.request(request);
    let (own, mut is_learned) = (line.clone(), false);
    let answer = poll_fn(move |cx| {
        let called = Pin::new(&mut calling).poll(cx);
        // A request that could not begin on an old connection is on another one by its end.
        if !is_learned || called.is_ready() {
            is_learned = own.learn();
        }
        called.map_err(|error| CallError::of(&error))
    });
    (Box::pin(answer), line)
}

/// A call that has not been answered yet.
pub type Calling = BoxFuture<'static, Result<Answer, CallError>>;

/// The connection that a call has, or had.
#[derive(Clone, Debug)]
pub struct Line(CaptureConnection);

impl Line {
    /// Whether not all that was written for the call got to the other side.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        Hearing::of(&self.0).is_some_and(|hearing| hearing.is_deaf())
    }

    /// Tells the connection which one of the pool it is; `false` while there is none.
    fn learn(&self) -> bool {
        let hearing = Hearing::of(&self.0);
        hearing.inspect(|hearing| hearing.learn(&self.0)).is_some()
    }
}

type BoxError = Box<dyn Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// No connection came in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
struct NotInTime;

/// Connects within a time.
#[derive(Clone, Debug)]
struct Connector {
    inner: HttpsConnector<HttpConnector>,
    timeout: Duration,
    metrics: Arc<Metrics>,
}

impl Service<Uri> for Connector {
    type Response = Patient<Stream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Patient<Stream>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.timeout, self.inner.call(url));
        let (metrics, started) = (self.metrics.clone(), Instant::now());
        Box::pin(async move {
            let connected = connecting.await;
            let result = match &connected {
                Ok(Ok(_)) => metrics::Connect::Connected,
                Ok(Err(_)) => metrics::Connect::Failed,
                Err(_) => metrics::Connect::Timeout,
            };
            let us = i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
            metrics.observe_connect(result, us);
            Ok(Patient::new(connected.map_err(|_| NotInTime)??))
        })
    }
}
