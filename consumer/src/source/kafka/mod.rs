//! Kafka as a log: a member of a group, whose partitions each have a worker of their own. Only `owner`, `callbacks`, `client`,
//! `asking`, `letters`, `lives`, `log`, `progress`, `reach`, `reason`, `sending` and `topic_id` name the client library. What must not live here: what a record means.

mod asking;
mod callbacks;
mod client;
mod cluster;
mod damage;
mod group;
mod letters;
mod lives;
mod log;
mod note;
mod options;
mod owner;
mod partition;
mod progress;
mod promised;
mod queue;
mod reach;
mod reason;
mod sending;
mod slot;
mod told;
mod topic_id;

pub use self::asking::topic_identity;
pub(crate) use self::client::{replay_of, stated_in};
pub use self::group::{Group, GroupStatus};
pub use self::letters::{Delivered, LetterBox, Original};
pub use self::log::{KafkaLog, NotToBeRead};
pub use self::options::KafkaOptions;
pub use self::progress::{GroupProgress, Progress};
pub use self::sending::say_of_producer;
