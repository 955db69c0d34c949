//! The billing API, in a process of its own or beside a gateway: with a runtime of its own there, so that a report is not
//! made by the threads that serve apps.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use billing::api::{Book, Running, Service, Start, StartError};
use prometheus_client::registry::Registry;
use runtime::config::Loaded;
use schemas::fs_names;
use store::Client;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::cli::Usage;
use crate::config::Config;
use crate::up::{SystemClock, at_line};

/// How often the configuration file is looked at.
const RELOAD_EVERY: Duration = Duration::from_millis(500);
/// Where exports stand while they are made, in what is true only while something runs.
const SPOOL_DIR: &str = "exports";

/// Opens the doors of the configuration's API.
pub async fn start(loaded: &Loaded<Config>, client: Client) -> anyhow::Result<Running> {
    let config = &loaded.value;
    let book = Book::open(config.prices.as_deref()).map_err(|error| Usage(error.to_string()))?;
    let start = Start {
        settings: config.billing.clone(),
        client,
        book,
        spool_dir: config.data_dir.join(fs_names::RUN_DIR).join(SPOOL_DIR),
        clock: Arc::new(SystemClock),
    };
    let running = billing::api::start(start)
        .await
        .map_err(|error| explain(error, loaded))?;
    let address = running.address();
    if config.billing.readers.is_empty() {
        tracing::warn!("no reader may ask anything: add `[[billing.readers]]`");
    }
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "tokens and figures go unencrypted: put a proxy with TLS before this address");
    }
    tracing::info!(%address, ops = ?running.ops_address(), "answering");
    Ok(running)
}

/// A fault of the file gets its line.
fn explain(error: StartError, loaded: &Loaded<Config>) -> anyhow::Error {
    match error {
        StartError::Readers(bad) => at_readers(bad, loaded).into(),
        StartError::NoAddress => Usage(format!("{}: {error}", loaded.path.display())).into(),
        other => other.into(),
    }
}

fn at_readers(
    bad: billing::api::BadReaders,
    loaded: &Loaded<Config>,
) -> runtime::config::ConfigError {
    let bad = gateway::BadConfig {
        needle: bad.needle,
        message: bad.message,
    };
    at_line(bad, &loaded.path, &loaded.text)
}

/// Takes changed readers from the file until `stop`; everything else of `[billing]` needs a new start.
pub async fn watch_readers(loaded: Loaded<Config>, service: Arc<Service>, stop: CancellationToken) {
    let Loaded { path, text, .. } = loaded;
    let reload = || {
        let taken = Config::load(&path).and_then(|loaded| {
            let taken = service.take_readers(&loaded.value.billing);
            taken.map_err(|bad| at_readers(bad, &loaded))
        });
        match taken {
            Ok(()) => tracing::info!(file = %path.display(), "new readers in force"),
            Err(error) => tracing::error!(%error, "new readers refused, the old ones stay"),
        }
    };
    runtime::config::watch(path.clone(), text, RELOAD_EVERY, stop, reload).await;
}

/// The API on a thread of its own.
pub struct Beside {
    thread: std::thread::JoinHandle<()>,
    stop: CancellationToken,
    registry: Arc<Registry>,
    /// How long a stop takes at the most.
    stop_timeout: Duration,
}

impl Beside {
    /// Opens the doors, if the configuration names some.
    pub async fn start(loaded: &Loaded<Config>, client: Client) -> anyhow::Result<Option<Self>> {
        if loaded.value.billing.listen.is_none() {
            return Ok(None);
        }
        let stop_timeout = Duration::from_millis(loaded.value.billing.stop_timeout_ms);
        let (started, told) = oneshot::channel();
        let (stop, loaded) = (CancellationToken::new(), loaded.clone());
        let until = stop.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tg-billing")
            // An app waits for the gateway in this process, and for a report only whoever asked for it.
            .on_thread_start(runtime::priority::step_behind)
            .enable_all()
            .build()?;
        let serve = async move {
            let running = match start(&loaded, client).await {
                Ok(running) => running,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(running.registry())));
            watch_readers(loaded, running.service(), until).await;
            running.stop().await;
        };
        let thread = std::thread::Builder::new().name("tg-billing".to_owned());
        let thread = thread.spawn(move || runtime.block_on(serve))?;
        let registry = told.await.context("the billing API ended at once")??;
        Ok(Some(Self {
            thread,
            stop,
            registry,
            stop_timeout,
        }))
    }

    /// Its metrics.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    /// Closes the doors, and waits for what is being answered.
    pub async fn stop(self) {
        self.stop.cancel();
        let most = self.stop_timeout + 2 * billing::api::LAST_WORDS;
        let (ended, end) = oneshot::channel();
        let joining = std::thread::spawn(move || ended.send(self.thread.join().is_ok()));
        // Not a task: the end of the process would wait for it. A thread that does not end is left; nothing is recorded by it.
        drop(joining);
        if !matches!(tokio::time::timeout(most, end).await, Ok(Ok(true))) {
            tracing::error!("the billing API did not end in order");
        }
    }
}
