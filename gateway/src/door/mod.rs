//! The request door: reads of a body what routing and metering need, and refuses what two parsers could
//! read differently.
//!
//! The body is never re-serialised: what must change is spliced in, every other byte stays.

mod chat;
mod error;
mod members;

pub use chat::{ChatRequest, read_chat};
pub use error::DoorError;
