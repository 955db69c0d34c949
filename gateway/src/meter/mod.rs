//! Metering: from the bytes of an answer to disjoint units.

pub mod dialect;
pub mod findings;
pub mod reader;
pub mod scan;
pub mod sse;
pub mod stream;
pub mod strip;
