//! `tollgate up`: gateway, consumer and engine on one machine, started, watched and stopped in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use gateway::trace::Tracer;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use runtime::config::{ConfigError, Loaded};
use runtime::shutdown::Shutdown;
use schemas::{Clock, Micros, fs_names, migrations};
use store::User;
use store::supervisor::Supervisor;

use crate::api::Beside;
use crate::config::Config;
use crate::{data_dir, declared, retire, sample, traces};

/// How often the configuration file is looked at.
const RELOAD_EVERY: Duration = Duration::from_millis(500);
/// How long a start waits for the engine before it says so and waits on.
const ENGINE_PATIENCE: Duration = Duration::from_mins(1);
/// The pause after an engine that died while the tables were prepared.
const ENGINE_PAUSE: Duration = Duration::from_millis(250);
/// How long a stop waits for the store to have everything.
const DRAIN_CONSUMER: Duration = Duration::from_secs(20);

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        Micros(runtime::clock::now_us())
    }
}

/// What `tollgate up` was asked to do.
pub struct Up {
    /// The configuration file.
    pub config: PathBuf,
    /// Start the sample's provider and send sample traffic for so long.
    pub sample: Option<Duration>,
    /// The file layer beneath the journal.
    pub layer: Arc<dyn journal::FileLayer>,
}

/// Runs until a signal.
pub fn run(up: Up) -> anyhow::Result<()> {
    let loaded = Config::load(&up.config)?;
    serving(&loaded.value)?.block_on(serve(up, loaded))
}

/// Sets the process up for serving, and makes the threads that serve.
pub(crate) fn serving(config: &Config) -> anyhow::Result<tokio::runtime::Runtime> {
    runtime::secrecy::forbid_core_dumps()
        .context("core dumps, which would hold credentials, cannot be forbidden")?;
    let requests = if config.log.requests { "info" } else { "off" };
    runtime::telemetry::init(config.log.format, &format!("info,request={requests}"));
    runtime::descriptors::raise_for(config.open_files());
    let workers = match config.gateway.workers {
        0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        workers => workers,
    };
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("tg-gateway")
        .on_thread_start(runtime::priority::come_soon)
        .enable_all()
        .build()?)
}

async fn serve(up: Up, loaded: Loaded<Config>) -> anyhow::Result<()> {
    let config = &loaded.value;
    is_of_one_machine(&loaded)?;
    data_dir::make(&config.data_dir)?;
    let simulator = start_simulator(&up, config)?;
    let mut registry = Registry::with_prefix("tollgate");
    let (tracer, spans) = traces::start(&loaded)?.unzip();
    let prepared = gateway::prepare(start(&loaded, up.layer.clone(), tracer), &mut registry)
        .await
        .map_err(|error| explain(error, &loaded))?;
    tell_orphans(prepared.orphans);
    // Before anybody is answered: whoever is told that this serves may ask it to stop in order.
    let shutdown = Shutdown::new();
    // The second signal must be heard while the first one is obeyed: this one is dropped last.
    let mut signals = tokio::task::JoinSet::new();
    signals.spawn(watch_signals(shutdown.clone()));
    let (journal, producer) = (prepared.journal(), prepared.producer());
    let engine = Supervisor::start(config.for_engine()?)?;
    let client = engine.client(User::Reader, store::DATABASE);
    let api = Beside::start(&loaded, client).await?;
    let running = Arc::new(prepared.serve(Arc::new(registry)));
    if let Some(api) = &api {
        running.show_metrics(api.registry());
    }
    tracing::info!(app = %running.app_address(), ops = %running.ops_address(), "serving");

    let mut helpers = tokio::task::JoinSet::new();
    helpers.spawn(watch_config(
        loaded.clone(),
        running.clone(),
        shutdown.clone(),
        is_of_one_machine,
    ));
    let archiver = start_archiver(config, &journal, producer.as_str())?;
    if let Some(archiver) = &archiver {
        running.show_metrics(archiver.registry().clone());
    }
    let consumer = Arc::new(Mutex::new(None));
    helpers.spawn(retire::watch(
        journal.clone(),
        running.clone(),
        safe(consumer.clone(), archiver.clone()),
        config.journal.keep_bytes(),
        shutdown.clone(),
    ));
    helpers.spawn(declared::take_up(
        journal.clone(),
        config.data_dir.clone(),
        shutdown.clone(),
    ));
    let parts = Parts {
        running: &running,
        consumer: &consumer,
        engine: &engine,
        journal: &journal,
    };
    let worked = work(&up, config, &parts, producer.as_str(), &shutdown).await;
    shutdown.ask();
    helpers.shutdown().await;
    let handle = consumer.lock().take();
    // Beside each other: none of them holds up the gateway's last records.
    let (gateway, api) = (stop_gateway(running), stop_api(api));
    tokio::join!(gateway, api, stop_archiver(archiver));
    stop(handle, engine, &journal).await;
    if let Some(spans) = spans {
        spans.stop().await;
    }
    if let Some(simulator) = simulator {
        simulator.shutdown().await;
    }
    worked
}

/// At a start, and at every change of the file: what only `tollgate gateway` or `tollgate consumer` can do is not promised here.
fn is_of_one_machine(loaded: &Loaded<Config>) -> Result<(), ConfigError> {
    let config = &loaded.value;
    let (needle, section, command) = match (&config.log.kafka, &config.store) {
        (Some(_), _) => ("kafka", "`[log] kafka`", "tollgate gateway"),
        (None, Some(_)) => ("[store]", "`[store]`", "tollgate consumer"),
        (None, None) => return Ok(()),
    };
    let message =
        format!("{section} is for `{command}`; remove it to run everything on one machine");
    Err(ConfigError::at(&loaded.path, &loaded.text, needle, message))
}

/// Warns of requests that the last start left open.
pub fn tell_orphans(orphans: usize) {
    if orphans > 0 {
        tracing::warn!(orphans, "requests of an earlier start recorded as unknown");
    }
}

/// What is in the store and was found again there; and in the archive, where there is one.
fn safe(
    consumer: Arc<Mutex<Option<consumer::Handle>>>,
    archiver: Option<Arc<consumer::Handle>>,
) -> impl Fn() -> u64 + Send + Sync {
    move || {
        let verified = consumer
            .lock()
            .as_ref()
            .map_or(0, |handle| handle.status().verified);
        let sealed = archiver
            .as_ref()
            .map_or(verified, |handle| handle.status().committed);
        u64::try_from(sealed.min(verified)).unwrap_or(0)
    }
}

/// Archives the journal, if that is configured.
fn start_archiver(
    config: &Config,
    journal: &journal::Journal,
    producer: &str,
) -> anyhow::Result<Option<Arc<consumer::Handle>>> {
    let Some(settings) = &config.archive else {
        return Ok(None);
    };
    let source = consumer::JournalSource::for_the_archive(journal.clone(), producer);
    let archiving = settings.archiving("journal")?;
    Ok(Some(Arc::new(consumer::spawn_archiver(source, archiving)?)))
}

/// The running parts.
struct Parts<'a> {
    running: &'a Arc<gateway::Running>,
    consumer: &'a Arc<Mutex<Option<consumer::Handle>>>,
    engine: &'a Supervisor,
    journal: &'a journal::Journal,
}

/// Fills the store, shows the sample if asked, and waits for the stop. The gateway serves all the while.
async fn work(
    up: &Up,
    config: &Config,
    parts: &Parts<'_>,
    producer: &str,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let started = start_consumer(config, parts.engine, parts.journal, producer, shutdown).await?;
    let Some(handle) = started else { return Ok(()) };
    parts.running.show_metrics(handle.registry().clone());
    parts.running.show_gaps(handle.gaps_page());
    *parts.consumer.lock() = Some(handle);
    if let Some(duration) = up.sample {
        sample::show(config, duration, parts.running, parts.consumer, shutdown).await?;
    }
    shutdown.asked().await;
    Ok(())
}

/// What the gateway of this configuration needs to start.
pub(crate) fn start(
    loaded: &Loaded<Config>,
    layer: Arc<dyn journal::FileLayer>,
    tracer: Option<Tracer>,
) -> gateway::Start {
    gateway::Start {
        config: loaded.value.for_gateway(),
        config_text: loaded.text.clone(),
        data_dir: loaded.value.data_dir.clone(),
        journal: loaded.value.for_journal(),
        layer,
        clock: Arc::new(SystemClock),
        tracer,
    }
}

/// A fault between parts of the file gets its line.
pub(crate) fn explain(error: gateway::StartError, loaded: &Loaded<Config>) -> anyhow::Error {
    match error {
        gateway::StartError::Config(bad) => at_line(bad, &loaded.path, &loaded.text).into(),
        other => other.into(),
    }
}

/// Where in the file the fault stands.
pub fn at_line(bad: gateway::BadConfig, path: &Path, text: &str) -> ConfigError {
    ConfigError::at(path, text, &bad.needle, bad.message)
}

fn start_simulator(up: &Up, config: &Config) -> anyhow::Result<Option<simulator::Simulator>> {
    if up.sample.is_none() {
        return Ok(None);
    }
    let Some(settings) = &config.simulator else {
        bail!(
            "sample traffic needs `[simulator] listen = …` in {}",
            up.config.display()
        );
    };
    let started = sample::start_simulator(settings.listen).with_context(|| {
        format!("the simulator cannot listen on {}; stop what uses the port or change `simulator.listen`", settings.listen)
    })?;
    Ok(Some(started))
}

/// Asks for the stop when a signal comes.
pub(crate) async fn watch_signals(shutdown: Shutdown) {
    if let Err(error) = shutdown.on_signals().await {
        tracing::error!(%error, "signals cannot be caught");
    }
}

/// Takes a changed file, or refuses it with line and reason while the old one serves. `fits` says what a start would refuse.
pub(crate) async fn watch_config(
    loaded: Loaded<Config>,
    running: Arc<gateway::Running>,
    shutdown: Shutdown,
    fits: fn(&Loaded<Config>) -> Result<(), ConfigError>,
) {
    let Loaded { path, text, .. } = loaded;
    let reload = || {
        let taken = Config::load(&path).and_then(|loaded| {
            fits(&loaded)?;
            running
                .reload(&loaded.value.for_gateway(), &loaded.text)
                .map_err(|bad| at_line(bad, &path, &loaded.text))
        });
        match taken {
            Ok(()) => tracing::info!(file = %path.display(), "new configuration in force"),
            Err(error) => {
                running.count_refused_reload();
                tracing::error!(%error, "new configuration refused, the old one serves on");
            }
        }
    };
    runtime::config::watch(path.clone(), text, RELOAD_EVERY, shutdown.token(), reload).await;
}

/// Waits for the engine, prepares its tables and starts to fill them. `None` if a stop was asked meanwhile.
async fn start_consumer(
    config: &Config,
    engine: &Supervisor,
    journal: &journal::Journal,
    producer: &str,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<consumer::Handle>> {
    let client = engine.client(User::Writer, store::DATABASE);
    while let Some(tried) = shutdown
        .token()
        .run_until_cancelled_owned(prepare_tables(engine, &client))
        .await
    {
        match tried {
            Ok(()) => return Ok(Some(spawn_consumer(config, client, journal, producer)?)),
            Err(error) if error.can_pass() => {
                tracing::warn!(%error, "the store is not there yet; records wait in the journal");
            }
            Err(error) => return Err(error.into()),
        }
        let pause = tokio::time::sleep(ENGINE_PAUSE);
        shutdown.token().run_until_cancelled_owned(pause).await;
    }
    Ok(None)
}

/// Why the tables could not be prepared.
#[derive(Debug, thiserror::Error)]
enum NoTables {
    #[error("the embedded engine did not start: {0}")]
    Engine(#[from] store::supervisor::StartError),
    #[error(transparent)]
    Migrate(#[from] store::migrate::MigrateError),
}

impl NoTables {
    /// Whether the engine died on the way; it is started again.
    fn can_pass(&self) -> bool {
        match self {
            Self::Engine(error) => error.can_pass(),
            Self::Migrate(error) => error.can_pass(),
        }
    }
}

async fn prepare_tables(engine: &Supervisor, client: &store::Client) -> Result<(), NoTables> {
    engine.ready(ENGINE_PATIENCE).await?;
    store::migrate::migrate(client, migrations::ALL.iter().copied()).await?;
    Ok(())
}

fn spawn_consumer(
    config: &Config,
    client: store::Client,
    journal: &journal::Journal,
    producer: &str,
) -> std::io::Result<consumer::Handle> {
    let source = consumer::JournalSource::new(journal.clone(), producer);
    let cursor = config.data_dir.join(fs_names::CONSUMER_CURSOR);
    let mut options = consumer::Options::new(client, cursor);
    config.consumer.choose(&mut options);
    consumer::spawn(source, options)
}

/// Brings the tables up to this version.
pub async fn migrate(client: &store::Client) -> anyhow::Result<store::migrate::Report> {
    let files = migrations::ALL.iter().copied();
    Ok(store::migrate::migrate(client, files).await?)
}

async fn stop_gateway(running: Arc<gateway::Running>) {
    if let Ok(running) = Arc::try_unwrap(running) {
        running.stop().await;
    } else {
        tracing::error!("the gateway is still in use: it is not waited for");
    }
}

async fn stop_api(api: Option<Beside>) {
    if let Some(api) = api {
        api.stop().await;
    }
}

async fn stop_archiver(archiver: Option<Arc<consumer::Handle>>) {
    if let Some(archiver) = archiver {
        archiver.stop();
        archiver.ended().await;
    }
}

/// Stops in order, once the doors are shut: what is in the log goes into the store, then the engine, then the log.
async fn stop(consumer: Option<consumer::Handle>, engine: Supervisor, journal: &journal::Journal) {
    if let Some(consumer) = consumer {
        consumer.drain();
        if tokio::time::timeout(DRAIN_CONSUMER, consumer.ended())
            .await
            .is_err()
        {
            tracing::warn!("the store does not have everything yet; the next start goes on");
            consumer.stop();
            consumer.ended().await;
        }
    }
    engine.stop().await;
    if let Err(error) = journal.close() {
        tracing::error!(%error, "the journal could not be synced");
    }
    tracing::info!("stopped");
}
