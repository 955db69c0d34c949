//! One assigned partition as a source, as its worker sees it: the queue that the owner fills, the group's offset as its mark.

use std::sync::Arc;
use std::time::Duration;

use schemas::rows::Source as Place;
use tokio::time::Instant;

use super::super::{Read, Reader, Source, SourceError};
use super::asking::Again;
use super::queue::Queue;
use super::sending::Sending;
use crate::commit::{CommitError, Keeper, Loaded, Mark};
use crate::decode::Rows;
use crate::options::Options;
use crate::worker::Fate;

/// An assigned partition.
pub(crate) struct KafkaPartition {
    pub place: Place,
    pub queue: Arc<Queue>,
    pub sending: Arc<Sending>,
    /// What the group had committed when it was assigned, and the shard of the store that had it.
    pub committed: Option<(i64, usize)>,
    pub options: super::KafkaOptions,
}

impl Source for KafkaPartition {
    type Reader = KafkaReader;

    fn place(&self) -> &Place {
        &self.place
    }

    fn first_kept(&self) -> i64 {
        self.queue.bounds().0
    }

    fn readable_end(&self) -> i64 {
        self.queue.bounds().1
    }

    /// Where a log begins is what one broker says at one moment. What is not read for it is never read, so it is tried to read the place.
    fn is_gone(&self, place: i64) -> Result<bool, SourceError> {
        match self.read_again(place).read() {
            Ok(_) => Ok(false),
            Err(SourceError::Retired { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Brokers do not say who wrote; the topic's identity, in the place, tells one log from another.
    fn written_by(&self, _: i64) -> Option<String> {
        None
    }

    fn read_from(&self, offset: i64) -> KafkaReader {
        self.queue.want(offset);
        KafkaReader::Queue {
            queue: self.queue.clone(),
            position: offset,
        }
    }

    fn read_again(&self, offset: i64) -> KafkaReader {
        let end = self.readable_end();
        let named = self.place.topic.as_str().rsplit_once(':');
        KafkaReader::Again(Box::new(Again::new(
            &self.options,
            named.map(|(_, topic_id)| topic_id),
            self.place.partition,
            offset,
            end,
        )))
    }

    fn append_cut(&self) -> Result<(), SourceError> {
        self.sending
            .cut(self.place.partition)
            .map_err(SourceError::NoCut)
    }

    fn keeper(&self, _: &Options) -> Box<dyn Keeper> {
        Box::new(Offset {
            queue: self.queue.clone(),
            committed: self.committed.map(|(at, _)| at),
        })
    }

    fn archived(&self, boundary: i64) {
        self.queue.commit(boundary);
    }

    async fn dead_letters(&self, rows: &Rows) -> Fate {
        match self.sending.dead_letters(rows).await {
            Ok(()) => Fate::Done,
            Err(error) => {
                tracing::warn!(%error, "dead letters are not passed on yet; they are tried again");
                Fate::NotDone
            }
        }
    }

    fn written_shard(&self) -> Option<usize> {
        self.committed.map(|(_, shard)| shard)
    }
}

/// Of a log that has more, something comes within this, or there is none that could be read.
const SILENCE: Duration = Duration::from_secs(1);

/// The group's offset of the partition.
struct Offset {
    queue: Arc<Queue>,
    committed: Option<i64>,
}

impl Keeper for Offset {
    fn load(&mut self, _: &Place) -> Result<Loaded, CommitError> {
        Ok(self.committed.map_or(Loaded::Nothing, Loaded::Boundary))
    }

    /// Sent by the owner, if this assignment still stands; what is not kept is written again, which changes nothing.
    fn store(&mut self, mark: &Mark) -> Result<(), CommitError> {
        if mark.in_work.is_none() {
            self.queue.commit(mark.committed);
        }
        Ok(())
    }
}

/// Reads what the owner was given, or, for a repair, by a client of its own.
pub(crate) enum KafkaReader {
    Queue { queue: Arc<Queue>, position: i64 },
    Again(Box<Again>),
}

impl Reader for KafkaReader {
    fn position(&self) -> i64 {
        match self {
            Self::Queue { position, .. } => *position,
            Self::Again(again) => again.position(),
        }
    }

    fn read(&mut self) -> Result<Read, SourceError> {
        match self {
            Self::Queue { queue, position } => {
                let read = queue.pop()?;
                match &read {
                    Read::Record(record) => *position = record.offset + 1,
                    Read::Lost { next, .. } => *position = *next,
                    Read::CaughtUp => {}
                }
                Ok(read)
            }
            Self::Again(again) => again.read(),
        }
    }

    async fn wait(&self) -> Result<(), SourceError> {
        if let Self::Queue { queue, .. } = self {
            queue.more().await;
        }
        Ok(())
    }

    /// The log has more than was fetched. Places without a record may be all there is of it, so that this does not hold for long.
    fn on_its_way_until(&self) -> Option<Instant> {
        let Self::Queue { queue, position } = self else {
            return None;
        };
        (*position < queue.bounds().1).then(|| queue.fed_at() + SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use schemas::RecordKind;

    use super::super::super::Record;
    use super::*;

    /// A cut in the middle of a backlog would only make its batches smaller.
    #[test]
    fn more_is_on_its_way_until_the_end_is_read_or_nothing_came_for_long() {
        let queue = Arc::new(Queue::default());
        queue.set_bounds(0, 2);
        for offset in 0..2 {
            queue.push(Record {
                offset,
                kind: RecordKind::Usage,
                bytes: vec![0; 8].into(),
                stated: None,
                kept: None,
                replay_of: None,
            });
        }
        queue.tell();
        let fed = Instant::now();
        let mut reader = KafkaReader::Queue { queue, position: 0 };
        assert!(matches!(reader.read(), Ok(Read::Record(_))));
        let until = reader.on_its_way_until().unwrap();
        assert!(until <= fed + SILENCE, "it does not hold for ever");
        assert!(matches!(reader.read(), Ok(Read::Record(_))));
        assert_eq!(reader.on_its_way_until(), None, "the end is read");
    }
}
