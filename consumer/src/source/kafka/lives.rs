//! What producers say of themselves, from its own topic into the store: a member of a classic group of its own. Read, insert,
//! then commit: what is read twice is inserted twice, which changes nothing. Who has partition 0 also watches.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use schemas::{Boot, RecordKind};
use store::Class;
use tokio::runtime::Runtime;

use super::client::{Keeping, record_of, shown};
use super::damage::{self, is_damage};
use super::group::{AGAIN, Shared};
use super::options::HALT_AGAIN;
use super::reach::{Mark, Reach};
use super::sending::{Dispatch, Sending};
use super::told::{Told, ask_topic_id};
use crate::letters::{LetterPlace, Unused};
use crate::lives::{Lives, Newer, Watch, insert};
use crate::options::Options;

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
    let suspected = Cell::new(None);
    while !shared.is_stopping() {
        let joined = Member::join(shared, options, &runtime, (member, boot), &suspected);
        let read = joined.and_then(|member| member.run(&mut unwritten));
        if let Err(error) = read {
            tracing::warn!(
                error,
                "what producers say of themselves is not read; joining again"
            );
            // Another replica may lead by then.
            shared.rest(if shared.is_deaf() { HALT_AGAIN } else { AGAIN });
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
    joined_at: Instant,
    /// Where what a broker gave could not be read the last time. A connection may garble something once.
    suspected: &'a Cell<Option<i64>>,
}

impl<'a> Member<'a> {
    fn join(
        shared: &'a Shared,
        options: &'a Options,
        runtime: &'a Runtime,
        (member, boot): (&str, Boot),
        suspected: &'a Cell<Option<i64>>,
    ) -> Result<Self, String> {
        let mut config = ClientConfig::new();
        for (name, value) in shared.kafka.joining_lives() {
            config.set(name, value);
        }
        let told = Told::new(shared.kafka.clone());
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
            joined_at: Instant::now(),
            suspected,
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
                    self.is_well();
                    self.records += 1;
                    self.since.get_or_insert_with(Instant::now);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.is_well(),
                Some(Err(error)) if is_damage(&error) => return Err(self.stands_still()),
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

    /// A broker has other bytes of the topic than were written. What was read before is written, and nothing behind it is heard: the
    /// client would read it all again and again.
    fn stands_still(&mut self) -> String {
        // The topic has one partition.
        let (partition, began) = self.consumer.context().began();
        let place = self.next.get(&partition).copied().unwrap_or(began);
        let why = format!(
            "nothing more is heard of producers, and neither gaps nor silence are judged: {}: {}; it is tried again",
            self.shared.kafka.producers,
            damage::words(partition, place)
        );
        if self.suspected.replace(Some(place)) == Some(place) {
            self.shared.found_of_lives(Some(why.clone()));
        }
        match self.write() {
            Ok(()) => why,
            Err(error) => format!("{why}; {error}"),
        }
    }

    /// What stands where it goes on can be read.
    fn is_well(&self) {
        self.suspected.set(None);
        self.shared.found_of_lives(None);
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
        self.is_well();
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
        // Another reads it, and says what is wrong there.
        let is_assigned = !self.consumer.context().topic_id().is_empty();
        if !is_ours && is_assigned && self.joined_at.elapsed() >= HALT_AGAIN {
            self.shared.found_of_lives(None);
        }
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
