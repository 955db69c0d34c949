//! Kafka as a log: a member of a group, whose partitions each have a worker of their own. Only `owner`, `client`, `asking`,
//! `log`, `sending` and `topic_id` name the client library. What must not live here: what a record means.

mod asking;
mod client;
mod group;
mod log;
mod options;
mod owner;
mod partition;
mod queue;
mod sending;
mod slot;
mod topic_id;

pub(crate) use self::client::contradiction_of;
pub use self::group::{Group, GroupStatus};
pub use self::log::{KafkaLog, NotToBeRead};
pub use self::options::KafkaOptions;
