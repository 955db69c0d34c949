//! `[log] kafka`: where the log is, what its topics must promise, how to be let in. Secrets are named here, never held.

use runtime::kafka::{BadConnection, Connection, Sasl, Tls};
use schemas::promises::Promises;
use serde::Deserialize;

/// `[log.kafka]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// `host:port` of one or more brokers, with commas between.
    pub bootstrap: String,
    /// What the names of the topics begin with.
    #[serde(default = "prefix")]
    pub topic_prefix: String,
    /// The prefix of the generation of topics before this one: what was acknowledged there is not published here again.
    pub continues: Option<String>,
    /// What is done about topics at the start.
    #[serde(default)]
    pub topics: TopicPolicy,
    /// Partitions of the usage topic.
    #[serde(default = "partitions")]
    pub partitions: i32,
    /// Copies of every record.
    #[serde(default = "replication")]
    pub replication: i32,
    /// Copies without which nothing is acknowledged (`min.insync.replicas`).
    #[serde(default = "min_in_sync")]
    pub min_in_sync: i32,
    /// How long the topics keep records, in hours.
    #[serde(default = "retention_hours")]
    pub retention_hours: u64,
    /// How long a record may wait for others to share a batch with, in milliseconds.
    #[serde(default = "linger_ms")]
    pub linger_ms: u64,
    /// How batches are packed.
    #[serde(default)]
    pub compression: Packing,
    /// The most that may be on its way and not acknowledged, in MiB.
    #[serde(default = "queue_mib")]
    pub queue_mib: usize,
    /// How long a request of a tenant with durability `replicated` waits for its records to be acknowledged, in milliseconds.
    #[serde(default = "ack_timeout_ms")]
    pub ack_timeout_ms: u64,
    /// When a segment of the journal may go.
    #[serde(default)]
    pub retire_after: RetireAfter,
    /// The group of consumers whose offsets say what the store has; the consumer's if absent.
    pub group: Option<String>,
    /// Encryption; none if absent.
    pub tls: Option<Tls>,
    /// How to be let in; no credential if absent.
    pub sasl: Option<Sasl>,
}

fn prefix() -> String {
    schemas::topics::DEFAULT_PREFIX.to_owned()
}

fn partitions() -> i32 {
    12
}

fn replication() -> i32 {
    3
}

fn min_in_sync() -> i32 {
    2
}

fn retention_hours() -> u64 {
    7 * 24
}

fn linger_ms() -> u64 {
    5
}

fn queue_mib() -> usize {
    32
}

fn ack_timeout_ms() -> u64 {
    5_000
}

/// When a segment of the journal may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetireAfter {
    /// When the store has what is in it: the consumers' group has committed it.
    #[default]
    Sink,
    /// When Kafka has acknowledged what is in it.
    Kafka,
}

/// How batches are packed. Not every service takes every way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Small and quick.
    #[default]
    Zstd,
    /// For services that know no other.
    Gzip,
    /// For services that know none.
    None,
}

impl Packing {
    /// As the client library names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }
}

/// What is done about topics at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicPolicy {
    /// Those that are missing are made; those that are there must keep what is configured here.
    #[default]
    Create,
    /// They must be there and keep what is configured here.
    Check,
    /// They must be there. For services that do not show the settings of a topic.
    Trust,
}

/// What is wrong with `[log] kafka`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log.kafka: {message}")]
pub struct BadKafka {
    /// A setting near which the fault stands.
    pub setting: &'static str,
    /// What is wrong, and the way out.
    pub message: String,
}

fn bad(setting: &'static str, message: impl Into<String>) -> BadKafka {
    BadKafka {
        setting,
        message: message.into(),
    }
}

impl From<BadConnection> for BadKafka {
    fn from(bad: BadConnection) -> Self {
        Self {
            setting: bad.setting,
            message: bad.message,
        }
    }
}

impl Kafka {
    /// Paths become relative to `base`.
    pub fn resolve(&mut self, base: &std::path::Path) {
        self.tls.iter_mut().for_each(|tls| tls.resolve(base));
        self.sasl.iter_mut().for_each(|sasl| sasl.resolve(base));
    }

    /// How the brokers are reached.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection {
            bootstrap: self.bootstrap.clone(),
            tls: self.tls.clone(),
            sasl: self.sasl.clone(),
        }
    }

    /// What its topics must be.
    #[must_use]
    pub fn promises(&self) -> Promises {
        Promises {
            topic_prefix: self.topic_prefix.clone(),
            partitions: self.partitions,
            replication: self.replication,
            min_in_sync: self.min_in_sync,
            retention_hours: self.retention_hours,
        }
    }

    /// Whether it holds together. Reads nothing.
    pub fn check(&self) -> Result<(), BadKafka> {
        let connection = self.connection();
        connection.check()?;
        if connection.is_by_token() && self.topics != TopicPolicy::Trust {
            return Err(bad(
                "topics",
                "with OAUTHBEARER the settings of topics can not be asked for: make the topics and add `topics = \"trust\"`",
            ));
        }
        if self.partitions < 1 || self.partitions > 1_000 {
            return Err(bad("partitions", "`partitions` must be from 1 to 1000"));
        }
        if self.replication < 1 || self.min_in_sync < 1 || self.min_in_sync > self.replication {
            return Err(bad(
                "min_in_sync",
                "`min_in_sync` must be from 1 to `replication`",
            ));
        }
        if self.queue_mib == 0 || self.queue_mib > 1_024 {
            return Err(bad("queue_mib", "`queue_mib` must be from 1 to 1024"));
        }
        if self.ack_timeout_ms == 0 {
            return Err(bad("ack_timeout_ms", "`ack_timeout_ms` must be above 0"));
        }
        let topics = &self.topic_prefix;
        if self.continues.as_ref() == Some(topics) {
            return Err(bad(
                "continues",
                "`continues` names the prefix that was before, and is `topic_prefix`: leave it out, or give the new topics a prefix of their own",
            ));
        }
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topics.len() > 200 || !topics.chars().all(is_legal) {
            return Err(bad(
                "topic_prefix",
                "`topic_prefix` may have letters, digits, `.`, `_` and `-`, at most 200",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything but the brokers has a default.
    fn read(text: &str) -> Result<Kafka, String> {
        let pairs: serde_json::Value = serde_json::from_str(text).unwrap();
        let kafka: Kafka = serde_json::from_value(pairs).map_err(|error| error.to_string())?;
        kafka.check().map_err(|bad| bad.to_string())?;
        Ok(kafka)
    }

    #[test]
    fn brokers_are_enough() {
        let kafka = read(r#"{"bootstrap":"a:9092"}"#).unwrap();
        assert_eq!((kafka.partitions, kafka.min_in_sync), (12, 2));
    }

    #[test]
    fn what_can_not_work_is_refused_with_the_way_out() {
        for (text, word) in [
            (r#"{"bootstrap":" "}"#, "host:port"),
            (r#"{"bootstrap":"a","replication":1}"#, "min_in_sync"),
            (r#"{"bootstrap":"a","partitions":0}"#, "partitions"),
            (r#"{"bootstrap":"a","topic_prefix":"a b"}"#, "topic_prefix"),
            (r#"{"bootstrap":"a","password":"x"}"#, "unknown field"),
            (
                r#"{"bootstrap":"a","sasl":{"mechanism":"PLAIN","username":"u","password_env":"P"}}"#,
                "in the clear",
            ),
            (
                r#"{"bootstrap":"a","tls":{},"sasl":{"mechanism":"OAUTHBEARER","token_file":"t"}}"#,
                "trust",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
