//! One connection's worth of publishing: look at the cluster and its topics, then send the journal from the acknowledged
//! position on, until the stop or a trouble. After a trouble the next session begins again from there: copies collapse.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use journal::{Frame, Item, ReadError};
use schemas::promises::Wanted;
use schemas::topics::{Written, envelope};
use schemas::{Boot, RecordKind, Topic};
use tokio::runtime::{Handle, Runtime};

use super::flight::Flight;
use super::health::State;
use super::kafka::{self, Link, NotSent, Record};
use super::options::Options;
use super::outgoing::{Fate, fate};
use super::publisher::Shared;
use super::settings::{Kafka, TopicPolicy};

/// The longest rest between two looks at what should happen.
const REST: Duration = Duration::from_millis(50);
/// The same while something waits for an acknowledgement to be sent, and others for it.
const HELD_REST: Duration = Duration::from_millis(2);
/// What a record takes in the client's memory beside its own bytes.
const OVERHEAD_BYTES: usize = 512;

/// Why a session ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The brokers can not be reached or do not answer.
    #[error("Kafka at {servers} can not be reached: {reason}")]
    Away { servers: String, reason: String },
    /// Not where the journal was published before.
    #[error(
        "this journal was published to cluster {was}, and log.kafka.bootstrap leads to {found}: correct it, or remove {cursor} to publish what the journal still has to the new one"
    )]
    OtherCluster {
        was: String,
        found: String,
        cursor: String,
    },
    /// Topics are missing or not as configured.
    #[error("{}", .0.join("; "))]
    Topics(Vec<String>),
    /// What was acknowledged is gone.
    #[error(
        "acknowledged records are not in Kafka any more ({0}): what the journal still has is published again"
    )]
    Lost(String),
    /// A record was refused, or the client can not go on.
    #[error("{0}")]
    Delivery(String),
    /// The journal holds what this version does not know.
    #[error(
        "the record at position {position} of the journal is of kind {kind}, which this version does not know; upgrade"
    )]
    Unknown { position: u64, kind: u8 },
    /// The journal can not be read.
    #[error("the journal can not be read: {0}")]
    Journal(#[from] ReadError),
    /// A bug.
    #[error("publishing panicked, see the log above: this is a bug")]
    Panic,
    /// A client can not be made of the settings.
    #[error("log.kafka: {0}")]
    Settings(String),
}

impl Trouble {
    /// How long to wait before the next try.
    pub(crate) fn pause(&self) -> Duration {
        match self {
            Self::Away { .. } | Self::Delivery(_) | Self::Lost(_) => Duration::from_millis(500),
            Self::Panic
            | Self::OtherCluster { .. }
            | Self::Topics(_)
            | Self::Unknown { .. }
            | Self::Journal(_)
            | Self::Settings(_) => Duration::from_secs(5),
        }
    }
}

/// A link to a cluster whose topics are as they must be.
pub(crate) struct Connected {
    pub link: Link,
    pub topics: BTreeMap<Topic, String>,
    /// Which cluster it is.
    cluster: String,
}

impl Connected {
    /// Whether the brokers are still of the same cluster.
    fn hold(&self) -> Result<(), Trouble> {
        if self.link.is_still(&self.cluster) {
            return Ok(());
        }
        let why = "the brokers are of another cluster than before";
        Err(Trouble::Delivery(why.to_owned()))
    }
}

/// Connects, and checks or makes the topics; nothing is made in a cluster that `may_be` refuses.
pub(crate) fn connect(
    kafka: &Kafka,
    options: &Options,
    flight: Arc<Flight>,
    runtime: &Handle,
    may_be: impl Fn(&str) -> Result<(), Trouble>,
) -> Result<Connected, Trouble> {
    let away = |reason: String| Trouble::Away {
        servers: kafka.bootstrap.clone(),
        reason,
    };
    let link = Link::open(options, flight).map_err(Trouble::Settings)?;
    let cluster = link.cluster().map_err(away)?;
    may_be(&cluster)?;
    let promised = kafka.promises();
    let wanted = promised.topics();
    let names: Vec<String> = wanted.iter().map(|wanted| wanted.name.clone()).collect();
    let mut found = link.topics(&names).map_err(away)?;
    let missing: Vec<&Wanted> = wanted
        .iter()
        .filter(|wanted| !found.contains_key(&wanted.name))
        .collect();
    if !missing.is_empty() {
        if kafka.topics != TopicPolicy::Create {
            let name = |wanted: &&Wanted| format!("topic {} is not there: make it", wanted.name);
            return Err(Trouble::Topics(missing.iter().map(name).collect()));
        }
        runtime
            .block_on(kafka::create(options, &missing))
            .map_err(|error| Trouble::Topics(vec![error]))?;
        found = link.topics(&names).map_err(away)?;
        if let Some(name) = names.iter().find(|name| !found.contains_key(*name)) {
            return Err(away(format!("topic {name} was made and is not shown yet")));
        }
    }
    if kafka.topics != TopicPolicy::Trust {
        runtime
            .block_on(kafka::describe(options, &mut found))
            .map_err(|error| Trouble::Topics(vec![error]))?;
        let faults = promised.findings(&found);
        if !faults.is_empty() {
            return Err(Trouble::Topics(faults));
        }
    }
    let topics = wanted.into_iter().map(|wanted| (wanted.topic, wanted.name));
    Ok(Connected {
        link,
        cluster,
        topics: topics.collect(),
    })
}

/// Sends frames; knows who wrote them. What a producer says of itself counts records that came before, and lies in another topic
/// than they do: it is held back until all of them are acknowledged, so that whoever reads it finds them.
pub(crate) struct Sender<'a> {
    connected: &'a Connected,
    flight: &'a Flight,
    producer: &'a str,
    boot: Boot,
    held: VecDeque<Held>,
}

/// Part of the flight already, not sent yet.
struct Held {
    number: usize,
    frame: Frame,
    kind: RecordKind,
    boot: Boot,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(
        connected: &'a Connected,
        flight: &'a Flight,
        producer: &'a str,
        boot: Boot,
    ) -> Self {
        Self {
            connected,
            flight,
            producer,
            boot,
            held: VecDeque::new(),
        }
    }

    /// Whether something is held back.
    fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Sends what was held back, as far as everything before it is acknowledged.
    pub(crate) fn release(&mut self) -> Result<(), Trouble> {
        while let Some(held) = self.held.front() {
            if !self.flight.is_first(held.number) {
                return Ok(());
            }
            match self.try_send(&held.frame, held.kind, held.boot, held.number) {
                Ok(()) => drop(self.held.pop_front()),
                Err(NotSent::Full) => return Ok(()),
                Err(NotSent::Failed(error)) => return Err(Trouble::Delivery(error)),
            }
        }
        Ok(())
    }

    fn try_send(
        &self,
        frame: &Frame,
        kind: RecordKind,
        boot: Boot,
        number: usize,
    ) -> Result<(), NotSent> {
        let written = Written {
            producer: self.producer,
            boot,
            position: frame.position,
        };
        let envelope = envelope(kind, &frame.payload, written);
        let topic = Topic::of(kind).and_then(|topic| self.connected.topics.get(&topic));
        let record = Record {
            topic: topic.map_or("", String::as_str),
            key: &envelope.key,
            value: &frame.payload,
            headers: envelope.headers(),
        };
        self.connected.link.send(&record, number)
    }

    /// Sends what is to be sent of a frame, waiting for room. `is_over` ends the wait.
    pub(crate) fn frame(
        &mut self,
        frame: &Frame,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Trouble> {
        if let Some((boot, _)) =
            journal::Boot::from_frame(&frame.payload).filter(|_| frame.kind == journal::BOOT_KIND)
        {
            self.boot = Boot {
                counter: boot.counter,
                nonce: boot.nonce,
            };
        }
        match fate(frame) {
            Fate::Pass => {
                self.flight.pass(frame.position + 1);
                Ok(())
            }
            Fate::Unknown => Err(Trouble::Unknown {
                position: frame.position,
                kind: frame.kind,
            }),
            Fate::Publish(kind, topic) => self.send(frame, kind, topic, is_over),
        }
    }

    fn send(
        &mut self,
        frame: &Frame,
        kind: RecordKind,
        topic: Topic,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Trouble> {
        let bytes = frame.payload.len() + OVERHEAD_BYTES;
        loop {
            self.release()?;
            if let Some(failure) = self.flight.failure() {
                return Err(Trouble::Delivery(failure));
            }
            if is_over() {
                return Ok(());
            }
            if !self.flight.has_room() {
                self.flight.wait(REST);
                continue;
            }
            let number = self.flight.begin(frame.position + 1, topic, bytes);
            if topic == Topic::Producers && !self.flight.is_first(number) {
                self.held.push_back(Held {
                    number,
                    frame: frame.clone(),
                    kind,
                    boot: self.boot,
                });
                return Ok(());
            }
            match self.try_send(frame, kind, self.boot, number) {
                Ok(()) => return Ok(()),
                Err(NotSent::Full) => {
                    self.flight.take_back();
                    self.flight.wait(REST);
                }
                Err(NotSent::Failed(error)) => {
                    self.flight.take_back();
                    return Err(Trouble::Delivery(error));
                }
            }
        }
    }
}

/// Publishes until the stop. `Ok` when everything that was asked for is done.
pub(crate) fn run(shared: &Shared, runtime: &Runtime) -> Result<(), Trouble> {
    let flight = shared.new_flight();
    let connected = connect(
        &shared.kafka,
        &shared.options,
        flight.clone(),
        runtime.handle(),
        |cluster| shared.check_cluster(cluster),
    )?;
    if let Some(lost) = lost_ends(&connected, &flight.ends())? {
        // What was acknowledged is not there: a topic was made anew, or a leader without it was elected.
        shared.publish_again();
        return Err(Trouble::Lost(lost));
    }
    begin_in_topic(shared, &connected, &flight)?;
    shared.link_is_up(connected.link.heard().clone());
    shared.metrics.sessions.inc();
    shared.health.set(State::Publishing);
    let done = publish(shared, &connected, &flight, runtime);
    shared.link_is_down();
    connected.link.abandon();
    done
}

/// Notes which topic it is, and where everything stands that was acknowledged before: nowhere beyond its end now. A topic that was
/// made anew is published to again.
fn begin_in_topic(shared: &Shared, connected: &Connected, flight: &Flight) -> Result<(), Trouble> {
    let Some(readers) = shared.sink.readers() else {
        return Ok(());
    };
    let topic_id = readers.topic_id();
    if let Err(error) = &topic_id {
        tracing::warn!(
            error,
            "the usage topic does not say which one it is: nothing that is published now is confirmed by the store"
        );
    }
    let topic_id = topic_id.ok();
    shared
        .check_topic(topic_id.as_deref())
        .inspect_err(|_| shared.publish_again())?;
    let Some(topic_id) = topic_id else {
        shared.sink.go_on_unknown();
        return Ok(());
    };
    if shared.sink.is_in(&topic_id) {
        return Ok(());
    }
    // In this order: what comes after the position may stand before the ends, which does no harm.
    let position = shared.acked();
    let mut ends = flight.ends();
    let topic = connected.topics.get(&Topic::Usage);
    let found = topic.map_or(Ok(Vec::new()), |topic| connected.link.ends(topic));
    let found = found.map_err(Trouble::Delivery)?;
    ends.resize(ends.len().max(found.len()), 0);
    for (end, found) in ends.iter_mut().zip(found) {
        *end = found.max(*end);
    }
    shared.sink.begin(&topic_id, position, ends);
    Ok(())
}

fn publish(
    shared: &Shared,
    connected: &Connected,
    flight: &Flight,
    runtime: &Runtime,
) -> Result<(), Trouble> {
    let start = shared.acked().max(shared.journal.stats().first);
    // What the store has confirmed may have gone between the moment at which all was to be published again and this one.
    flight.pass(start);
    let mut reader = shared.journal.reader(start);
    let boot = shared.journal.written_by(start);
    let boot = Boot {
        counter: boot.map_or(0, |boot| boot.counter),
        nonce: boot.map_or([0; 8], |boot| boot.nonce),
    };
    let mut sender = Sender::new(connected, flight, shared.producer.as_str(), boot);
    loop {
        connected.hold()?;
        sender.release()?;
        if shared.stop_now.is_cancelled() {
            return Ok(());
        }
        match reader.read()? {
            Some(Item::Frame(frame)) => sender.frame(&frame, || shared.stop_now.is_cancelled())?,
            Some(Item::Damaged(damage)) => {
                tracing::error!(
                    ?damage,
                    "damaged records of the journal can not be published"
                );
                shared.metrics.damaged.inc();
                flight.pass(damage.next_position);
            }
            None if shared.drain.is_cancelled() && flight.is_empty() => return Ok(()),
            None if sender.holds() => {
                if let Some(failure) = flight.failure() {
                    return Err(Trouble::Delivery(failure));
                }
                flight.wait(HELD_REST);
            }
            None => rest(shared, flight, &reader, runtime)?,
        }
    }
}

/// Waits for more, for an acknowledgement or for the stop.
fn rest(
    shared: &Shared,
    flight: &Flight,
    reader: &journal::Reader,
    runtime: &Runtime,
) -> Result<(), Trouble> {
    if let Some(failure) = flight.failure() {
        return Err(Trouble::Delivery(failure));
    }
    let waiting = async {
        tokio::select! {
            more = reader.wait() => more,
            () = shared.stop_now.cancelled() => Ok(()),
            () = tokio::time::sleep(REST) => Ok(()),
        }
    };
    match runtime.block_on(waiting) {
        // What is synced of a journal that takes no more is still published.
        Err(ReadError::Closed | ReadError::Poisoned(_)) => {
            flight.wait(REST);
            if flight.is_empty() {
                runtime.block_on(async {
                    tokio::select! {
                        () = shared.stop_now.cancelled() => {}
                        () = tokio::time::sleep(REST) => {}
                    }
                });
            }
            Ok(())
        }
        other => Ok(other?),
    }
}

/// A partition of the usage topic that ends before what it has acknowledged.
fn lost_ends(connected: &Connected, ends: &[i64]) -> Result<Option<String>, Trouble> {
    let Some(topic) = connected.topics.get(&Topic::Usage) else {
        return Ok(None);
    };
    for (partition, end) in (0..).zip(ends).filter(|(_, end)| **end > 0) {
        let found = connected
            .link
            .end(topic, partition)
            .map_err(Trouble::Delivery)?;
        if found < *end {
            return Ok(Some(format!(
                "partition {partition} of {topic} ends at {found}, {end} was acknowledged"
            )));
        }
    }
    Ok(None)
}
