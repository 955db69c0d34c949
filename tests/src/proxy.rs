//! A proxy in front of a server, to spoil the way to it: cut, stalled or slow, and well again. It knows nothing of what
//! passes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CHUNK_BYTES: usize = 64 << 10;
/// What a chunk waits under [`Weather::Slow`].
const SLOW: Duration = Duration::from_millis(150);

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Fair,
    /// Connections are closed, new ones as soon as they come.
    Cut,
    /// Connections stay and nothing passes.
    Stalled,
    /// Every chunk comes late.
    Slow,
}

/// What happened on the way.
#[derive(Debug, Default)]
struct Counts {
    cut: AtomicU64,
    turned_away: AtomicU64,
    held: AtomicU64,
    late: AtomicU64,
}

/// The proxy. Dropping it closes all of its connections.
#[derive(Debug)]
pub struct Proxy {
    outside: SocketAddr,
    weather: watch::Sender<Weather>,
    counts: Arc<Counts>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// Listens at `outside` for a server that listens, now or later, at `inside`.
    ///
    /// # Panics
    /// If it can not listen.
    pub async fn start(outside: SocketAddr, inside: SocketAddr) -> Self {
        let listener = TcpListener::bind(outside).await.expect("a free address");
        let (weather, seen) = watch::channel(Weather::Fair);
        let counts = Arc::<Counts>::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, inside, seen, counts.clone()));
        Self {
            outside,
            weather,
            counts,
            _serving: serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.outside
    }

    /// Changes how the way is.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections it has cut so far.
    pub fn cut(&self) -> u64 {
        self.counts.cut.load(Ordering::Relaxed)
    }

    /// How many it has turned away so far.
    pub fn turned_away(&self) -> u64 {
        self.counts.turned_away.load(Ordering::Relaxed)
    }

    /// How many chunks it has held back so far.
    pub fn held(&self) -> u64 {
        self.counts.held.load(Ordering::Relaxed)
    }

    /// How many chunks came late so far.
    pub fn late(&self) -> u64 {
        self.counts.late.load(Ordering::Relaxed)
    }
}

async fn serve(
    listener: TcpListener,
    inside: SocketAddr,
    weather: watch::Receiver<Weather>,
    counts: Arc<Counts>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        // Out of handles or the like: whoever connects tries again.
        let Ok((outside, _)) = accepted else { continue };
        connections.spawn(connection(outside, inside, weather.clone(), counts.clone()));
    }
}

async fn connection(
    outside: TcpStream,
    inside: SocketAddr,
    mut weather: watch::Receiver<Weather>,
    counts: Arc<Counts>,
) {
    if *weather.borrow() == Weather::Cut {
        counts.turned_away.fetch_add(1, Ordering::Relaxed);
        return;
    }
    // A server that is away refuses; so does this.
    let Ok(inside) = TcpStream::connect(inside).await else {
        return;
    };
    drop((outside.set_nodelay(true), inside.set_nodelay(true)));
    let (from_app, to_app) = outside.into_split();
    let (from_server, to_server) = inside.into_split();
    let asking = pump(from_app, to_server, weather.clone(), &counts);
    let answering = pump(from_server, to_app, weather.clone(), &counts);
    tokio::select! {
        _ = asking => {}
        _ = answering => {}
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {
            counts.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Hands on what comes, as the weather lets it, until one side ends.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
    counts: &Counts,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let now = *weather.borrow();
        if now == Weather::Slow {
            counts.late.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(SLOW).await;
        } else if now == Weather::Stalled {
            counts.held.fetch_add(1, Ordering::Relaxed);
        }
        let passable = weather.wait_for(|weather| *weather != Weather::Stalled);
        if passable.await.is_err() {
            return Ok(());
        }
        to.write_all(&chunk[..read]).await?;
    }
}
