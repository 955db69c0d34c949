//! The request door: reads of a body what routing and metering need, and refuses what two parsers could
//! read differently.
//!
//! The body is never re-serialised: what must change is spliced in, every other byte stays.

mod asked;
mod error;
mod form;
mod json;
mod members;
mod provider_state;
mod unbounded;

pub use asked::{Asked, Bound, Changes};
pub use error::DoorError;
pub use form::{FormScan, boundary};
pub use json::read_json;
