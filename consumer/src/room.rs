//! Room for large batches: however many partitions are read, only a few of them hold a large batch in memory at a time. Others
//! wait with what they have. What must not live here: what a batch is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who has waited for so long goes on without: who has the room waits for a broker or a store, perhaps, that others do not need.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many large batches at the least: one is written while another is read.
const LEAST: usize = 2;

/// The room of a process.
#[derive(Clone, Debug)]
pub struct Rooms {
    batches: Arc<Semaphore>,
    patience: Duration,
}

/// The room of one batch, given back when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Default for Rooms {
    /// One more than there are processors: a batch that waits for the store's disk leaves its processor to another.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(LEAST, usize::from);
        Self::of((processors + 1).max(LEAST), PATIENCE)
    }
}

impl Rooms {
    fn of(batches: usize, patience: Duration) -> Self {
        Self {
            batches: Arc::new(Semaphore::new(batches)),
            patience,
        }
    }

    /// Waits for room, in turn.
    pub(crate) async fn take(&self) -> Room {
        let waiting = tokio::time::timeout(self.patience, self.batches.clone().acquire_owned());
        let permit = waiting.await.ok().and_then(Result::ok);
        Room {
            _permit: permit.map(Arc::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_given_back_with_the_last_copy() {
        let rooms = Rooms::of(1, Duration::from_mins(1));
        let first = rooms.take().await;
        let copy = first.clone();
        drop(first);
        assert_eq!(rooms.batches.available_permits(), 0, "a copy has it");
        let (second, ()) = tokio::join!(rooms.take(), async {
            tokio::task::yield_now().await;
            drop(copy);
        });
        assert_eq!(rooms.batches.available_permits(), 0, "it has the only one");
        drop(second);
        assert_eq!(rooms.batches.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_has_waited_long_goes_on_without() {
        let rooms = Rooms::of(1, Duration::from_millis(1));
        let _first = rooms.take().await;
        let _without = rooms.take().await;
        assert_eq!(rooms.batches.available_permits(), 0);
    }
}
