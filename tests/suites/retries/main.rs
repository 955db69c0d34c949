//! Calls that are made again: one record, one charge, the same bytes, and an end to it.

mod answers;
mod breaks;
mod ends;
mod forms;
mod plan;
mod provider;
