//! What producers say of themselves, from its own topic into the store: a member of a classic group of its own. Read, insert,
//! then commit: what is read twice is inserted twice, which changes nothing. Who has partition 0 also watches.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use schemas::{Boot, RecordKind, WIRE_VERSION};
use store::Class;
use tokio::runtime::Runtime;

use super::client::{Keeping, log, record_of, shown, token};
use super::cluster;
use super::group::{AGAIN, Shared};
use super::options::KafkaOptions;
use super::reach::{Mark, Reach};
use super::sending::{Dispatch, Sending};
use super::topic_id::topic_id;
use crate::letters::{LetterPlace, Unused};
use crate::lives::{Lives, Newer, Watch, insert};
use crate::options::Options;

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);
/// How often it is asked whether the topic is the same one.
const TOPIC_EVERY: Duration = Duration::from_secs(5);
/// The longest wait for a message.
const POLL: Duration = Duration::from_millis(100);
/// How long heartbeats wait to be written together; of each boot's only the last is.
const BEATS_WAIT: Duration = Duration::from_secs(2);
/// How long a step of a life waits.
const STEPS_WAIT: Duration = Duration::from_millis(200);
/// So many records are written at once.
const MAX_READ: usize = 10_000;

/// Hears which partitions come and go.
pub(super) struct Told {
    revoked: AtomicBool,
    kafka: KafkaOptions,
    /// The identity of the topic that is read; empty before the first assignment. Offsets are committed with it: those of a topic
    /// that was made anew say nothing of this one.
    topic_id: Mutex<String>,
    /// Why it is not known from where to read.
    failed: Mutex<Option<String>>,
}

impl ClientContext for Told {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token(self.kafka.token_file().as_ref())
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
}

impl ConsumerContext for Told {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let changed = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list)
        } else {
            self.revoked.store(true, Ordering::Release);
            consumer.unassign().map_err(|error| shown(&error))
        };
        if let Err(error) = changed {
            *self.failed.lock() = Some(error);
        }
    }
}

impl Told {
    /// From what a reader of this version committed of this topic, else from its beginning.
    fn assigned(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
    ) -> Result<(), String> {
        let id = ask_topic_id(consumer, &self.kafka.producers)?;
        cluster::hold_to(consumer.client(), &self.kafka)?;
        let reader = reader_of(&id);
        let committed = consumer.committed_offsets(list.clone(), ASK);
        let committed = committed.map_err(|error| shown(&error))?;
        let mut from = TopicPartitionList::new();
        for element in committed.elements() {
            let at = match element.offset() {
                Offset::Offset(at) if element.metadata() == reader => Offset::Offset(at),
                _ => Offset::Beginning,
            };
            from.add_partition_offset(&self.kafka.producers, element.partition(), at)
                .map_err(|error| shown(&error))?;
        }
        tracing::info!(
            topic_id = id,
            partitions = from.count(),
            "what producers say of themselves is read"
        );
        *self.topic_id.lock() = id;
        consumer.assign(&from).map_err(|error| shown(&error))
    }

    /// With what this reader's offsets are committed.
    pub(super) fn reader(&self) -> String {
        reader_of(&self.topic_id())
    }

    fn topic_id(&self) -> String {
        self.topic_id.lock().clone()
    }
}

/// Who read as far as is committed. A reader of an older version passes over what a newer producer says of itself, with an alarm; so
/// the next version reads all of it once more.
fn reader_of(topic_id: &str) -> String {
    format!("{topic_id} {WIRE_VERSION}")
}

fn ask_topic_id(consumer: &BaseConsumer<Told>, topic: &str) -> Result<String, String> {
    let timeout_ms = i32::try_from(ASK.as_millis()).unwrap_or(i32::MAX);
    topic_id(consumer.client().native_ptr(), topic, timeout_ms)
}

/// Reads until it is asked to stop, joining again after each trouble.
pub(super) fn read_lives(shared: &Shared, options: &Options, member: &str, boot: Boot) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return shared.heard(format!("no runtime for producers' lives: {error}")),
    };
    // What was read and not written outlives each membership: its topic may have been made anew, and then nobody reads it again.
    let mut unwritten = Lives::default();
    while !shared.is_stopping() {
        let joined = Member::join(shared, options, &runtime, member, boot);
        let read = joined.and_then(|member| member.run(&mut unwritten));
        if let Err(error) = read {
            tracing::warn!(
                error,
                "what producers say of themselves is not read; joining again"
            );
            shared.rest(AGAIN);
        }
        shared.board.leave();
    }
}

struct Member<'a> {
    shared: &'a Shared,
    options: &'a Options,
    runtime: &'a Runtime,
    consumer: Arc<BaseConsumer<Told>>,
    sending: Sending,
    watch: Watch<Mark>,
    read: Lives,
    /// The earliest clock in what was written and not seen by the watch.
    oldest: Cell<Option<i64>>,
    records: usize,
    /// The place after the last that was read, by partition.
    next: BTreeMap<i32, i64>,
    /// Since when something waits to be written.
    since: Option<Instant>,
    /// It was written, and the group's offset is not kept yet.
    is_owed: bool,
    /// The store or the group did not take it: not tried before this.
    not_before: Option<Instant>,
    /// Nothing more is read until there is room.
    is_resting: bool,
    /// When it was last asked whether the topic is the same one.
    topic_at: Instant,
}

impl<'a> Member<'a> {
    fn join(
        shared: &'a Shared,
        options: &'a Options,
        runtime: &'a Runtime,
        member: &str,
        boot: Boot,
    ) -> Result<Self, String> {
        let mut config = ClientConfig::new();
        for (name, value) in shared.kafka.joining_lives() {
            config.set(name, value);
        }
        let told = Told {
            revoked: AtomicBool::new(false),
            kafka: shared.kafka.clone(),
            topic_id: Mutex::default(),
            failed: Mutex::default(),
        };
        let consumer =
            BaseConsumer::from_config_and_context(&config, told).map_err(|error| shown(&error))?;
        consumer
            .subscribe(&[&shared.kafka.producers])
            .map_err(|error| shown(&error))?;
        let sending = Sending::open(&shared.kafka, member.to_owned(), boot)?;
        let (board, metrics) = (shared.board.clone(), shared.metrics.clone());
        Ok(Self {
            shared,
            options,
            runtime,
            consumer: Arc::new(consumer),
            sending,
            watch: {
                let _in = runtime.enter();
                Watch::new(options, member, board, metrics)
            },
            read: Lives::default(),
            oldest: Cell::new(None),
            records: 0,
            next: BTreeMap::new(),
            since: None,
            is_owed: false,
            not_before: None,
            is_resting: false,
            topic_at: Instant::now(),
        })
    }

    /// Reads until it is asked to stop or something is wrong. Begins with what is `unwritten`, and leaves there what still is.
    fn run(mut self, unwritten: &mut Lives) -> Result<(), String> {
        self.read = std::mem::take(unwritten);
        self.records = self.read.len();
        self.since = (!self.read.is_empty()).then(Instant::now);
        let ran = self.read_on();
        *unwritten = self.read;
        ran
    }

    fn read_on(&mut self) -> Result<(), String> {
        let consumer = self.consumer.clone();
        while !self.shared.is_stopping() {
            let polled = consumer.poll(POLL);
            if self
                .consumer
                .context()
                .revoked
                .swap(false, Ordering::AcqRel)
            {
                self.forget();
            }
            match polled {
                Some(Ok(message)) => {
                    let topic_id = consumer.context().topic_id();
                    let topic = format!("{}:{topic_id}", self.shared.kafka.producers);
                    take(&message, topic, &mut self.read, &mut self.next);
                    self.records += 1;
                    self.since.get_or_insert_with(Instant::now);
                }
                // The topic may not be there yet, brokers come back.
                Some(Err(error)) => tracing::debug!(error = shown(&error), "producers' topic"),
                None => {}
            }
            if let Some(failed) = consumer.context().failed.lock().take() {
                return Err(failed);
            }
            if self.is_due() {
                self.write()?;
            }
            self.stay()?;
            self.go_on()?;
            self.look();
        }
        self.write()?;
        self.consumer.unsubscribe();
        Ok(())
    }

    /// A topic that was made anew is joined anew. What was read of the old one, and can not be written yet, is kept meanwhile.
    fn stay(&mut self) -> Result<(), String> {
        if self.topic_at.elapsed() < TOPIC_EVERY {
            return Ok(());
        }
        self.topic_at = Instant::now();
        let known = self.consumer.context().topic_id();
        let Ok(found) = ask_topic_id(&self.consumer, &self.shared.kafka.producers) else {
            return Ok(());
        };
        if known.is_empty() || known == found {
            return Ok(());
        }
        self.write()?;
        Err(format!("the topic was made anew: {known} became {found}"))
    }

    /// What was read is another's to keep the place of now. It is written all the same: another may do so too, and changes nothing by
    /// that; but none can, if the partition went because its topic did.
    fn forget(&mut self) {
        self.next.clear();
        self.is_owed = false;
        self.watch.begin_anew();
        self.shared.board.leave();
    }

    fn is_due(&self) -> bool {
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        if self.is_owed {
            return true;
        }
        let Some(since) = self.since else {
            return false;
        };
        let wait = if self.read.has_steps() {
            STEPS_WAIT
        } else {
            BEATS_WAIT
        };
        self.records >= MAX_READ || since.elapsed() >= wait
    }

    /// Insert, then commit. What the store can not take now stays; the partitions rest meanwhile.
    fn write(&mut self) -> Result<(), String> {
        let written = self
            .runtime
            .block_on(insert(self.options.first_server(), &self.read));
        match written {
            Ok(refused) => {
                let written = self.read.len().saturating_sub(refused.len());
                if let Err(why) = self.tell(refused) {
                    tracing::warn!(why, "letters of what producers say wait for the brokers");
                    self.not_before = Some(Instant::now() + AGAIN);
                    return self.rest();
                }
                self.shared.metrics.lives.inc_by(written as u64);
            }
            // It takes none: no row is to blame, and all are read again.
            Err(error) if error.class() == Class::Rejected => {
                return Err(format!("insert into producer_log: {error}"));
            }
            Err(error) => {
                tracing::info!(%error, "what producers say waits for the store");
                self.not_before = Some(Instant::now() + AGAIN);
                return self.rest();
            }
        }
        let written = std::mem::take(&mut self.read);
        let oldest = self.oldest.take().into_iter().chain(written.oldest());
        self.oldest.set(oldest.min());
        (self.records, self.since, self.is_owed) = (0, None, true);
        self.commit()
    }

    /// Sends a letter of each record that is in no table. What was sent and not kept track of is sent again: a letter is known by its
    /// place.
    fn tell(&mut self, refused: Vec<Unused>) -> Result<(), String> {
        if let Some(newer) = self.read.take_newer() {
            self.shared.metrics.unreadable_lives.inc_by(newer.records);
            let Newer {
                place, reason: why, ..
            } = newer;
            tracing::error!(%place, why, "what a newer producer says waits for an upgraded consumer");
        }
        let mut unused = self.read.take_unreadable();
        let told = unused.iter().chain(&refused).map(|of| Dispatch {
            topic: &of.place.topic,
            partition: of.place.partition,
            offset: of.place.offset,
            reason: &of.reason,
            bytes: &of.bytes,
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() {
            return Ok(());
        }
        if let Err(why) = self.runtime.block_on(self.sending.letters(&told)) {
            self.read.put_back_unreadable(unused);
            return Err(why);
        }
        unused.extend(refused);
        for of in unused {
            self.shared.metrics.unreadable_lives.inc();
            let (place, why) = (of.place, of.reason);
            tracing::error!(%place, why, "what a producer says of itself is in no table");
        }
        Ok(())
    }

    /// Keeps how far it is written. What is not taken is tried again, even if nothing more is read: the watch waits for it. Should
    /// another read it once more, that changes nothing.
    fn commit(&mut self) -> Result<(), String> {
        let mut list = TopicPartitionList::new();
        let reader = self.consumer.context().reader();
        for (partition, next) in &self.next {
            let mut element = list.add_partition(&self.shared.kafka.producers, *partition);
            element.set_metadata(&reader);
            let set = element.set_offset(Offset::Offset(*next));
            set.map_err(|error| shown(&error))?;
        }
        let committed = match list.count() {
            0 => Ok(()),
            _ => self.consumer.commit(&list, CommitMode::Sync),
        };
        (self.is_owed, self.not_before) = match committed {
            Ok(()) => (false, None),
            Err(error) => {
                let error = shown(&error);
                tracing::info!(error, "a commit of producers' lives was not taken");
                (true, Some(Instant::now() + AGAIN))
            }
        };
        Ok(())
    }

    /// Reads nothing more, if too much waits.
    fn rest(&mut self) -> Result<(), String> {
        if self.is_resting || self.records < MAX_READ {
            return Ok(());
        }
        let assigned = self.consumer.assignment();
        let rested = assigned.and_then(|assigned| self.consumer.pause(&assigned));
        self.is_resting = rested.is_ok();
        rested.map_err(|error| shown(&error))
    }

    /// Reads on, if it rests and there is room. Partitions that are assigned only now may rest as well.
    fn go_on(&mut self) -> Result<(), String> {
        if !self.is_resting || self.records >= MAX_READ {
            return Ok(());
        }
        let assigned = self.consumer.assignment().map_err(|error| shown(&error))?;
        if assigned.count() > 0 {
            self.consumer
                .resume(&assigned)
                .map_err(|error| shown(&error))?;
            self.is_resting = false;
        }
        Ok(())
    }

    /// Watches, if it is this member's part.
    fn look(&mut self) {
        if tokio::time::Instant::now() < self.watch.due_at() {
            return;
        }
        let assigned = self.consumer.assignment().ok();
        let is_ours = assigned.is_some_and(|assigned| {
            let elements = assigned.elements();
            elements.iter().any(|element| element.partition() == 0)
        });
        if is_ours {
            let reach = Reach {
                consumer: &self.consumer,
                sending: &self.sending,
                options: &self.shared.kafka,
                store: self.options,
                oldest: &self.oldest,
            };
            self.runtime.block_on(self.watch.look(&reach));
        }
    }
}

fn take(
    message: &BorrowedMessage<'_>,
    topic: String,
    read: &mut Lives,
    next: &mut BTreeMap<i32, i64>,
) {
    let record = record_of(message, Keeping::Bytes);
    next.insert(message.partition(), record.offset + 1);
    // What has no kind is tried as a step of a life, and told as one that can not be read.
    let kind = match record.kind {
        RecordKind::Heartbeat => RecordKind::Heartbeat,
        _ => RecordKind::Producer,
    };
    let place = LetterPlace {
        topic,
        partition: message.partition(),
        offset: record.offset,
    };
    read.take(kind, &record.bytes, place);
}
