//! Running load: one task a connection, a clock for the open loop, a sampler for the watched process.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::{JoinError, JoinSet};

use super::client::{Client, Exchange, Target};
use super::client_log::{ClientLine, ClientLog, Seen};
use super::cpu::{CpuError, CpuReport, Snapshot, Watch};
use super::report::LoadReport;
use super::schedule::{Schedule, Turn};
use super::settings::{LoadRequest, LoadSettings, Pace};
use super::stats::Stats;

/// How often the memory of the watched process is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A setting makes no sense.
    #[error("load setting `{0}`: {1}")]
    Setting(&'static str, String),
    /// The target, the clock or the client's log failed.
    #[error("load: {0}")]
    Io(#[from] io::Error),
    /// The watched process could not be read.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// A connection's task panicked.
    #[error("load: a connection's task failed: {0}")]
    Task(#[from] JoinError),
}

/// What a run gives back.
#[derive(Debug)]
pub struct LoadRun {
    /// The figures.
    pub report: LoadReport,
    /// The client's log, if it was to be kept in memory; warm-up included.
    pub lines: Vec<ClientLine>,
}

type MakeRequest = Arc<dyn Fn(u64) -> LoadRequest + Send + Sync>;

/// A load run that has not begun.
pub struct Load {
    settings: LoadSettings,
    make: MakeRequest,
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Load {
    /// Load whose requests follow the settings.
    pub fn new(settings: LoadSettings) -> Self {
        let template = settings.clone();
        Self {
            settings,
            make: Arc::new(move |index| template.request(index)),
        }
    }

    /// Load whose requests are made by a function of their number.
    #[must_use]
    pub fn with_requests(
        mut self,
        make: impl Fn(u64) -> LoadRequest + Send + Sync + 'static,
    ) -> Self {
        self.make = Arc::new(make);
        self
    }

    /// Runs to the end on the current tokio runtime.
    pub async fn run(self) -> Result<LoadRun, LoadError> {
        check(&self.settings)?;
        let target = Target::resolve(&self.settings.url).await?;
        let log = ClientLog::open(
            self.settings.client_log.as_deref(),
            self.settings.keep_lines,
        )?;
        let schedule = Arc::new(Schedule::new(&self.settings));
        let shared = Arc::new(Shared {
            schedule: Arc::clone(&schedule),
            stats: Mutex::new(Stats::new()),
            log,
            make: self.make,
            timeout: Duration::from_millis(self.settings.timeout_ms),
        });
        let ticker = schedule.start_ticker(self.settings.connections)?;
        let mut workers = JoinSet::new();
        for number in 0..self.settings.connections {
            let delay = self.settings.stagger(number);
            workers.spawn(worker(
                Arc::clone(&shared),
                Client::new(target.clone()),
                delay,
            ));
        }
        let (wire, cpu) = tokio::join!(
            collect(workers),
            watch(self.settings.watch.as_ref(), &schedule, &shared)
        );
        schedule.stop();
        if let Some(ticker) = ticker {
            let joined = tokio::task::spawn_blocking(move || ticker.join()).await?;
            joined.map_err(|_| io::Error::other("the clock's thread panicked"))?;
        }
        let shared = Arc::into_inner(shared)
            .ok_or_else(|| io::Error::other("a connection outlived its run"))?;
        let report = report(&schedule, &shared.stats.into_inner(), wire?, cpu?);
        Ok(LoadRun {
            report,
            lines: shared.log.close()?,
        })
    }
}

/// What all connections share.
struct Shared {
    schedule: Arc<Schedule>,
    /// One for all: histograms are too large to have one a connection.
    stats: Mutex<Stats>,
    log: ClientLog,
    make: MakeRequest,
    timeout: Duration,
}

/// Bytes on the wire of one connection, or of all.
#[derive(Debug, Clone, Copy, Default)]
struct Wire {
    bytes_out: u64,
    bytes_in: u64,
}

fn check(settings: &LoadSettings) -> Result<(), LoadError> {
    if settings.connections == 0 {
        return Err(LoadError::Setting(
            "connections",
            "must be at least 1".to_owned(),
        ));
    }
    match settings.pace {
        Pace::Rate(rate) if !(rate.is_finite() && rate > 0.0) => Err(LoadError::Setting(
            "pace",
            format!("{rate} requests a second is no rate"),
        )),
        _ => Ok(()),
    }
}

async fn worker(shared: Arc<Shared>, mut client: Client, delay: Duration) -> io::Result<Wire> {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    while let Some(turn) = shared.schedule.next().await {
        let request = (shared.make)(turn.index);
        let sent = Instant::now();
        let exchange = exchange(&mut client, &request, shared.timeout).await;
        if turn.counts {
            shared.stats.lock().record(&turn, sent, exchange, &client);
        }
        shared
            .log
            .push(|| line(request, &turn, exchange, &client))?;
    }
    Ok(Wire {
        bytes_out: client.bytes_out,
        bytes_in: client.bytes_in,
    })
}

async fn exchange(client: &mut Client, request: &LoadRequest, timeout: Duration) -> Exchange {
    if let Ok(exchange) = tokio::time::timeout(timeout, client.exchange(request)).await {
        return exchange;
    }
    client.disconnect();
    Exchange {
        status: 0,
        seen: Seen::Timeout,
    }
}

fn line(request: LoadRequest, turn: &Turn, exchange: Exchange, client: &Client) -> ClientLine {
    let observed = &client.observed;
    ClientLine {
        nonce: request.nonce,
        status: exchange.status,
        outcome: exchange.seen,
        prompt_tokens: observed.usage.map(|usage| usage.prompt_tokens),
        completion_tokens: observed.usage.map(|usage| usage.completion_tokens),
        events: observed.events,
        body_bytes: observed.body_bytes,
        latency_us: u64::try_from(turn.due.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}

async fn collect(mut workers: JoinSet<io::Result<Wire>>) -> Result<Wire, LoadError> {
    let mut all = Wire::default();
    while let Some(done) = workers.join_next().await {
        let wire = done??;
        all.bytes_out += wire.bytes_out;
        all.bytes_in += wire.bytes_in;
    }
    Ok(all)
}

/// Looks at the process from the end of the warm-up until no connection is left.
async fn watch(
    watch: Option<&Watch>,
    schedule: &Schedule,
    shared: &Arc<Shared>,
) -> Result<Option<CpuReport>, CpuError> {
    let Some(watch) = watch else { return Ok(None) };
    tokio::time::sleep_until(schedule.counted_from().into()).await;
    let before = watch.snapshot()?;
    let mut peak_kib = before.rss_kib;
    let mut last: Snapshot = before.clone();
    // This function's caller holds the one reference that is not a connection's.
    while Arc::strong_count(shared) > 1 {
        tokio::time::sleep(SAMPLE_EVERY).await;
        last = watch.snapshot()?;
        peak_kib = peak_kib.max(last.rss_kib);
    }
    Ok(Some(watch.report(&before, &last, peak_kib)))
}

fn report(schedule: &Schedule, stats: &Stats, wire: Wire, cpu: Option<CpuReport>) -> LoadReport {
    let window = stats
        .last_end
        .map(|end| end.saturating_duration_since(schedule.counted_from()));
    let mut report = LoadReport::new(stats, window.unwrap_or_default(), schedule.unsent(), cpu);
    report.wire_bytes_out = wire.bytes_out;
    report.wire_bytes_in = wire.bytes_in;
    report
}
