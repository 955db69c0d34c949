//! The consumer from outside: a thread of its own with a runtime of its own, and a handle to it. No stage lives here.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::Rank::{BehindServing, Usual};
use crate::archiving::{Archiving, archive_log};
use crate::error::Halt;
use crate::lives::{Board, Report};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::run::run;
use crate::signals::Signals;
use crate::source::Source;
use crate::status::{News, State, Status};

/// The name of the consumer's thread; whoever measures CPU by threads looks for it.
pub const THREAD_NAME: &str = "tg-consumer";

/// How a consumer's work ended.
type Done = Result<(), Halt>;

const PANICKED: &str = "the consumer panicked";

/// A running consumer. Dropping it asks it to stop and does not wait.
#[derive(Debug)]
pub struct Handle {
    signals: Signals,
    abort: CancellationToken,
    status: watch::Receiver<Status>,
    registry: Arc<Registry>,
    board: Board,
    thread: Option<JoinHandle<()>>,
}

/// Whose threads go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    /// Like any other.
    Usual,
    /// Those that serve in this process.
    BehindServing,
}

/// Starts a consumer of `source`, behind those who serve in this process.
pub fn spawn<S: Source>(source: S, options: Options) -> io::Result<Handle> {
    let metrics = Metrics::default();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    spawn_with(source, metrics, registry, BehindServing, storing(options))
}

/// Starts an archiver of `source`, behind those who serve in this process; what its status calls committed is archived.
pub fn spawn_archiver<S: Source>(source: S, archiving: Archiving) -> io::Result<Handle> {
    let metrics = Metrics::default();
    let mut registry = Registry::default();
    archiving.metrics.register(&metrics, &mut registry);
    spawn_with(
        source,
        metrics,
        registry,
        BehindServing,
        into_archive(archiving),
    )
}

/// Starts a consumer of one partition of many, whose metrics somebody else registers.
pub(crate) fn spawn_part<S: Source>(
    source: S,
    options: Options,
    metrics: Metrics,
) -> io::Result<Handle> {
    let registry = Registry::default();
    spawn_with(source, metrics, registry, Usual, storing(options))
}

/// Starts an archiver of one partition of many.
pub(crate) fn spawn_archiver_part<S: Source>(
    source: S,
    archiving: Archiving,
    metrics: Metrics,
) -> io::Result<Handle> {
    let work = into_archive(archiving);
    spawn_with(source, metrics, Registry::default(), Usual, work)
}

fn storing<S: Source>(options: Options) -> impl AsyncFnOnce(&S, News, Signals) -> Done + Send {
    async move |source: &S, news, signals| run(source, options, news, signals).await
}

fn into_archive<S: Source>(
    archiving: Archiving,
) -> impl AsyncFnOnce(&S, News, Signals) -> Done + Send {
    async move |source: &S, news, signals| archive_log(source, archiving, news, signals).await
}

fn spawn_with<S: Source>(
    source: S,
    metrics: Metrics,
    registry: Registry,
    rank: Rank,
    work: impl AsyncFnOnce(&S, News, Signals) -> Done + Send + 'static,
) -> io::Result<Handle> {
    let news = News::new(metrics);
    let (signals, abort, status) = (
        Signals::default(),
        CancellationToken::new(),
        news.subscribe(),
    );
    let board = news.board.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (of_thread, of_abort) = (signals.clone(), abort.clone());
    let thread = std::thread::Builder::new()
        .name(THREAD_NAME.to_owned())
        .spawn(move || {
            if rank == BehindServing {
                runtime::priority::step_behind();
            }
            let consuming = of_abort.run_until_cancelled(work(&source, news.clone(), of_thread));
            let ended = runtime.block_on(consuming);
            news.readable(source.readable_end());
            news.state(state_of(ended, &news));
        })?;
    Ok(Handle {
        signals,
        abort,
        status,
        registry: Arc::new(registry),
        board,
        thread: Some(thread),
    })
}

fn state_of(ended: Option<Result<(), Halt>>, news: &News) -> State {
    match ended {
        None | Some(Ok(()) | Err(Halt::Asked)) => State::Ended,
        Some(Err(halt)) => {
            news.metrics.halt(halt.cause());
            let text = halt.to_string();
            news.alarm(text.clone());
            State::Halted(text)
        }
    }
}

impl Handle {
    /// How it is doing now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Tells of every change.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Its metrics.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Which numbers of producers are missing, and who is silent. Empty where lives stand in another log.
    pub fn producers(&self) -> Report {
        self.board.read()
    }

    /// The same as JSON, for whoever shows it.
    pub fn gaps_page(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let board = self.board.clone();
        Arc::new(move || board.read().json())
    }

    /// Waits until everything before `position` is settled; `false` if the consumer ended before.
    pub async fn settled(&self, position: i64) -> bool {
        self.wait_for(|status| status.settled >= position)
            .await
            .settled
            >= position
    }

    /// Waits until `condition` holds or the consumer has ended; gives the status at that time.
    pub async fn wait_for(&self, mut condition: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.status.clone();
        let over = |status: &Status| matches!(status.state, State::Ended | State::Halted(_));
        let seen = status
            .wait_for(|status| condition(status) || over(status))
            .await
            .map(|status| status.clone());
        // The thread is gone without a word: it panicked.
        seen.unwrap_or_else(|_| Status {
            state: State::Halted(PANICKED.into()),
            ..self.status()
        })
    }

    /// Runs an audit of the store now, and waits until it is done.
    pub async fn audit(&self) -> Status {
        let request = self.signals.audit.ask();
        self.wait_for(|status| status.answered >= request).await
    }

    /// Asks it to write all that can be read by now, ending the batch that waits, and then to end.
    pub fn drain(&self) {
        self.signals.drain.cancel();
    }

    /// Asks it to end after the batch in work, or at once when the store is away.
    pub fn stop(&self) {
        self.signals.stop.cancel();
    }

    /// Ends it where it stands, as a crash would. What was begun is repeated at the next start.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// Waits until it has ended. Ask it first.
    pub async fn ended(&self) -> Status {
        self.wait_for(|_| false).await
    }

    /// Waits for the thread. Blocks; ask it first.
    pub fn join(mut self) -> Status {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            return Status {
                state: State::Halted(PANICKED.into()),
                ..self.status()
            };
        }
        self.status()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.signals.stop.cancel();
    }
}
