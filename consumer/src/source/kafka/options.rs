//! What the caller chooses of a group's member, and the settings of the client library that follow from it.

use std::time::Duration;

/// A revoked partition's worker may take so long to bring its batch to an end.
pub(crate) const REVOKE_BOUND: Duration = Duration::from_secs(10);
/// A partition whose worker stopped is tried again after so long.
pub(crate) const HALT_AGAIN: Duration = Duration::from_secs(30);
/// A partition holds at most so much that was read and not taken; then it is paused.
pub(crate) const QUEUE_BYTES: usize = 4 << 20;
/// All partitions together hold so much in the client library, in KiB.
const CLIENT_QUEUE_KIB: &str = "16384";
/// A member that does not poll for so long is thrown out of the group.
const MAX_POLL_INTERVAL_MS: &str = "60000";

/// A member of a group.
#[derive(Clone)]
pub struct KafkaOptions {
    /// How to reach the brokers and to be let in: names and values for the client library, of which some are secret.
    pub connection: Vec<(String, String)>,
    /// The group.
    pub group: String,
    /// The topic of the records.
    pub topic: String,
    /// The topic of those that nobody could read.
    pub dead_letters: String,
    /// A member of which the group hears nothing for so long loses its partitions.
    pub session_timeout: Duration,
}

impl std::fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("group", &self.group)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl KafkaOptions {
    /// What every client takes.
    pub(crate) fn connection(&self) -> impl Iterator<Item = (&str, String)> {
        self.connection
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
    }

    /// What every reader takes. It is never sent to an end of the log by itself.
    pub(crate) fn reading(&self) -> impl Iterator<Item = (&str, String)> {
        let own = [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_committed"),
            ("allow.auto.create.topics", "false"),
            ("check.crcs", "true"),
            ("queued.max.messages.kbytes", CLIENT_QUEUE_KIB),
            ("fetch.message.max.bytes", "1048576"),
            ("fetch.wait.max.ms", "50"),
        ];
        self.connection()
            .chain(own.map(|(name, value)| (name, value.to_owned())))
    }

    /// What the member of the group takes.
    pub(crate) fn joining(&self) -> impl Iterator<Item = (&str, String)> {
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

    /// What the sender of cuts and dead letters takes.
    pub(crate) fn sending(&self) -> impl Iterator<Item = (&str, String)> {
        let own = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("message.timeout.ms", "10000"),
            ("linger.ms", "0"),
            ("queue.buffering.max.messages", "100000"),
        ];
        self.connection()
            .chain(own.map(|(name, value)| (name, value.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_follow_each_other_and_no_reader_is_sent_to_an_end() {
        let poll_ms: u128 = MAX_POLL_INTERVAL_MS.parse().unwrap();
        assert!(REVOKE_BOUND.as_millis() * 2 < poll_ms);
        let options = KafkaOptions {
            connection: vec![("sasl.password".into(), "canary".into())],
            group: "g".into(),
            topic: "t".into(),
            dead_letters: "d".into(),
            session_timeout: Duration::from_secs(10),
        };
        let joining: Vec<_> = options.joining().collect();
        assert!(joining.contains(&("auto.offset.reset", "error".into())));
        assert!(joining.contains(&("enable.auto.commit", "false".into())));
        assert!(!format!("{options:?}").contains("canary"));
    }
}
