//! Connections to providers that wait for their next call, and how a call is made on one.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderValue, Request, Uri, header};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::{Instant, MissedTickBehavior};

use super::answer::{AnswerBody, Held};
use super::sending::Sending;
use super::wire::{BadAnswer, Wire};
use super::{Answer, CallError};
use crate::patient::WayOut;
use crate::upload::Sent;

/// Well below the minute after which balancers drop an idle connection.
const IDLE: Duration = Duration::from_secs(55);
/// What is left of a request when its answer is whole is written for so long.
const MOST_REST: Duration = Duration::from_mins(1);
/// How often those are looked for that waited too long, or were closed meanwhile.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// What a connection leads to.
pub(crate) type Key = (Scheme, Authority);

/// Makes connections.
pub(crate) trait Connect: Send + Sync {
    /// Connects to where an address is, within a time.
    fn connect(&self, to: Uri) -> BoxFuture<'static, Result<Wire, CallError>>;
}

/// What is known of the connection of a call, as long as it has one.
pub(super) type Told = Mutex<Option<Arc<WayOut>>>;

struct Idle {
    wire: Box<Wire>,
    since: Instant,
}

/// The connections that wait. The one that came last is taken first, so that those that are too many grow old.
pub(crate) struct Pool {
    connect: Box<dyn Connect>,
    idle: Mutex<FxHashMap<Key, Vec<Idle>>>,
    is_swept: AtomicBool,
    /// What is left of a request when its answer is whole is written for so long.
    most_rest: Duration,
    runtime: OnceLock<Handle>,
}

impl Pool {
    pub(crate) fn new(connect: impl Connect + 'static) -> Arc<Self> {
        Self::writing_for(connect, MOST_REST)
    }

    /// One that does not write what is left of a request for as long as others.
    pub(super) fn writing_for(connect: impl Connect + 'static, most_rest: Duration) -> Arc<Self> {
        Arc::new(Self {
            connect: Box::new(connect),
            idle: Mutex::default(),
            is_swept: AtomicBool::new(false),
            most_rest,
            runtime: OnceLock::new(),
        })
    }

    /// For how long what is left of a request is written.
    pub(super) fn most_rest(&self) -> Duration {
        self.most_rest
    }

    /// The runtime of the calls: a body may be dropped where there is none.
    pub(super) fn runtime(&self) -> &Handle {
        self.runtime.get_or_init(Handle::current)
    }

    /// Posts a body; ends with the head of the answer.
    pub(super) async fn call(
        self: Arc<Self>,
        mut request: Request<Sent>,
        told: Arc<Told>,
    ) -> Result<Answer, CallError> {
        self.runtime();
        let key = to_origin_form(&mut request)?;
        let mut sending = Sending::new(request);
        loop {
            let waited = unconstrained(poll_fn(|cx| Poll::Ready(self.take(&key, cx)))).await;
            sending.may_go_elsewhere = waited.is_some();
            let mut wire = match waited {
                Some(wire) => wire,
                None => Box::new(self.connect.connect(address_of(&key)?).await?),
            };
            *told.lock() = Some(wire.way_out());
            let begun = poll_fn(|cx| wire.poll_answer(&mut sending, cx)).await;
            match begun {
                Ok(started) => {
                    let pool = self.clone();
                    return Ok(AnswerBody::begin(
                        started,
                        sending,
                        Held { wire, pool, key },
                    ));
                }
                // It was closed before the request was written: another one takes it.
                Err(BadAnswer::Untouched) => *told.lock() = None,
                Err(error) => {
                    tracing::debug!(%error, "a call to a provider");
                    return Err(CallError::Broken);
                }
            }
        }
    }

    /// One that can take a request, if any waits.
    fn take(&self, key: &Key, cx: &mut Context<'_>) -> Option<Box<Wire>> {
        loop {
            let idle = self.idle.lock().get_mut(key)?.pop()?;
            let mut wire = idle.wire;
            if idle.since.elapsed() < IDLE && wire.is_good(cx) {
                return Some(wire);
            }
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.idle.lock().values().map(Vec::len).sum()
    }

    /// Puts one back that can take a request.
    pub(super) fn put(self: Arc<Self>, key: Key, wire: Box<Wire>) {
        let since = Instant::now();
        let idle = Idle { wire, since };
        self.idle.lock().entry(key).or_default().push(idle);
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            let sweeping = sweep(Arc::downgrade(&self));
            self.runtime().spawn(sweeping);
        }
    }

    /// Closes those that waited too long, or were closed by the other side.
    fn sweep_once(&self, now: Instant) {
        let mut idle = self.idle.lock();
        let quiet = &mut Context::from_waker(Waker::noop());
        idle.retain(|_, of_key| {
            of_key.retain_mut(|idle| now < idle.since + IDLE && idle.wire.is_good(quiet));
            !of_key.is_empty()
        });
    }

    /// The same of each, however many they are: a task that has looked at many is told otherwise that none has news.
    async fn sweep_all(&self) {
        unconstrained(async { self.sweep_once(Instant::now()) }).await;
    }
}

async fn sweep(pool: Weak<Pool>) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep_all().await;
    }
}

/// Leaves of the address what a request says of it (RFC 9112, 3.2.1), and names the host in a header. Gives where it leads.
fn to_origin_form(request: &mut Request<Sent>) -> Result<Key, CallError> {
    let parts = std::mem::take(request.uri_mut()).into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err(CallError::Unreachable);
    };
    let path = parts
        .path_and_query
        .unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    if !request.headers().contains_key(header::HOST) {
        let host = host(&scheme, &authority).ok_or(CallError::Unreachable)?;
        request.headers_mut().insert(header::HOST, host);
    }
    Ok((scheme, authority))
}

/// The host, and its port where that is not the scheme's own.
fn host(scheme: &Scheme, authority: &Authority) -> Option<HeaderValue> {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    let text = authority.as_str();
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let text = match authority.port_u16() {
        Some(port) if port == usual => authority.host(),
        _ => text,
    };
    HeaderValue::from_str(text).ok()
}

fn address_of((scheme, authority): &Key) -> Result<Uri, CallError> {
    let address = Uri::builder()
        .scheme(scheme.clone())
        .authority(authority.clone())
        .path_and_query("/");
    address.build().map_err(|_| CallError::Unreachable)
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
