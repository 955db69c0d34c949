//! What the caller chooses. The cut rule is not among it: it belongs to the wire version.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::Client;

use crate::room::Rooms;
use crate::worker::Bounds;

/// Says at a named point whether the consumer is to stand still there, as if it had died.
pub type Hold = Arc<dyn Fn(&'static str) -> bool + Send + Sync>;

/// Settings of one consumer.
#[derive(Clone)]
pub struct Options {
    /// The store, as the user who may write.
    pub client: Client,
    /// Where the store has shards, one client each, in the order that maps partitions to them: a partition is written to its own
    /// shard alone. Empty where it has none.
    pub shards: Vec<Client>,
    /// The number that `client` has among them, where these are the options of one partition.
    pub shard: usize,
    /// The cursor file; its directory must exist.
    pub cursor: PathBuf,
    /// How long records wait for their batch to end before a cut record is appended.
    pub linger: Duration,
    /// How often the store is audited.
    pub audit_every: Duration,
    /// The first pause before a failed call is repeated; each further one is twice as long.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_most: Duration,
    /// How long the store is trusted to know a token: so often it is looked whether another writes the same.
    pub token_trust: Duration,
    /// How often it is looked whether all numbers that producers claim are in the store.
    pub watch_every: Duration,
    /// A producer that gives no sign of life for so long, and did not say that it ends, is silent.
    pub silent_after: Duration,
    /// The time of day in microseconds, for what is said of others.
    pub clock: fn() -> i64,
    /// For tests: where to stand still.
    pub hold: Option<Hold>,
    /// How many large batches all partitions together hold at a time.
    pub rooms: Rooms,
}

impl Options {
    /// The usual settings: a linger of 500 ms, an audit every 30 s, pauses from 50 ms to 5 s, a minute's
    /// trust in tokens, numbers looked for every 15 s, silence after a minute.
    pub fn new(client: Client, cursor: impl Into<PathBuf>) -> Self {
        Self {
            client,
            shards: Vec::new(),
            shard: 0,
            cursor: cursor.into(),
            linger: Duration::from_millis(500),
            audit_every: Duration::from_secs(30),
            retry_first: Duration::from_millis(50),
            retry_most: Duration::from_secs(5),
            token_trust: Duration::from_mins(1),
            watch_every: Duration::from_secs(15),
            silent_after: Duration::from_mins(1),
            clock: runtime::clock::now_us,
            hold: None,
            rooms: Rooms::default(),
        }
    }

    /// The same for a thread with a runtime of its own: it shares no connection to the store with another.
    #[must_use]
    pub(crate) fn apart(&self) -> Self {
        let mut options = self.clone();
        options.client = self.client.apart();
        options.shards = self.shards.iter().map(Client::apart).collect();
        options
    }

    /// The same for one partition of the log, whose shard is now the store.
    #[must_use]
    pub(crate) fn of_partition(&self, partition: i32) -> Self {
        let mut options = self.apart();
        options.shard = self.shard_of(partition);
        if !options.shards.is_empty() {
            options.client = options.shards.remove(options.shard);
        }
        options
    }

    /// Of all partitions' options: every server of the store, in the order of shards.
    pub(crate) fn servers(&self) -> &[Client] {
        if self.shards.is_empty() {
            std::slice::from_ref(&self.client)
        } else {
            &self.shards
        }
    }

    /// Of all partitions' options: the server that has a partition.
    pub(crate) fn server_of(&self, partition: i32) -> &Client {
        self.servers()
            .get(self.shard_of(partition))
            .unwrap_or(&self.client)
    }

    /// Of all partitions' options: the server that has what belongs to no partition.
    pub(crate) fn first_server(&self) -> &Client {
        self.servers().first().unwrap_or(&self.client)
    }

    /// The shard that a partition is written to; the first where there are none.
    pub(crate) fn shard_of(&self, partition: i32) -> usize {
        shard_of(partition, self.shards.len()).unwrap_or(0)
    }

    /// What the worker needs of it.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            linger: self.linger,
            retry_first: self.retry_first,
            retry_most: self.retry_most,
            token_trust: self.token_trust,
            ahead: i64::MAX,
        }
    }

    /// Comes by a named point: may not return, see [`runtime::failpoint`].
    pub(crate) async fn pass(&self, point: &'static str) {
        runtime::failpoint::hit(point);
        if self.hold.as_ref().is_some_and(|hold| hold(point)) {
            std::future::pending::<()>().await;
        }
    }
}

/// The shard of a partition; `None` where there are no shards. It never changes for a topic: what was written to one shard would
/// be written to another again. A store with other shards takes a new topic.
fn shard_of(partition: i32, shards: usize) -> Option<usize> {
    usize::try_from(partition).ok()?.checked_rem(shards)
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("cursor", &self.cursor)
            .field("linger", &self.linger)
            .field("audit_every", &self.audit_every)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_dealt_to_shards_in_turn() {
        let shards: Vec<_> = (0..6).map(|partition| shard_of(partition, 4)).collect();
        assert_eq!(shards, [0, 1, 2, 3, 0, 1].map(Some));
        assert_eq!(shard_of(5, 0), None);
    }

    #[test]
    fn a_partitions_own_shard_is_its_store_and_the_others_are_known() {
        let client = |database: &str| {
            Client::connect(
                "http://127.0.0.1:9",
                "x",
                store::Password::new(""),
                database,
            )
        };
        let mut options = Options::new(client("any"), "unused");
        assert_eq!(options.server_of(4).database(), "any");
        options.shards = ["s0", "s1", "s2"].map(client).to_vec();
        assert_eq!(options.server_of(4).database(), "s1");
        assert_eq!(options.first_server().database(), "s0");
        let of = options.of_partition(4);
        let others: Vec<_> = of.shards.iter().map(Client::database).collect();
        assert_eq!(
            (of.client.database(), &others[..]),
            ("s1", &["s0", "s2"][..])
        );
    }
}
