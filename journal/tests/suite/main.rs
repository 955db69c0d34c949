//! The journal's tests, one binary.
#![expect(clippy::unwrap_used, reason = "a test that can not go on panics")]

mod common;
mod cursor;
mod damaged;
mod faults;
mod killed;
mod live;
mod model;
mod names;
mod plain;
mod room;
mod starved;
