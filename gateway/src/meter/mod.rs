//! Metering: from the bytes of an answer to disjoint units.

mod choices;
pub mod coding;
pub mod dialect;
mod fault;
pub mod findings;
mod keys;
mod merge;
mod places;
pub mod reader;
pub mod scan;
pub mod sniff;
pub mod sse;
pub mod stream;
pub mod strip;
mod tally;
mod texts;
pub mod tools;
pub mod transcript;
