//! Whether the store has what Kafka has acknowledged: the journal keeps its segments until then.
//!
//! The readers of the topic commit an offset only after everything before it is in the store, so the offsets that their group has
//! committed are the confirmation. What must not live here: the client library; what a group is, the readers know.

mod checkpoints;
mod known;
mod readers;

pub(crate) use known::Sink;
pub use readers::{Progress, Readers};
