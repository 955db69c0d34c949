//! The harness of the end-to-end tests: a whole Tollgate over a simulated provider, ways to hurt it, and ways to read
//! what it wrote down. No suite and no claim about behaviour lives here.

mod binary;
mod books;
pub mod command;
pub mod faulty;
mod http;
mod journal;
mod kafka;
mod kafka_tool;
mod kafka_view;
mod life;
mod node;
mod ports;
mod process;
mod proxy;
mod python;
pub mod raw;
mod rig;
pub mod secure;
mod seed;
mod setup;
mod stack;
mod store;
mod truth;
mod wait;

pub use binary::{target_dir, tollgate};
pub use books::{Books, Sent, UNREADABLE};
pub use http::{App, Ask, Whole};
pub use journal::{Hurt, JournalContents, hurt, read_journal};
pub use kafka::{Broker, Brokers, Cluster, Door};
pub use kafka_tool::{by_console_consumer, kafka_tool};
pub use kafka_view::{At, Part, TopicView, partitions};
pub use life::Life;
pub use node::node;
pub use ports::free_address;
pub use process::Serving;
pub use proxy::{Proxy, Weather};
pub use python::{interpreter, printed, python};
pub use rig::{Plan, Rig};
pub use seed::seed;
pub use setup::{KEYS, Key, MODELS, Setup};
pub use stack::Stack;
pub use store::StoredEvent;
pub use truth::Truth;
pub use wait::{DEADLINE, eventually, eventually_in, listens, within};
