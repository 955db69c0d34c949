//! The rows of the store: a pure function of a log record's bytes and its place.
//!
//! Enums are written as their numbers (`Enum8`), times as microseconds (`DateTime64(6)`), unit counts as one
//! `Nullable(Int64)` column each. What a row says of money: nothing, rating belongs to billing.

mod audit;
mod convert;
mod digest;
mod macros;
pub mod numbers;
mod parts;
mod producer;
mod usage;

pub use audit::{AuditRow, CutRow};
pub use convert::{rows_of, rows_of_shared};
pub use digest::{BatchDigest, leaf_hash};
pub use parts::{Columns, Fate, Raw, Source, UuidHalves};
pub use producer::{ProducerRow, Unreadable};
pub use usage::{UsageHead, UsageRated, UsageRow};
