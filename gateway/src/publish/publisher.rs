//! The publisher: a thread that reads the journal and sends, and a task that keeps its cursor, its figures and its state.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use journal::Journal;
use journal::cursor::Cursor;
use parking_lot::Mutex;
use schemas::Topic;
use schemas::name::Text;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cursor::{self, CursorError, Generation, Kept};
use super::flight::Flight;
use super::health::{Health, State};
use super::kafka::Heard;
use super::lag::Lag;
use super::metrics::Metrics;
use super::options::{MAX_IN_FLIGHT, Options};
use super::replicas::Replicas;
use super::session::{self, Trouble};
use super::settings::{BadKafka, Kafka};
use super::sink::{Readers, Sink};

/// How often the cursor is stored and the figures are taken.
const KEEP_EVERY: Duration = Duration::from_millis(250);
/// How often the readers of the topic are asked how far they are.
const ASK_READERS_EVERY: Duration = Duration::from_secs(2);

/// What a publisher needs.
pub struct Start {
    /// Where to, and how.
    pub kafka: Kafka,
    /// What is published.
    pub journal: Journal,
    /// Whose it is.
    pub producer: Text,
    /// How far it was published before.
    pub cursor: Cursor,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why there is no publisher.
#[derive(Debug, thiserror::Error)]
pub enum NoPublisher {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] BadKafka),
    /// The cursor.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

/// A publisher that has not begun.
pub struct Publisher {
    shared: Arc<Shared>,
}

/// One that runs. It is waited for; one that is dropped ends as soon as it can.
pub struct Publishing {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    keeper: tokio::task::JoinHandle<()>,
    ended: CancellationToken,
    _stops: DropGuard,
}

/// What thread, task and those who wait share.
pub(crate) struct Shared {
    pub kafka: Kafka,
    pub options: Options,
    pub journal: Journal,
    pub producer: Text,
    pub metrics: Metrics,
    pub health: Arc<Health>,
    pub sink: Arc<Sink>,
    /// Publish what is there, then end.
    pub drain: CancellationToken,
    /// End.
    pub stop_now: CancellationToken,
    cursor: Cursor,
    acked: watch::Sender<u64>,
    kept: Mutex<Kept>,
    flight: Mutex<Arc<Flight>>,
    /// What the connection hears, while there is one.
    heard: Mutex<Option<Arc<Heard>>>,
}

impl Publisher {
    /// Reads the secrets and the cursor. Connects to nothing.
    pub fn new(start: Start) -> Result<Self, NoPublisher> {
        start.kafka.check()?;
        let options = Options::publishing(&start.kafka)?;
        let topic = Topic::Usage.name(&start.kafka.topic_prefix);
        let before = start.kafka.continues.as_ref();
        let before = before.map(|prefix| Topic::Usage.name(prefix));
        let to = Generation {
            topic: &topic,
            before: before.as_deref(),
        };
        let kept = cursor::begin(&start.cursor, &start.journal, to)?;
        let (position, ends) = (kept.mark.position, kept.mark.ends.clone());
        let first = start.journal.stats().first;
        let (acked, _) = watch::channel(position.max(first));
        let flight = new_flight(&start.kafka, &acked, ends);
        Ok(Self {
            shared: Arc::new(Shared {
                kafka: start.kafka,
                options,
                journal: start.journal,
                producer: start.producer,
                metrics: start.metrics,
                health: Arc::default(),
                sink: Arc::default(),
                drain: CancellationToken::new(),
                stop_now: CancellationToken::new(),
                cursor: start.cursor,
                acked,
                kept: Mutex::new(kept),
                flight: Mutex::new(flight),
                heard: Mutex::default(),
            }),
        })
    }

    /// The seam for those who wait for acknowledgement, and for those who look.
    #[must_use]
    pub fn replicas(&self) -> Replicas {
        let patience = Duration::from_millis(self.shared.kafka.ack_timeout_ms);
        Replicas::new(
            self.shared.acked.subscribe(),
            patience,
            self.shared.health.clone(),
            self.shared.sink.clone(),
        )
    }

    /// From the beginning on, these say what the store has.
    pub(crate) fn confirm_by(&self, readers: Arc<dyn Readers>) {
        self.shared.sink.set_readers(readers);
    }

    /// Begins to publish.
    ///
    /// # Panics
    /// If the system has no thread or descriptor left, as starting a runtime would.
    #[must_use]
    pub fn begin(self) -> Publishing {
        let shared = self.shared;
        // Of its own: the one around it may end first, and a wait on that would panic.
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("the system has descriptors left at the start");
        let mine = shared.clone();
        let thread = std::thread::Builder::new()
            .name("tg-publisher".into())
            .spawn(move || publish(&mine, &runtime))
            .expect("the system has a thread left at the start");
        let ended = CancellationToken::new();
        let keeping = keep(shared.clone(), ended.clone());
        let asking = ask_readers(shared.clone(), ended.clone());
        let keeper = Handle::current().spawn(async {
            tokio::join!(keeping, asking);
        });
        let stops = shared.stop_now.clone().drop_guard();
        Publishing {
            shared,
            thread,
            keeper,
            ended,
            _stops: stops,
        }
    }
}

impl Publishing {
    /// Publishes what the journal still has, no longer than `at_most`, and ends. Says whether Kafka has everything.
    pub async fn drain(self, at_most: Duration) -> bool {
        self.shared.drain.cancel();
        let thread = self.thread;
        let mut joining = tokio::task::spawn_blocking(move || thread.join().is_ok());
        if tokio::time::timeout(at_most, &mut joining).await.is_err() {
            self.shared.stop_now.cancel();
            drop(joining.await);
        }
        self.ended.cancel();
        drop(self.keeper.await);
        let is_whole = self.shared.acked() >= self.shared.journal.synced_end();
        if !is_whole {
            tracing::warn!("Kafka does not have everything yet; the next start goes on");
        }
        is_whole
    }
}

/// Session after session, until the stop.
fn publish(shared: &Shared, runtime: &Runtime) {
    while !shared.stop_now.is_cancelled() {
        // A bug in publishing must not end it unseen: it is a trouble like others.
        let session = std::panic::AssertUnwindSafe(|| session::run(shared, runtime));
        let ended = std::panic::catch_unwind(session).unwrap_or(Err(Trouble::Panic));
        let Err(trouble) = ended else {
            return;
        };
        shared.link_is_down();
        shared.metrics.troubles.inc();
        shared.health.set(State::Waiting(trouble.to_string()));
        runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(trouble.pause()) => {}
                () = shared.stop_now.cancelled() => {}
            }
        });
    }
}

/// Keeps the cursor, the figures and the state, and once more at the end.
async fn keep(shared: Arc<Shared>, ended: CancellationToken) {
    let started = tokio::time::Instant::now();
    let mut lag = Lag::default();
    loop {
        let going_on = ended
            .run_until_cancelled(tokio::time::sleep(KEEP_EVERY))
            .await
            .is_some();
        shared.show(&mut lag, started.elapsed());
        let keeping = {
            let shared = shared.clone();
            move || shared.keep_mark()
        };
        if !matches!(tokio::task::spawn_blocking(keeping).await, Ok(Ok(()))) {
            tracing::warn!(
                "the publisher's cursor was not stored; the next start publishes more again"
            );
        }
        if !going_on {
            return;
        }
    }
}

/// Asks the readers of the topic how far they are, now and then.
async fn ask_readers(shared: Arc<Shared>, ended: CancellationToken) {
    let Some(readers) = shared.sink.readers().cloned() else {
        return;
    };
    loop {
        let pause = tokio::time::sleep(ASK_READERS_EVERY);
        if ended.run_until_cancelled(pause).await.is_none() {
            return;
        }
        // Before they are asked: what they say is then of no earlier time.
        shared.checkpoint();
        let readers = readers.clone();
        let asking = tokio::task::spawn_blocking(move || readers.progress());
        let Some(asked) = ended.run_until_cancelled(asking).await else {
            return;
        };
        let progress = asked.unwrap_or_else(|_| Err("asking panicked: this is a bug".to_owned()));
        if let Some(news) = shared.sink.take(progress) {
            // The session ends; the next one sees it too, and publishes again.
            shared.flight.lock().fail(news);
        }
    }
}

fn new_flight(kafka: &Kafka, acked: &watch::Sender<u64>, ends: Vec<i64>) -> Arc<Flight> {
    let max_bytes = kafka.queue_mib << 20;
    Arc::new(Flight::new(acked.clone(), ends, MAX_IN_FLIGHT, max_bytes))
}

impl Shared {
    /// Everything below is acknowledged.
    pub(crate) fn acked(&self) -> u64 {
        *self.acked.borrow()
    }

    /// Nothing on its way any more; what was, begins again.
    pub(crate) fn new_flight(&self) -> Arc<Flight> {
        let mut flight = self.flight.lock();
        self.metrics.acked.inc_by(flight.take_acked_records());
        *flight = new_flight(&self.kafka, &self.acked, flight.ends());
        flight.clone()
    }

    /// From now on the state is what this connection hears.
    pub(crate) fn link_is_up(&self, heard: Arc<Heard>) {
        *self.heard.lock() = Some(heard);
    }

    /// There is none any more.
    pub(crate) fn link_is_down(&self) {
        *self.heard.lock() = None;
    }

    /// One journal is published to one cluster.
    pub(crate) fn check_cluster(&self, found: &str) -> Result<(), Trouble> {
        let mark = &mut self.kept.lock().mark;
        if mark.cluster.is_empty() {
            found.clone_into(&mut mark.cluster);
        }
        if mark.cluster == found {
            return Ok(());
        }
        Err(Trouble::OtherCluster {
            was: mark.cluster.clone(),
            found: found.to_owned(),
            cursor: self.cursor.path().display().to_string(),
        })
    }

    /// Everything that the journal has is to be published again.
    pub(crate) fn publish_again(&self) {
        let first = self.journal.stats().first;
        // Held throughout: the cursor must not say that another topic has what this one had.
        let mut kept = self.kept.lock();
        let mut flight = self.flight.lock();
        *flight = new_flight(&self.kafka, &self.acked, Vec::new());
        self.acked.send_replace(kept.mark.begin_again(first));
        drop(flight);
        self.sink.forget();
        // At once: a start that came before it would believe the old one.
        if let Err(error) = kept.keep(&self.cursor) {
            tracing::warn!(%error, "that publishing begins again was not stored; it is tried again");
        }
    }

    /// Notes where everything stands that is acknowledged now.
    fn checkpoint(&self) {
        // Under this lock nothing is begun anew; and in this order: places that come later than the position do no harm.
        let flight = self.flight.lock();
        let position = self.acked();
        self.sink.checkpoint(position, flight.ends());
    }

    /// The topic that a session is about to publish to. One that was made anew lacks what was acknowledged.
    pub(crate) fn check_topic(&self, topic_id: Option<&str>) -> Result<(), Trouble> {
        let mark = &mut self.kept.lock().mark;
        let is_anew = topic_id.map_or(Ok(()), |found| mark.name_topic(found));
        is_anew.map_err(Trouble::Lost)
    }

    /// Stores how far it is, unless the cursor says so already. Nothing is begun anew meanwhile: an older mark never comes after.
    fn keep_mark(&self) -> Result<(), CursorError> {
        let mut kept = self.kept.lock();
        let flight = self.flight.lock().clone();
        // In this order: ends that are taken later than the position do no harm.
        let position = self.acked();
        if position != kept.mark.position && !kept.mark.cluster.is_empty() {
            runtime::failpoint::hit("publisher.between_ack_and_cursor");
            let ends = flight.ends();
            kept.mark.reach(position, ends, &self.journal);
        }
        kept.keep(&self.cursor)
    }

    fn show(&self, lag: &mut Lag, now: Duration) {
        let stats = self.journal.stats();
        let acked = self.acked();
        let age = lag.sample(now, stats.synced_end, acked);
        let behind = stats.synced_end.saturating_sub(acked);
        let positions = (stats.end - stats.first).max(1);
        let share = u128::from(stats.bytes) * u128::from(behind) / u128::from(positions);
        self.metrics.lag.set(age.as_secs_f64());
        self.metrics.lag_positions.set(signed(behind));
        self.metrics
            .lag_bytes
            .set(signed(u64::try_from(share).unwrap_or(u64::MAX)));
        let flight = self.flight.lock().clone();
        self.metrics.acked.inc_by(flight.take_acked_records());
        self.listen();
        self.sink.show(&self.metrics, now, stats.first, acked);
        let is_publishing = self.health.state() == State::Publishing;
        self.metrics.publishing.set(i64::from(is_publishing));
    }

    /// A connection that is up may hear that the brokers have gone, and that they are back.
    fn listen(&self) {
        let heard = self.heard.lock();
        let Some(trouble) = heard.as_ref().map(|heard| heard.trouble()) else {
            return;
        };
        match (self.health.state(), trouble) {
            (State::Publishing, Some(reason)) => {
                self.metrics.troubles.inc();
                self.health.set(State::Waiting(reason));
            }
            (State::Waiting(_), None) => {
                self.health.set(State::Publishing);
            }
            _ => {}
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_outlives_the_runtime_around_it_and_ends_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let layer = Arc::new(journal::RealLayer);
        let options = journal::Options::new(folder.path().join("journal"));
        let (journal, _) = Journal::open(options, layer.clone()).unwrap();
        // Nobody listens there.
        let kafka = serde_json::from_str(r#"{"bootstrap":"127.0.0.1:1"}"#).unwrap();
        let publisher = Publisher::new(Start {
            kafka,
            journal,
            producer: Text::new("gw-1").unwrap(),
            cursor: Cursor::new(folder.path().join("p.cursor"), layer),
            metrics: Metrics::default(),
        });
        let replicas = publisher.as_ref().map(Publisher::replicas).unwrap();
        let around = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let publishing = around.block_on(async { publisher.unwrap().begin() });
        drop(around);
        while !replicas.state().starts_with("not publishing") {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let Publishing {
            thread,
            _stops: stops,
            ..
        } = publishing;
        drop(stops);
        thread.join().unwrap();
    }
}
