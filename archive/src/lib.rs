//! The archive: sealed, compressed segments of a log with a digest manifest each, the log of record beyond the journal's and
//! Kafka's retention. Who reads a log and when a record was appended is told to it; what a record means must not live here.

mod chain;
mod directory;
mod entry;
mod error;
mod hashing;
mod log;
mod manifest;
mod rule;
mod sealer;
mod segment;
mod shelf;
mod verify;

pub use chain::{Chain, Item, logs};
pub use directory::Directory;
pub use entry::{Entry, Envelope};
pub use error::ArchiveError;
pub use log::LogId;
pub use manifest::{Ends, Manifest, Missing};
pub use rule::{Boundaries, Limits};
pub use sealer::{Due, Sealed, Sealer};
pub use segment::Segment;
pub use shelf::{Draft, Put, Shelf};
pub use verify::{Finding, Verdict, verify};
