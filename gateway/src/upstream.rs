//! Calls to providers over HTTP/1.1: connections, their pool and their bounds. What is sent, and what becomes of the
//! answer, must not live here.

mod answer;
mod decode;
mod head;
pub(crate) mod pool;
mod sending;
pub(crate) mod wire;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, Response, Uri};
use futures_util::future::BoxFuture;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::Instant;
use tower::{Service as _, ServiceExt as _};

use crate::metrics::{self, Metrics};
use crate::patient::Patient;
use crate::upload::Sent;
use pool::{Connect, Pool, Told};
use wire::Wire;

pub use answer::AnswerBody;

/// The most that is read of an answer at once, and the longest head of one, in bytes. Some pieces of this size wait in
/// memory for an app that reads slowly; a thousand of those must fit.
const READ_BYTES: usize = 16 << 10;
const KEEPALIVE: Duration = Duration::from_mins(1);

/// What a provider answers.
pub type Answer = Response<AnswerBody>;

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
}

/// The client of all providers. Follows no redirect, uses no proxy, sends nothing twice.
#[derive(Clone)]
pub struct Upstream(Arc<Pool>);

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
        Ok(Self(Pool::new(connector)))
    }

    /// Posts a body; ends with the head of the answer.
    pub fn post(&self, url: Uri, headers: HeaderMap, body: Sent) -> (Calling, Line) {
        post(&self.0, url, headers, body)
    }
}

/// The same by any connections.
pub(crate) fn post(pool: &Arc<Pool>, url: Uri, headers: HeaderMap, body: Sent) -> (Calling, Line) {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url;
    *request.headers_mut() = headers;
    let line = Line::default();
    let calling = pool.clone().call(request, line.0.clone());
    (Box::pin(calling), line)
}

/// A call that has not been answered yet. Its connection is closed where this is dropped before.
pub type Calling = BoxFuture<'static, Result<Answer, CallError>>;

/// The connection that a call has, or had.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<Told>);

impl Line {
    /// Whether not all that was written for the call got to the other side.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        let told = self.0.lock();
        told.as_ref().is_some_and(|way_out| way_out.is_deaf())
    }

    /// Whether the call never had a connection, so that nothing of it was written.
    #[must_use]
    pub fn never_was(&self) -> bool {
        self.0.lock().is_none()
    }
}

/// Connects within a time.
struct Connector {
    inner: HttpsConnector<HttpConnector>,
    timeout: Duration,
    metrics: Arc<Metrics>,
}

impl Connect for Connector {
    fn connect(&self, to: Uri) -> BoxFuture<'static, Result<Wire, CallError>> {
        let mut inner = self.inner.clone();
        let connecting = async move { inner.ready().await?.call(to).await };
        let connecting = tokio::time::timeout(self.timeout, connecting);
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
            let stream = connected.map_err(|_| CallError::ConnectTimeout)?;
            let stream = stream.map_err(|_: BoxError| CallError::Unreachable)?;
            // One without TLS does not take the room of one with it.
            Ok(match stream {
                MaybeHttpsStream::Http(plain) => Wire::over(Patient::new(plain)),
                MaybeHttpsStream::Https(tls) => Wire::over(Patient::new(tls)),
            })
        })
    }
}

type BoxError = Box<dyn Error + Send + Sync>;
