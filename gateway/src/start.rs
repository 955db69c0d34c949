//! Puts the gateway together, starts it, reloads it and stops it in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use journal::cursor::Cursor;
use journal::{FileLayer, Journal};
use prometheus_client::registry::Registry;
use schemas::name::Text;
use schemas::{Boot, Clock, ProducerState, fs_names};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backends::{self, Backends};
use crate::config::{Config, Settings};
use crate::estimate::Estimator;
use crate::gate::Gate;
use crate::labels::Pseudonyms;
use crate::ledger::Ledger;
use crate::listener::Stops;
use crate::metrics::{Metrics, register_spans};
use crate::ops::Ops;
use crate::producer::NoName;
use crate::publish::{self, Publisher, Publishing};
use crate::recovery::{RecoveryError, close_orphans};
use crate::replay::Room;
use crate::snapshot::{BadConfig, Snapshot};
use crate::strangers::Strangers;
use crate::trace::Tracer;
use crate::upstream::Upstream;
use crate::{listener, ops, producer, pulse};

/// Counting threads at once.
const ESTIMATORS: usize = 2;
/// Waiting connections that the kernel keeps.
const BACKLOG: i32 = 4_096;
/// What the kernel keeps of an answer, beyond what is on its way to the app. It would be megabytes.
const UNSENT_BYTES: u32 = 128 << 10;
/// How long a stop waits for Kafka to have everything.
const DRAIN_PUBLISHER: Duration = Duration::from_secs(20);
/// How long after the end of `stop_timeout_ms` forced work may take to write its records, and then the disk to take them.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a start needs.
pub struct Start {
    /// The gateway's part of the configuration.
    pub config: Config,
    /// The text of the configuration file, for its digest.
    pub config_text: String,
    /// Where everything lies.
    pub data_dir: PathBuf,
    /// The journal's settings; its directory lies in `data_dir`.
    pub journal: journal::Options,
    /// The disk, or a test's idea of one.
    pub layer: Arc<dyn FileLayer>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Traces requests, where that is asked.
    pub tracer: Option<Tracer>,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration does not hold together.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// A port cannot be had.
    #[error("cannot listen on {address}: {error}; stop what uses the port or change `{setting}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Its setting.
        setting: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// What the last start left open could not be closed.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The producer's identity cannot be kept.
    #[error(transparent)]
    Identity(#[from] NoName),
    /// The publisher cannot be made.
    #[error(transparent)]
    Publisher(#[from] publish::NoPublisher),
    /// The client for providers cannot be made.
    #[error(
        "cannot set up TLS for calls to providers: {0}; does this system have root certificates?"
    )]
    Client(String),
}

/// A gateway whose journal is open, not yet serving. The log can be read from here on.
pub struct Prepared {
    gate: Arc<Gate>,
    settled: Cursor,
    publisher: Option<Publisher>,
    app: TcpListener,
    ops: TcpListener,
    /// How many requests of earlier starts were closed as unknown.
    pub orphans: usize,
}

/// A serving gateway.
pub struct Running {
    gate: Arc<Gate>,
    ops: Arc<Ops>,
    settings: Settings,
    app_address: SocketAddr,
    ops_address: SocketAddr,
    stops: Stops,
    stop_ops: CancellationToken,
    services: JoinSet<()>,
    publishing: Option<Publishing>,
}

/// Opens the doors and the journal, and closes what the last start left open.
pub async fn prepare(mut start: Start, registry: &mut Registry) -> Result<Prepared, StartError> {
    let snapshot = Snapshot::compile(&start.config, &start.config_text)?;
    let settings = snapshot.settings.clone();
    let app = listen(settings.listen, "gateway.listen")?;
    let ops = listen(settings.ops_listen, "gateway.ops_listen")?;
    let metrics = Arc::new(Metrics::new(registry));
    metrics.runs_in(settings.region.as_deref());
    if let Some(tracer) = &start.tracer {
        register_spans(registry, tracer.counts());
    }
    let producer = producer::name(&start.data_dir, &start.journal.dir, &start.layer)?;
    let (journal, recovery) = Journal::open(start.journal.clone(), start.layer.clone())?;
    report(&recovery);
    let boot = Boot {
        counter: recovery.boot.counter,
        nonce: recovery.boot.nonce,
    };
    let ledger = Arc::new(Ledger::new(journal, producer, boot, metrics.clone()));
    if boot.counter == 1 {
        let registered = ledger.live(ProducerState::Registered, start.clock.now());
        registered.map_err(RecoveryError::from)?;
    }
    let kafka = start.config.kafka.take();
    let publisher = kafka
        .map(|kafka| publisher(kafka, &start, &ledger, registry))
        .transpose()?;
    let settled = Cursor::new(start.data_dir.join(fs_names::SETTLED_CURSOR), start.layer);
    let orphans = close_orphans(&ledger, start.clock.as_ref(), &settled)?;
    metrics.orphans.inc_by(orphans as u64);
    let unkept = metrics.unkept_forms.clone();
    let waiting_refusals = metrics.waiting_refusals.clone();
    let upstream = Upstream::new(connect_timeout(&settings), metrics.clone());
    let gate = Gate {
        ledger,
        clock: start.clock,
        metrics,
        estimator: Estimator::new(ESTIMATORS),
        pseudonyms: Pseudonyms::new(
            start
                .data_dir
                .join(fs_names::SECRETS_DIR)
                .join("pseudonyms"),
        ),
        bodies: Arc::new(Semaphore::new(settings.max_bodies_mib << 10)),
        replays: Room::new(start.data_dir, settings.max_replay_mib, unkept),
        drains: Arc::new(Semaphore::new(settings.drain.at_once)),
        tasks: TaskTracker::new(),
        hurry: CancellationToken::new(),
        runtime: tokio::runtime::Handle::current(),
        upstream: upstream.map_err(StartError::Client)?,
        strangers: Strangers::new(waiting_refusals),
        backends: Backends::default(),
        tracer: start.tracer,
        replicas: publisher.as_ref().map(Publisher::replicas),
        snapshot: ArcSwap::from_pointee(snapshot),
    };
    Ok(Prepared {
        gate: Arc::new(gate),
        settled,
        publisher,
        app,
        ops,
        orphans,
    })
}

/// Publishes this gateway's journal, from where it was published before.
fn publisher(
    kafka: publish::Kafka,
    start: &Start,
    ledger: &Ledger,
    registry: &mut Registry,
) -> Result<Publisher, publish::NoPublisher> {
    let metrics = publish::Metrics::default();
    metrics.register(registry);
    let path = start.data_dir.join(fs_names::PUBLISHER_CURSOR);
    Publisher::new(publish::Start {
        kafka,
        journal: ledger.journal().clone(),
        producer: ledger.producer().clone(),
        cursor: Cursor::new(path, start.layer.clone()),
        metrics,
    })
}

/// A connection takes no longer than the whole wait for a first byte: who had none was never asked.
fn connect_timeout(settings: &Settings) -> Duration {
    let shortest = settings
        .connect_timeout_ms
        .min(settings.first_byte_timeout_ms);
    Duration::from_millis(shortest)
}

fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    let bind = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // What is accepted has it too: an app that reads slowly holds no more of the kernel's memory.
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error| StartError::Listen {
        address,
        setting,
        error,
    })
}

fn report(recovery: &journal::Recovery) {
    for alarm in &recovery.alarms {
        tracing::error!(?alarm, "journal alarm");
    }
    for damage in &recovery.damage {
        tracing::error!(?damage, "journal damage: quarantined");
    }
    if let Some(torn) = &recovery.torn_tail {
        tracing::warn!(?torn, "the journal's torn tail was cut");
    }
}

impl Prepared {
    /// The journal, for a consumer in the same process.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.gate.ledger.journal().clone()
    }

    /// From the beginning on, these say what the store has of what is published.
    pub fn confirm_by(&self, readers: Arc<dyn publish::Readers>) {
        if let Some(publisher) = &self.publisher {
            publisher.confirm_by(readers);
        }
    }

    /// The producer's lasting identity.
    #[must_use]
    pub fn producer(&self) -> Text {
        self.gate.ledger.producer().clone()
    }

    /// Begins to serve. `registry` holds the metrics of the whole process.
    #[must_use]
    pub fn serve(self, registry: Arc<Registry>) -> Running {
        let settings = self.gate.snapshot.load().settings.clone();
        let stop_ops = CancellationToken::new();
        let stops = Stops {
            leaving: CancellationToken::new(),
            stop: CancellationToken::new(),
            hurry: self.gate.hurry.clone(),
        };
        let ops = Arc::new(Ops {
            ready: AtomicBool::new(true),
            registries: parking_lot::RwLock::new(vec![registry]),
            gate: self.gate.clone(),
            gaps: parking_lot::RwLock::default(),
        });
        let mut services = JoinSet::new();
        self.gate.say(ProducerState::Live);
        let address = |listener: &TcpListener, wanted| listener.local_addr().unwrap_or(wanted);
        let app_address = address(&self.app, settings.listen);
        let ops_address = address(&self.ops, settings.ops_listen);
        services.spawn(listener::serve(
            self.app,
            self.gate.clone(),
            settings.clone(),
            stops.clone(),
        ));
        services.spawn(ops::serve(self.ops, ops.clone(), stop_ops.clone()));
        services.spawn(backends::watch(self.gate.clone(), stop_ops.clone()));
        services.spawn(pulse::beat(
            self.gate.clone(),
            self.settled,
            stop_ops.clone(),
        ));
        Running {
            app_address,
            ops_address,
            gate: self.gate,
            ops,
            settings,
            stops,
            stop_ops,
            services,
            publishing: self.publisher.map(Publisher::begin),
        }
    }
}

impl Running {
    /// Where apps call.
    #[must_use]
    pub fn app_address(&self) -> SocketAddr {
        self.app_address
    }

    /// Where `/metrics` is.
    #[must_use]
    pub fn ops_address(&self) -> SocketAddr {
        self.ops_address
    }

    /// Takes a new configuration, or refuses it while the old one serves on. Doors and pools keep the
    /// settings of the start.
    pub fn reload(&self, config: &Config, text: &str) -> Result<(), BadConfig> {
        let snapshot = Snapshot::compile(config, text)?;
        self.gate.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Every admission below this position of the journal is closed.
    #[must_use]
    pub fn settled_below(&self) -> u64 {
        self.gate.ledger.settled_below()
    }

    /// Everything in the journal below this position is in Kafka; nothing where it is not published.
    #[must_use]
    pub fn acked(&self) -> Option<u64> {
        self.gate.replicas.as_ref().map(publish::Replicas::acked)
    }

    /// Everything in the journal below this position is in the store, as far as those who read Kafka have said so.
    #[must_use]
    pub fn confirmed(&self) -> Option<u64> {
        self.gate
            .replicas
            .as_ref()
            .map(publish::Replicas::confirmed)
    }

    /// Shows the metrics of another part of the process.
    pub fn show_metrics(&self, registry: Arc<Registry>) {
        self.ops.registries.write().push(registry);
    }

    /// Shows what another part of the process says of missing records.
    pub fn show_gaps(&self, page: ops::Page) {
        *self.ops.gaps.write() = Some(page);
    }

    /// Counts a configuration that was refused, whether it could not be read or not be used.
    pub fn count_refused_reload(&self) {
        self.gate.metrics.refused_reloads.inc();
    }

    /// Stops in order: unready, no new connections, running answers and drains to their end within the
    /// bound, the last records synced.
    pub async fn stop(mut self) {
        self.ops.ready.store(false, Ordering::Release);
        self.gate.say(ProducerState::Draining);
        self.stops.leaving.cancel();
        tokio::time::sleep(Duration::from_millis(self.settings.unready_ms)).await;
        self.stops.stop.cancel();
        self.gate.tasks.close();
        let bound = Duration::from_millis(self.settings.stop_timeout_ms);
        if tokio::time::timeout(bound, self.gate.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("requests still run: they are cut and recorded");
            self.gate.hurry.cancel();
            if tokio::time::timeout(LAST_WORDS, self.gate.tasks.wait())
                .await
                .is_err()
            {
                tracing::error!("requests did not end; the next start closes them as unknown");
            }
        }
        // Once before the last sign of life, which names the last number, and once after everybody who folds has ended.
        self.gate.write_last_strangers();
        self.stop_ops.cancel();
        let ending = async { while self.services.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, ending).await.is_err() {
            tracing::warn!("a part of the gateway did not end in time: it is broken off");
            self.services.shutdown().await;
        }
        self.gate.write_last_strangers();
        self.gate.ledger.settle_rest(LAST_WORDS).await;
        // The disk may have come back meanwhile.
        self.gate.write_last_strangers();
        self.gate.give_up_strangers();
        // Who did not end may still write a number after the last one that is named here: then the next start names it.
        if self.gate.tasks.is_empty() {
            self.gate.say(ProducerState::Closed);
        }
        if let Err(error) = self.gate.ledger.journal().sync_now().await {
            tracing::error!(%error, "the journal could not be synced");
        }
        if let Some(publishing) = self.publishing {
            publishing.drain(DRAIN_PUBLISHER).await;
        }
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
