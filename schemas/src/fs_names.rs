//! The names of what lies in a data directory, so that every part finds it in the same place.

/// The gateway's journal.
pub const JOURNAL_DIR: &str = "journal";
/// The embedded engine's tables.
pub const ENGINE_DIR: &str = "engine";
/// Passwords and pseudonym keys; directory `0700`, files `0600`.
pub const SECRETS_DIR: &str = "secrets";
/// Where running parts say how to reach them.
pub const RUN_DIR: &str = "run";
/// The producer's lasting identity.
pub const PRODUCER_FILE: &str = "producer";
/// The consumer's cursor.
pub const CONSUMER_CURSOR: &str = "consumer.cursor";
/// Which cluster a consumer reads the log in.
pub const LOG_CLUSTER: &str = "log.cluster";
/// What producers said of themselves and no table took, beside the consumer's cursor.
pub const REFUSED_LIVES: &str = "refused-lives.jsonl";
/// What producers said of themselves and waits for a table that takes nothing, beside the consumer's cursor.
pub const WAITING_LIVES: &str = "waiting-lives.jsonl";
/// The publisher's cursor: everything before it is in Kafka.
pub const PUBLISHER_CURSOR: &str = "publisher.cursor";
/// The gateway's own cursor: every admission before it is settled.
pub const SETTLED_CURSOR: &str = "settled.cursor";
/// What operators declared about producers and the log does not have yet.
pub const DECLARED_DIR: &str = "declared";
