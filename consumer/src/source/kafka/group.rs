//! A member of the group from outside: its thread, what it says of itself, and how it is stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use schemas::Boot;

use super::lives::read_lives;
use super::options::KafkaOptions;
use super::owner::Owner;
use super::promised;
use super::sending::Sending;
use crate::archiving::Archiving;
use crate::lives::{Board, Report};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::status::{State, Status};

/// The pause before the brokers are tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(20);

/// What a member says of itself.
#[derive(Clone, Debug, Default)]
pub struct GroupStatus {
    /// Its partitions, as their workers say.
    pub partitions: BTreeMap<i32, Status>,
    /// The last thing that went wrong with the brokers.
    pub last_error: Option<String>,
    /// What of the topics would lose or reorder records, each with the way out.
    pub topics: Vec<String>,
    /// Why it hears nothing more of what producers say of themselves, if it stands still there.
    pub lives: Option<String>,
    /// It has left the group.
    pub has_ended: bool,
}

impl GroupStatus {
    /// Places that can be read and are not settled, of all its partitions.
    pub fn lag(&self) -> i64 {
        self.partitions.values().map(Status::lag).sum()
    }

    /// Partitions whose worker stopped and needs a person.
    pub fn halted(&self) -> impl Iterator<Item = (i32, &str)> {
        let partitions = self.partitions.iter();
        partitions.filter_map(|(partition, status)| match &status.state {
            State::Halted(why) => Some((*partition, why.as_str())),
            _ => None,
        })
    }
}

/// What is done with a partition.
pub(super) enum Work {
    /// It is written into the store.
    Store(Options),
    /// It is archived.
    Archive(Archiving),
}

impl Work {
    /// The shard of the store that a partition is written to; the first where there is none.
    pub(super) fn shard_of(&self, partition: i32) -> usize {
        match self {
            Self::Store(options) => options.shard_of(partition),
            Self::Archive(_) => 0,
        }
    }
}

/// What the owner and the outside share.
pub(super) struct Shared {
    pub kafka: KafkaOptions,
    pub work: Work,
    pub metrics: Metrics,
    /// What the watch found.
    pub board: Board,
    /// It was looked at the topics once.
    has_looked: AtomicBool,
    stop: AtomicBool,
    failure: Mutex<Option<String>>,
    status: Mutex<GroupStatus>,
}

impl Shared {
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits, unless it is asked to stop.
    pub(super) fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.is_stopping() {
            std::thread::park_timeout(TICK);
        }
    }

    /// The member can not go on and must join anew.
    pub(super) fn fail(&self, why: String) {
        *self.failure.lock() = Some(why);
    }

    pub(super) fn take_failure(&self) -> Option<String> {
        self.failure.lock().take()
    }

    /// The last thing that went wrong.
    pub(super) fn heard(&self, what: String) {
        self.status.lock().last_error = Some(what);
    }

    /// The same, where it says less than what was heard before.
    pub(super) fn heard_vaguely(&self, what: String) {
        self.status.lock().last_error.get_or_insert(what);
    }

    /// What was heard last, once.
    pub(super) fn take_heard(&self) -> Option<String> {
        self.status.lock().last_error.take()
    }

    /// Whether what producers say of themselves can be read, or why not.
    pub(super) fn found_of_lives(&self, fault: Option<String>) {
        self.status.lock().lives = fault;
    }

    /// Whether nothing more of it can be read for now.
    pub(super) fn is_deaf(&self) -> bool {
        self.status.lock().lives.is_some()
    }

    /// What of the topics is not as it must be: said when it changes.
    pub(super) fn found_of_topics(&self, findings: Vec<String>) {
        let mut status = self.status.lock();
        let is_first = !self.has_looked.swap(true, Ordering::AcqRel);
        if findings.is_empty() && (is_first || !status.topics.is_empty()) {
            tracing::info!("the topics are what is configured");
        }
        if status.topics != findings {
            for finding in &findings {
                tracing::error!(finding, "a topic may lose records; it is read on");
            }
            status.topics = findings;
        }
    }

    pub(super) fn publish(&self, partitions: BTreeMap<i32, Status>, assigned: usize) {
        let sum = |of: fn(&Status) -> i64| partitions.values().map(of).sum::<i64>();
        let metrics = &self.metrics;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.lag_positions.set(sum(Status::lag));
        metrics.surplus_copies.set(sum(|status| {
            i64::try_from(status.surplus_copies).unwrap_or(0)
        }));
        let oldest = partitions.values().map(|status| status.oldest_unwritten_s);
        metrics.oldest_unwritten.set(oldest.fold(0.0, f64::max));
        metrics.partitions.set(count(assigned));
        let halted = partitions.values();
        let halted = halted.filter(|status| matches!(status.state, State::Halted(_)));
        metrics.halted_partitions.set(count(halted.count()));
        self.status.lock().partitions = partitions;
    }
}

/// A running member. Dropping it stops it, and waits until it has left.
pub struct Group {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    threads: Vec<JoinHandle<()>>,
}

impl Group {
    /// Joins the group, as soon as the brokers let it; `boot` tells this start of the member from others.
    pub fn spawn(
        kafka: KafkaOptions,
        options: Options,
        member: &str,
        boot: Boot,
    ) -> std::io::Result<Self> {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        Self::spawn_with(kafka, Work::Store(options), metrics, registry, member, boot)
    }

    /// Joins a group that archives a topic.
    pub fn spawn_archiver(
        kafka: KafkaOptions,
        archiving: Archiving,
        member: &str,
        boot: Boot,
    ) -> std::io::Result<Self> {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        archiving.metrics.register(&metrics, &mut registry);
        let work = Work::Archive(archiving);
        Self::spawn_with(kafka, work, metrics, registry, member, boot)
    }

    fn spawn_with(
        kafka: KafkaOptions,
        work: Work,
        metrics: Metrics,
        registry: Registry,
        member: &str,
        boot: Boot,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            kafka,
            work,
            metrics,
            board: Board::default(),
            has_looked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            failure: Mutex::default(),
            status: Mutex::default(),
        });
        let mut group = Self {
            shared: shared.clone(),
            registry: Arc::new(registry),
            threads: Vec::new(),
        };
        let (of_owner, name) = (shared.clone(), member.to_owned());
        group.start("tg-group", move || {
            own(&of_owner, &name, boot);
            of_owner.status.lock().has_ended = true;
        })?;
        if let Work::Store(options) = &shared.work {
            let (options, member) = (options.apart(), member.to_owned());
            let of_lives = shared.clone();
            let work = move || read_lives(&of_lives, &options, &member, boot);
            group.start("tg-lives", work)?;
            let of_topics = shared.clone();
            group.start("tg-topics", move || promised::watch(&of_topics))?;
        }
        Ok(group)
    }

    fn start(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let builder = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(builder.spawn(work)?);
        Ok(())
    }

    /// Which numbers of producers are missing, and who is silent, where this member watches.
    pub fn producers(&self) -> Report {
        self.shared.board.read()
    }

    /// How it is doing now.
    pub fn status(&self) -> GroupStatus {
        self.shared.status.lock().clone()
    }

    /// Its metrics.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Asks it to bring the batches in work to an end, commit them and leave.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the member panicked");
            }
        }
    }
}

/// Joins again and again, until it is asked to stop.
fn own(shared: &Arc<Shared>, member: &str, boot: Boot) {
    let mut sending = None;
    while !shared.is_stopping() {
        if let Err(error) = own_once(shared, &mut sending, member, boot) {
            tracing::warn!(error, "not in the group; joining again");
            shared.heard(error);
            shared.publish(BTreeMap::new(), 0);
            shared.rest(AGAIN);
        }
    }
}

fn own_once(
    shared: &Arc<Shared>,
    sending: &mut Option<Arc<Sending>>,
    member: &str,
    boot: Boot,
) -> Result<(), String> {
    let opened = match sending.take() {
        Some(opened) if opened.broken().is_none() => opened,
        _ => Arc::new(Sending::open(&shared.kafka, member.to_owned(), boot)?),
    };
    let opened = sending.insert(opened).clone();
    Owner::join(shared, &opened)?.run()
}
