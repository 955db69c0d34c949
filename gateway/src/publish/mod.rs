//! From the journal to Kafka: the synced prefix, in order, as it was written, until it is acknowledged.
//!
//! What must not live here: what a record means (`schemas`), the reading of the log (the consumer). Only `kafka` names the
//! client library.

mod cursor;
mod flight;
mod health;
mod kafka;
mod lag;
mod metrics;
mod offline;
mod options;
mod outgoing;
mod publisher;
mod replicas;
mod session;
mod settings;
mod sink;

pub use cursor::CursorError;
pub use metrics::Metrics;
pub(crate) use offline::producer_of;
pub use offline::{NotPublished, Published, publish_dir};
pub use publisher::{NoPublisher, Publisher, Publishing, Start};
pub use replicas::{Missed, Replicas};
pub use settings::{BadKafka, Kafka, RetireAfter, TopicPolicy};
pub use sink::{Progress, Readers};
