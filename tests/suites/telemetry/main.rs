//! What an operator sees of a request: its trace, its metrics, its line in the log.

mod collector;
mod metrics;
mod traces;
