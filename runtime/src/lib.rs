//! What every process needs and no domain is in: logs, shutdown, configuration files, the clock, failpoints, secrecy,
//! spans to a collector, how Kafka is reached, the operators' door, durable directories, the limit of open files, memory that was
//! freed, whose thread goes first.
//!
//! What must not live here: anything that knows of requests, records or money.

pub mod clock;
pub mod config;
pub mod descriptors;
pub mod dirs;
pub mod failpoint;
pub mod kafka;
pub mod memory;
pub mod operators;
pub mod otlp;
pub mod priority;
pub mod secrecy;
pub mod shutdown;
pub mod telemetry;
