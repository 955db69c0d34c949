//! Listener, authentication, admission, routing, upstream calls, metering.
//!
//! What must not live here: ClickHouse, prices, Kafka outside `publish`.

mod admit;
mod arrival;
mod attempts;
mod backends;
mod body;
mod conclude;
pub mod config;
pub mod door;
mod drain;
mod durable;
pub mod endpoint;
mod ends;
mod estimate;
mod exchange;
mod forward;
mod framing;
mod gate;
mod head;
mod headers;
mod labels;
mod ledger;
mod limits;
mod linger;
mod listener;
pub mod meter;
mod metrics;
mod models;
mod ops;
mod paths;
mod patient;
mod producer;
pub mod publish;
mod pulse;
pub mod query;
mod recovery;
mod refusal;
mod replay;
mod request_body;
mod request_log;
mod retry;
mod snapshot;
mod start;
mod state;
mod strangers;
mod throttle;
pub mod trace;
mod unsettled;
mod upload;
mod upstream;
mod usage_raw;
mod vocabulary;

pub use producer::{NoName, kept as kept_producer};
pub use snapshot::{BadConfig, Snapshot};
pub use start::{Prepared, Running, Start, StartError, prepare};
