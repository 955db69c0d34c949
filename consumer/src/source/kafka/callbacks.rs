//! What the client library calls back, always from within a poll of the owner's: the log, the group's assignment, and what
//! became of commits.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;

use super::client::{log, shown, token};
use super::group::Shared;
use super::note::note;
use super::options::REVOKE_BOUND;
use super::reason::told;
use super::slot::{Slot, abandon, has_ended};
use crate::handle::Handle;

/// The last commit of partitions that are left is tried for so long.
const COMMIT_BOUND: Duration = Duration::from_secs(3);
/// The pause between two tries of it.
const COMMIT_AGAIN: Duration = Duration::from_millis(100);

/// State that callbacks share with the owner.
pub(super) struct Callbacks {
    pub(super) slots: Mutex<BTreeMap<i32, Slot>>,
    pub(super) topic: String,
    pub(super) topic_id: Mutex<String>,
    pub(super) shared: Arc<Shared>,
}

impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        token(self.shared.kafka.token_file().as_ref())
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.shared.fail(format!("the client gave up: {reason}"));
        }
        told(&self.shared, &error, reason);
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let result = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list)
        } else {
            self.revoked(consumer, list);
            consumer.incremental_unassign(list)
        };
        if let Err(error) = result {
            self.shared
                .fail(format!("the assignment failed: {}", shown(&error)));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, list: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::info!(
                error = shown(&error),
                "a commit was not taken; it is tried again"
            );
            return;
        }
        let slots = self.slots.lock();
        for element in list.elements() {
            let slot = slots.get(&element.partition());
            if let (Some(slot), Ok(()), Offset::Offset(at)) =
                (slot, element.error(), element.offset())
            {
                slot.queue.committed(at);
            }
        }
    }
}

impl Callbacks {
    /// Nothing flows before the worker has said from where.
    fn assigned(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &mut TopicPartitionList,
    ) -> KafkaResult<()> {
        list.set_all_offsets(Offset::Beginning)?;
        consumer.incremental_assign(list)?;
        consumer.pause(list)?;
        let mut slots = self.slots.lock();
        for element in list.elements() {
            slots.insert(element.partition(), Slot::new());
        }
        tracing::info!(partitions = ?partitions(list), "partitions assigned");
        Ok(())
    }

    /// Waits for the workers up to a bound, and keeps what they did; those of partitions that are already another's are dropped.
    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let is_lost = consumer.assignment_lost();
        tracing::info!(partitions = ?partitions(list), is_lost, "partitions revoked");
        let mut slots = self.slots.lock();
        let leaving: BTreeMap<i32, Slot> = partitions(list)
            .into_iter()
            .filter_map(|partition| Some((partition, slots.remove(&partition)?)))
            .collect();
        drop(slots);
        if is_lost {
            for slot in leaving.into_values() {
                abandon(slot);
            }
        } else {
            self.leave(consumer, leaving);
        }
    }

    /// Workers end, then what they did is committed, also what was sent before and not confirmed.
    pub(super) fn leave(&self, consumer: &BaseConsumer<Self>, leaving: BTreeMap<i32, Slot>) {
        let handles = || leaving.values().filter_map(|slot| slot.handle.as_ref());
        handles().for_each(Handle::stop);
        let deadline = Instant::now() + REVOKE_BOUND;
        while handles().any(|handle| !has_ended(handle)) && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        let owed = leaving
            .iter()
            .filter_map(|(partition, slot)| Some((*partition, slot.queue.owed()?)));
        self.commit_last(consumer, &owed.collect::<Vec<_>>());
        leaving.into_values().for_each(abandon);
    }

    /// While a group finds its next form it takes no commits for a moment. What is not kept in the end is read again by
    /// whoever has the partition, which changes nothing.
    fn commit_last(&self, consumer: &BaseConsumer<Self>, owed: &[(i32, i64)]) {
        let deadline = Instant::now() + COMMIT_BOUND;
        while let Err(error) = self.commit(consumer, owed, CommitMode::Sync) {
            let is_final = error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownMemberId);
            if is_final || Instant::now() >= deadline {
                tracing::warn!(error = shown(&error), "the last commit was not taken");
                return;
            }
            std::thread::park_timeout(COMMIT_AGAIN);
        }
    }

    pub(super) fn commit(
        &self,
        consumer: &BaseConsumer<Self>,
        commits: &[(i32, i64)],
        mode: CommitMode,
    ) -> KafkaResult<()> {
        if commits.is_empty() {
            return Ok(());
        }
        let topic_id = self.topic_id.lock().clone();
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for (partition, boundary) in commits {
            let mut element = list.add_partition(&self.topic, *partition);
            element.set_metadata(note(&topic_id, self.shared.work.shard_of(*partition)));
            element.set_offset(Offset::Offset(*boundary))?;
        }
        consumer.commit(&list, mode)
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    let elements = list.elements();
    elements
        .iter()
        .map(TopicPartitionListElem::partition)
        .collect()
}
