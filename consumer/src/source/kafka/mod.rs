//! Kafka as a log: a member of a group, whose partitions each have a worker of their own. Only `owner`, `client`, `asking`,
//! `sending` and `topic_id` name the client library. What must not live here: what a record means.

mod asking;
mod client;
mod group;
mod options;
mod owner;
mod partition;
mod queue;
mod sending;
mod slot;
mod topic_id;

pub use self::group::{Group, GroupStatus};
pub use self::options::KafkaOptions;
