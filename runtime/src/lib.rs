//! What every process needs and no domain is in: logs, shutdown, configuration files, the clock, failpoints, secrecy,
//! spans to a collector, how Kafka is reached.
//!
//! What must not live here: anything that knows of requests, records or money.

pub mod clock;
pub mod config;
pub mod failpoint;
pub mod kafka;
pub mod otlp;
pub mod secrecy;
pub mod shutdown;
pub mod telemetry;
