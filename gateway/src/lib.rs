//! Listener, authentication, admission, routing, upstream calls, metering.
//!
//! What must not live here: ClickHouse, prices, Kafka outside `publish`.

mod admit;
mod arrival;
mod backends;
mod body;
mod conclude;
pub mod config;
pub mod door;
mod drain;
mod estimate;
mod exchange;
mod forward;
mod gate;
mod head;
mod headers;
mod labels;
mod ledger;
mod listener;
pub mod meter;
mod metrics;
mod models;
mod ops;
mod pulse;
mod recovery;
mod refusal;
mod request_log;
mod snapshot;
mod start;
mod state;
mod strangers;
mod upstream;
mod vocabulary;

pub use snapshot::{BadConfig, Snapshot};
pub use start::{Prepared, Running, Start, StartError, prepare};
