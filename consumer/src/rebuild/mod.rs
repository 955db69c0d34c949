//! Rebuild: the tables made again from the log, archive first and then what the log still has, beside the old ones; compared with
//! them, and put in their place. What a bill says is compared by who knows prices, not here.

mod compare;
mod ends;
mod error;
mod fill;
mod place;
mod records;

pub use compare::{Compared, Difference, Digest, compare, unread_logs};
pub use ends::{StoreEnds, cursor_end, store_ends};
pub use error::RebuildError;
pub use fill::{Filled, Lost, fill};
pub use place::{Equal, REBUILT, Replaced, Site};
pub use records::{LogToRead, Reads, Tail, boundaries_of, journal_records, journal_topic};
