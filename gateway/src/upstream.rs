//! Calls to providers over HTTP/1.1: connections, their pool and their bounds. What is sent, and what becomes of the
//! answer, must not live here.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, Response, Uri};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service;

use crate::metrics::{Connect, Metrics};
use crate::patient::Patient;
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
    pub fn post(
        &self,
        url: Uri,
        headers: HeaderMap,
        body: Sent,
    ) -> BoxFuture<'static, Result<Answer, CallError>> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        let calling = self.client.request(request);
        Box::pin(async move { calling.await.map_err(|error| CallError::of(&error)) })
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
                Ok(Ok(_)) => Connect::Connected,
                Ok(Err(_)) => Connect::Failed,
                Err(_) => Connect::Timeout,
            };
            let us = i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
            metrics.observe_connect(result, us);
            Ok(Patient::new(connected.map_err(|_| NotInTime)??))
        })
    }
}
