//! What the caller chooses of a group's member, and the settings of the client library that follow from it.

use std::path::PathBuf;
use std::time::Duration;

use runtime::kafka::{Pairs, TokenFile};
use schemas::promises::Promises;

/// A revoked partition's worker may take so long to bring its batch to an end.
pub(crate) const REVOKE_BOUND: Duration = Duration::from_secs(10);
/// A partition whose worker stopped is tried again after so long.
pub(crate) const HALT_AGAIN: Duration = Duration::from_secs(30);
/// All partitions together hold about so much that was read and not taken: one that has its share is paused.
const QUEUES_BYTES: usize = 48 << 20;
/// The least share and the most. What the client library holds of a partition that is paused is fetched twice: less of it with a larger
/// share.
const LEAST_QUEUE_BYTES: usize = 2 << 20;
const MOST_QUEUE_BYTES: usize = 16 << 20;
/// All partitions together hold so much in the client library, in KiB. What it holds of a partition that is paused is thrown away and
/// fetched again.
const CLIENT_QUEUE_KIB: &str = "4096";
/// A client library that holds so much looks again after this, in milliseconds; its own choice is a second.
const QUEUE_BACKOFF_MS: &str = "5";
/// A member that does not poll for so long is thrown out of the group.
const MAX_POLL_INTERVAL_MS: &str = "60000";
/// The same for who also asks the store which numbers are there: longer than several such questions take at most.
const MAX_LOOK_INTERVAL_MS: &str = "600000";

/// What each of so many partitions may hold.
pub(crate) fn queue_bytes(partitions: usize) -> usize {
    (QUEUES_BYTES / partitions.max(1)).clamp(LEAST_QUEUE_BYTES, MOST_QUEUE_BYTES)
}

/// A member of a group.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// How to reach the brokers and to be let in.
    pub connection: Pairs,
    /// The group.
    pub group: String,
    /// The topic of the records.
    pub topic: String,
    /// The topic of those that nobody could read.
    pub dead_letters: String,
    /// The topic of what producers say of themselves.
    pub producers: String,
    /// A member of which the group hears nothing for so long loses its partitions.
    pub session_timeout: Duration,
    /// Where it is remembered which cluster is read.
    pub cluster_file: PathBuf,
    /// What the topics must be; not looked at if absent.
    pub promised: Option<Promises>,
}

impl KafkaOptions {
    /// What every client takes.
    pub(crate) fn connection(&self) -> impl Iterator<Item = (&'static str, String)> {
        let pairs = self.connection.iter();
        pairs.map(|(name, value)| (name, value.to_owned()))
    }

    /// Where the current token is, if one is to be shown.
    pub(crate) fn token_file(&self) -> Option<TokenFile> {
        self.connection.token_file().cloned()
    }

    /// What every reader takes. It is never sent to an end of the log by itself.
    pub(crate) fn reading(&self) -> impl Iterator<Item = (&'static str, String)> {
        let own = [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_committed"),
            ("allow.auto.create.topics", "false"),
            ("check.crcs", "true"),
            ("queued.max.messages.kbytes", CLIENT_QUEUE_KIB),
            ("fetch.message.max.bytes", "1048576"),
            ("fetch.queue.backoff.ms", QUEUE_BACKOFF_MS),
            ("fetch.wait.max.ms", "50"),
        ];
        self.connection()
            .chain(own.map(|(name, value)| (name, value.to_owned())))
    }

    /// What the member of the group takes.
    pub(crate) fn joining(&self) -> impl Iterator<Item = (&'static str, String)> {
        let session = self.session_timeout.as_millis();
        let own = [
            ("group.id", self.group.clone()),
            ("partition.assignment.strategy", "cooperative-sticky".into()),
            ("session.timeout.ms", session.to_string()),
            ("heartbeat.interval.ms", (session / 6).max(200).to_string()),
            ("max.poll.interval.ms", MAX_POLL_INTERVAL_MS.into()),
        ];
        self.reading().chain(own)
    }

    /// The group that reads what producers say of themselves.
    pub(crate) fn lives_group(&self) -> String {
        format!("{}-producers", self.group)
    }

    /// What the member of that group takes. Without an offset it begins where the topic begins, never at its end. All partitions
    /// are given up at each change of the group; what was read of them and not written is written by whoever reads it again, and by
    /// who has it already.
    pub(crate) fn joining_lives(&self) -> impl Iterator<Item = (&'static str, String)> {
        let session = self.session_timeout.as_millis();
        let own = [
            ("group.id", self.lives_group()),
            ("auto.offset.reset", "earliest".into()),
            // That nothing more is there is well, too.
            ("enable.partition.eof", "true".into()),
            ("partition.assignment.strategy", "range".into()),
            ("session.timeout.ms", session.to_string()),
            ("heartbeat.interval.ms", (session / 6).max(200).to_string()),
            ("max.poll.interval.ms", MAX_LOOK_INTERVAL_MS.into()),
            // A topic that is made later is found within this.
            ("topic.metadata.refresh.interval.ms", "5000".into()),
        ];
        self.reading().chain(own)
    }

    /// What the sender of cuts and dead letters takes.
    pub(crate) fn sending(&self) -> impl Iterator<Item = (&'static str, String)> {
        let own = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("message.timeout.ms", "10000"),
            ("linger.ms", "0"),
            ("queue.buffering.max.messages", "100000"),
            // A record of the topic's bound, with the headers of a letter.
            ("message.max.bytes", "2097152"),
        ];
        self.connection()
            .chain(own.map(|(name, value)| (name, value.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use runtime::kafka::Connection;

    use super::*;

    #[test]
    fn partitions_share_what_a_member_may_hold() {
        let mib = [1, 3, 12, 48].map(|partitions| queue_bytes(partitions) >> 20);
        assert_eq!(mib, [16, 16, 4, 2]);
        assert_eq!(queue_bytes(0), MOST_QUEUE_BYTES);
    }

    #[test]
    fn deadlines_follow_each_other_and_no_reader_is_sent_to_an_end() {
        let poll_ms: u128 = MAX_POLL_INTERVAL_MS.parse().unwrap();
        assert!(REVOKE_BOUND.as_millis() * 2 < poll_ms);
        let connection = Connection {
            bootstrap: "a:9092".into(),
            tls: None,
            sasl: None,
        };
        let options = KafkaOptions {
            connection: Pairs::of(&connection, "test").unwrap(),
            group: "g".into(),
            topic: "t".into(),
            dead_letters: "d".into(),
            producers: "p".into(),
            session_timeout: Duration::from_secs(10),
            cluster_file: "c".into(),
            promised: None,
        };
        let joining: Vec<_> = options.joining().collect();
        assert!(joining.contains(&("auto.offset.reset", "error".into())));
        assert!(joining.contains(&("enable.auto.commit", "false".into())));
        let mut lives: std::collections::BTreeMap<_, _> = options.joining_lives().collect();
        assert_eq!(lives.remove("auto.offset.reset").unwrap(), "earliest");
        assert_eq!(lives.remove("group.id").unwrap(), "g-producers");
    }
}
