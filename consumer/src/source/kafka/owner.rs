//! The one thread that owns the group's member: it polls, serves rebalances, seeks, pauses and commits. What a worker asks of it
//! stands in the queue of the worker's assignment; an older assignment's queue is looked at by nobody, and that is the fence.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use schemas::Text;
use schemas::rows::Source as Place;

use super::asking::is_out_of_range;
use super::callbacks::Callbacks;
use super::client::{Keeping, record_of, shown};
use super::cluster;
use super::damage::is_damage;
use super::group::{Shared, Work};
use super::note::shard_of;
use super::options::{HALT_AGAIN, queue_bytes};
use super::partition::KafkaPartition;
use super::reason::with_reason;
use super::sending::Sending;
use super::slot::{ASKED_FOR, Slot, Stage, has_ended, in_turn};
use super::topic_id::topic_id;
use crate::handle::{spawn_archiver_part, spawn_part};
use crate::order::{Delivered, Order};

/// No question to the brokers waits for longer.
const ASK: Duration = Duration::from_secs(5);
/// No question that only wakes somebody.
const WAKE: Duration = Duration::from_millis(500);
/// The longest wait for a message.
const POLL: Duration = Duration::from_millis(20);
/// The most messages that are taken before the workers are told.
const MESSAGES_A_TURN: u32 = 256;
/// How often everything but messages is looked at, while messages flow.
const SERVE_EVERY: Duration = Duration::from_millis(5);
/// How often brokers are asked how far partitions reach.
const BOUNDS_EVERY: Duration = Duration::from_millis(500);
/// When nothing came for so long, memory goes back to the kernel.
const QUIET: Duration = Duration::from_millis(50);
/// How often it is asked whether the topic is the same one.
const TOPIC_EVERY: Duration = Duration::from_secs(5);

/// Owns the member until it is asked to stop, the topic is another one, or nothing can be done.
pub(super) struct Owner {
    consumer: BaseConsumer<Callbacks>,
    sending: Arc<Sending>,
    shared: Arc<Shared>,
    place: Text,
    /// The cluster that is read, if it says which it is.
    cluster: Option<String>,
    served_at: Instant,
    bounds_at: Instant,
    /// Whose bounds are asked first.
    look_from: i32,
    topic_at: Instant,
    /// When the last message came.
    last_at: Instant,
    /// When a batch came last that does not have its checksum; of which partition is not said.
    damaged_at: Cell<Option<Instant>>,
    /// What this thread took from the log was freed since memory was given back the last time.
    owes_memory: bool,
}

impl Owner {
    /// Joins the group.
    pub(super) fn join(shared: &Arc<Shared>, sending: &Arc<Sending>) -> Result<Self, String> {
        let options = &shared.kafka;
        let mut config = ClientConfig::new();
        for (name, value) in options.joining() {
            config.set(name, value);
        }
        let callbacks = Callbacks {
            slots: Mutex::default(),
            topic: options.topic.clone(),
            topic_id: Mutex::default(),
            shared: shared.clone(),
        };
        let consumer = BaseConsumer::from_config_and_context(&config, callbacks)
            .map_err(|error| shown(&error))?;
        // A token is asked for, and so shown, in a poll; nothing is subscribed yet, so nothing comes of it.
        if options.token_file().is_some() {
            drop(consumer.poll(POLL));
        }
        let id = ask_topic_id(&consumer, &options.topic)
            .map_err(|error| with_reason(shared, &consumer, error))?;
        let held = cluster::hold_to(consumer.client(), options)?;
        consumer
            .subscribe(&[&options.topic])
            .map_err(|error| shown(&error))?;
        let place = Text::cut(&format!("{}:{id}", options.topic));
        *consumer.context().topic_id.lock() = id;
        let now = Instant::now();
        Ok(Self {
            consumer,
            sending: sending.clone(),
            shared: shared.clone(),
            place,
            cluster: held,
            served_at: now,
            bounds_at: now,
            look_from: 0,
            topic_at: now,
            last_at: now,
            damaged_at: Cell::new(None),
            owes_memory: false,
        })
    }

    /// Polls until there is a reason to end.
    pub(super) fn run(mut self) -> Result<(), String> {
        let keeping = match self.shared.work {
            Work::Store(_) => Keeping::Bytes,
            Work::Archive(_) => Keeping::All,
        };
        let ended = loop {
            if self.shared.is_stopping() {
                break Ok(());
            }
            if let Some(failure) = self.shared.take_failure() {
                break Err(failure);
            }
            if !cluster::is_still(self.consumer.client(), self.cluster.as_deref()) {
                break Err("the brokers are of another cluster than before".to_owned());
            }
            let has_come = self.poll(keeping);
            let now = Instant::now();
            if has_come {
                self.last_at = now;
            } else if self.owes_memory && now.duration_since(self.last_at) >= QUIET {
                self.owes_memory = false;
                runtime::memory::give_back();
            }
            if now.duration_since(self.served_at) >= SERVE_EVERY {
                self.served_at = now;
                self.serve(now);
                if now.duration_since(self.topic_at) >= TOPIC_EVERY {
                    self.topic_at = now;
                    if let Some(news) = self.other_topic().or_else(|| self.sending.broken()) {
                        break Err(news);
                    }
                }
            }
        };
        let callbacks = self.consumer.context();
        let leaving = std::mem::take(&mut *callbacks.slots.lock());
        callbacks.leave(&self.consumer, leaving);
        self.consumer.unsubscribe();
        ended
    }

    fn other_topic(&self) -> Option<String> {
        let id = ask_topic_id(&self.consumer, &self.shared.kafka.topic).ok()?;
        let known = self.consumer.context().topic_id.lock().clone();
        (id != known).then(|| {
            format!("the topic was made anew ({known} became {id}); it is read as a log of its own")
        })
    }

    /// Waits for a message, takes what has come with it, and tells the workers once: told of each, they would wait for each. Whether
    /// any came.
    fn poll(&self, keeping: Keeping) -> bool {
        let (mut wait, mut has_come) = (POLL, false);
        for _ in 0..MESSAGES_A_TURN {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let logged_ms = message.timestamp().to_millis();
                    let record = record_of(&message, keeping);
                    self.deliver(message.partition(), record, logged_ms);
                    has_come = true;
                }
                Some(Err(error)) => self.complain(&error),
                None => break,
            }
            wait = Duration::ZERO;
        }
        for slot in self.consumer.context().slots.lock().values() {
            slot.queue.tell();
        }
        has_come
    }

    fn deliver(&self, partition: i32, record: super::super::Record, logged_ms: Option<i64>) {
        let mut slots = self.consumer.context().slots.lock();
        let most_bytes = queue_bytes(slots.len());
        let Some(slot) = slots.get_mut(&partition) else {
            return;
        };
        // What comes behind a place where it was broken off follows nothing.
        if slot.stage != Stage::Flowing || slot.queue.is_broken() {
            return;
        }
        let Some(order) = &mut slot.order else { return };
        match order.take(record.offset) {
            Delivered::Next => {}
            Delivered::Again => return,
            Delivered::TooFar { wanted } if slot.gap != Some(wanted) => {
                slot.gap = Some(wanted);
                slot.stage = Stage::Seek(wanted);
                return;
            }
            // Behind a batch that can not be read for its bytes: that is there, and not passed over.
            Delivered::TooFar { .. } if self.has_heard_of_damage(Instant::now()) => {
                return slot.is_damaged_at(partition);
            }
            Delivered::TooFar { wanted } => {
                slot.queue.push_lost(wanted, record.offset);
                slot.order = Some(Order::from(record.offset + 1));
            }
        }
        slot.times.read(record.offset, logged_ms);
        slot.queue.push(record);
        slot.must_look = None;
        if slot.queue.is_full(most_bytes) {
            self.pause(partition, slot);
        }
    }

    /// A place that the log does not have any more, or a fault that passes.
    fn complain(&self, error: &KafkaError) {
        let (text, is_damage, now) = (shown(error), is_damage(error), Instant::now());
        // The client may try a batch again without a pause.
        if !is_damage || !self.has_heard_of_damage(now) {
            tracing::warn!(error = text, "Kafka");
        }
        self.shared.heard(text);
        if is_damage {
            self.damaged_at.set(Some(now));
        }
        if !is_damage && !is_out_of_range(error) {
            return;
        }
        // The error is of one of them, which the client reads no further. Soon it is seen of which nothing comes any more.
        let mut slots = self.consumer.context().slots.lock();
        for slot in slots.values_mut().filter(|slot| slot.order.is_some()) {
            slot.must_look.get_or_insert(now);
        }
    }

    /// Whether a batch came lately that does not have its checksum.
    fn has_heard_of_damage(&self, now: Instant) -> bool {
        let damaged = self.damaged_at.get();
        damaged.is_some_and(|at| now.duration_since(at) < HALT_AGAIN)
    }

    fn bounds(&self, partition: i32) -> Result<(i64, i64), String> {
        self.sending.bounds(partition, ASK)
    }

    /// Everything but messages.
    fn serve(&mut self, now: Instant) {
        let callbacks = self.consumer.context();
        let mut slots = callbacks.slots.lock();
        self.begin_new(&mut slots);
        let mut commits = Vec::new();
        let most_bytes = queue_bytes(slots.len());
        for (partition, slot) in slots.iter_mut() {
            self.advance(*partition, slot, most_bytes, now);
            commits.extend(slot.queue.take_commit().map(|at| (*partition, at)));
        }
        // What is committed was freed by its worker, and lies here until this thread looks.
        self.owes_memory |= !commits.is_empty();
        if let Err(error) = callbacks.commit(&self.consumer, &commits, CommitMode::Async) {
            tracing::info!(
                error = shown(&error),
                "a commit was not sent; it is tried again"
            );
        }
        if now.duration_since(self.bounds_at) >= BOUNDS_EVERY {
            self.bounds_at = now;
            for slot in slots.values_mut() {
                slot.queue.commit_again();
            }
            let (mut stopped, mut all_answered) = (None, true);
            for partition in in_turn(&slots, self.look_from) {
                let Some(slot) = slots.get_mut(&partition) else {
                    continue;
                };
                match self.bounds(partition) {
                    Ok((low, high)) => {
                        slot.queue.set_bounds(low, high);
                        slot.ends_at(partition, high, Instant::now());
                        if let Some(silent) = slot.stopped_for(high, now) {
                            stopped = Some((partition, silent));
                        }
                    }
                    Err(error) => {
                        self.shared.heard(error);
                        // Each that does not answer takes its time: the others are asked first the next time.
                        self.look_from = partition.saturating_add(1);
                        all_answered = false;
                        break;
                    }
                }
            }
            if let Some(stopped) = stopped {
                self.go_on_elsewhere(&mut slots, stopped, all_answered, now);
            }
        }
        let now_ms = runtime::clock::now_us() / 1_000;
        let statuses = slots.iter_mut().filter_map(|(partition, slot)| {
            let mut status = slot.handle.as_ref()?.status();
            // Its worker knows when it was read, the log when it was written.
            let age = slot.times.age(status.settled, now_ms).as_secs_f64();
            status.oldest_unwritten_s = status.oldest_unwritten_s.max(age);
            // Who has halted looks no more.
            status.readable_end = status.readable_end.max(slot.queue.bounds().1);
            Some((*partition, status))
        });
        self.shared.publish(statuses.collect(), slots.len());
    }

    /// A partition is not read any further, so long already, by this client. Another one begins where the store ends, and looks whether
    /// the log has that. That a log lost its end this one knows alone.
    fn go_on_elsewhere(
        &self,
        slots: &mut BTreeMap<i32, Slot>,
        (partition, silent): (i32, Duration),
        all_answered: bool,
        now: Instant,
    ) {
        let is_damaged = self.has_heard_of_damage(now);
        if let Some(slot) = slots.get_mut(&partition).filter(|_| is_damaged) {
            return slot.is_damaged_at(partition);
        }
        let what =
            format!("a broker did not have a place of partition {partition} that is to be read");
        if slots.values().any(Slot::has_lost_its_end) {
            self.shared.heard(format!(
                "{what}; it waits for the partition that has lost its end"
            ));
        } else if !all_answered && silent < ASKED_FOR {
            self.shared.heard(format!(
                "{what}; it waits for partitions whose brokers do not answer"
            ));
        } else {
            self.shared.fail(what);
        }
    }

    /// Workers of partitions that have none.
    fn begin_new(&self, slots: &mut BTreeMap<i32, Slot>) {
        let is_new = |slot: &Slot| slot.stage == Stage::New;
        if !slots.values().any(is_new) {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, _) in slots.iter().filter(|(_, slot)| is_new(slot)) {
            list.add_partition(&self.shared.kafka.topic, *partition);
        }
        let committed = match self.consumer.committed_offsets(list, ASK) {
            Ok(committed) => committed,
            Err(error) => return self.shared.heard(shown(&error)),
        };
        let topic_id = self.consumer.context().topic_id.lock().clone();
        for element in committed.elements() {
            let partition = element.partition();
            let (Some(slot), Ok((low, high))) = (slots.get_mut(&partition), self.bounds(partition))
            else {
                continue;
            };
            slot.queue.set_bounds(low, high);
            // Of another topic of this name, or of none.
            let shard = shard_of(element.metadata(), &topic_id);
            let at = match (element.offset(), shard) {
                (Offset::Offset(at), Some(shard)) => Some((at, shard)),
                _ => None,
            };
            self.spawn(partition, slot, at);
        }
    }

    fn spawn(&self, partition: i32, slot: &mut Slot, committed: Option<(i64, usize)>) {
        let source = KafkaPartition {
            place: Place {
                topic: self.place.clone(),
                partition,
            },
            queue: slot.queue.clone(),
            sending: self.sending.clone(),
            committed,
            options: self.shared.kafka.clone(),
        };
        let metrics = self.shared.metrics.of_a_part();
        let spawned = match &self.shared.work {
            Work::Store(options) => spawn_part(source, options.of_partition(partition), metrics),
            Work::Archive(archiving) => spawn_archiver_part(source, archiving.clone(), metrics),
        };
        match spawned {
            Ok(handle) => {
                slot.handle = Some(handle);
                slot.stage = Stage::Beginning;
            }
            Err(error) => self
                .shared
                .heard(format!("no thread for a worker: {error}")),
        }
    }

    fn advance(&self, partition: i32, slot: &mut Slot, most_bytes: usize, now: Instant) {
        if let Some(wanted) = slot.queue.take_wanted() {
            slot.stage = Stage::Seek(wanted);
        }
        match slot.stage {
            Stage::Seek(offset) => self.seek(partition, slot, offset),
            Stage::Flowing if slot.is_paused && slot.queue.has_room_again(most_bytes) => {
                self.resume(partition, slot);
            }
            // One that has lost its end would seem whole again as soon as it has grown.
            Stage::Halted(at) if now.duration_since(at) >= HALT_AGAIN && slot.may_be_mended() => {
                if !slot.queue.is_broken() || self.noted(self.fetch_anew(partition)) {
                    *slot = Slot::new();
                }
                return;
            }
            Stage::New | Stage::Beginning | Stage::Flowing | Stage::Halted(_) => {}
        }
        let has_halted = slot.handle.as_ref().is_some_and(has_ended);
        if has_halted && !matches!(slot.stage, Stage::Halted(_)) {
            self.pause(partition, slot);
            slot.stage = Stage::Halted(now);
        }
    }

    /// Fails until the client has taken note of the assignment; it is tried again.
    fn seek(&self, partition: i32, slot: &mut Slot, offset: i64) {
        let topic = &self.shared.kafka.topic;
        let sought = self
            .consumer
            .seek(topic, partition, Offset::Offset(offset), ASK);
        if let Err(error) = sought {
            tracing::debug!(error = shown(&error), partition, offset, "seek");
            return;
        }
        slot.order = Some(Order::from(offset));
        slot.times.begin_at(offset);
        slot.stage = Stage::Flowing;
        self.resume(partition, slot);
    }

    /// The client reads no further where it was told of a fault. It is to forget that, and who has which partition stays as it is.
    fn fetch_anew(&self, partition: i32) -> KafkaResult<()> {
        let mut list = self.list(partition);
        list.set_all_offsets(Offset::Beginning)?;
        self.consumer.incremental_unassign(&list)?;
        self.consumer.incremental_assign(&list)?;
        self.consumer.pause(&list)
    }

    fn pause(&self, partition: i32, slot: &mut Slot) {
        let paused = self.consumer.pause(&self.list(partition));
        slot.is_paused = self.noted(paused) || slot.is_paused;
    }

    fn resume(&self, partition: i32, slot: &mut Slot) {
        let resumed = self.consumer.resume(&self.list(partition));
        slot.is_paused = !self.noted(resumed);
        if !slot.is_paused {
            self.wake(partition);
        }
    }

    /// The library's thread that fetches from a partition's broker may sleep for a second, and is not told of a partition that is read
    /// again. A question wakes it.
    fn wake(&self, partition: i32) {
        let topic = &self.shared.kafka.topic;
        drop(self.consumer.fetch_watermarks(topic, partition, WAKE));
    }

    fn noted(&self, result: KafkaResult<()>) -> bool {
        result
            .map_err(|error| self.shared.heard(shown(&error)))
            .is_ok()
    }

    fn list(&self, partition: i32) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.shared.kafka.topic, partition);
        list
    }
}

fn ask_topic_id(consumer: &BaseConsumer<Callbacks>, topic: &str) -> Result<String, String> {
    let timeout_ms = i32::try_from(ASK.as_millis()).unwrap_or(i32::MAX);
    topic_id(consumer.client().native_ptr(), topic, timeout_ms)
        .map_err(|error| format!("topic {topic}: {error}"))
}
