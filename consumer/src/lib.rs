//! The consumer: read ▸ cut ▸ decode ▸ write ▸ commit, from a log into the store; and the audit of what is there.
//!
//! One stage a file, [`run`](crate::spawn) puts them together. Where a batch ends is read from the log, so every reader makes
//! the same batches with the same rows and the same tokens, however often it dies and begins again. What must not live here:
//! HTTP to apps, prices.

mod archiving;
mod audit;
mod begin;
mod commit;
mod cut;
mod decode;
mod error;
#[cfg(test)]
mod group_model;
mod handle;
mod horizon;
pub mod letters;
mod lives;
mod metrics;
#[cfg(test)]
mod model;
mod options;
mod order;
mod read;
pub mod rebuild;
mod replay;
mod room;
mod run;
#[cfg(test)]
#[path = "../tests/suite/events.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod sample;
mod signals;
mod source;
mod start;
mod status;
mod worker;
mod write;

pub use archiving::{ArchiveMetrics, Archiving};
pub use commit::{CommitError, CursorFile, InWork, Keeper, Loaded, Mark, load as load_mark};
pub use decode::{ByMonth, Newer, Pieces, Rows};
pub use error::Halt;
pub use handle::{Handle, THREAD_NAME, spawn, spawn_archiver};
pub use horizon::horizon_findings;
pub use lives::{Aside, Gap, ProducerNews, Report};
pub use options::{Hold, Options};
pub use replay::{ReplayError, Replayed, replay};
pub use room::Rooms;
pub use source::{
    Delivered, Group, GroupProgress, GroupStatus, JournalSource, KafkaLog, KafkaOptions, Kept,
    LetterBox, NotToBeRead, Original, Progress, Read, Reader, Record, Source, SourceError, Stated,
    say_of_producer, topic_identity,
};
pub use start::NotThisLog;
pub use status::{State, Status};
pub use worker::Fate;
pub use write::token;
