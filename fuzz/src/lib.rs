//! What must hold for any bytes that come in: one module a target, each against a slow reference of its own.
//!
//! The targets are run three ways: replayed and mutated a little by `cargo test`, guided by coverage for a bounded time
//! in CI, and at length by `make fuzz` (see `docs/fuzzing.md`). What must not live here: the code under test.

mod boundary;
mod cuttings;
mod dialects;
mod document;
mod events;
mod form;
mod generate;
mod json;
pub mod mutate;
mod parts;
mod query;
mod record;
mod request;
pub mod seeds;
mod stream;
mod targets;

pub use targets::{TARGETS, Target};
