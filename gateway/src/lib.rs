//! Listener, authentication, admission, routing, upstream calls, metering, publisher.
//!
//! What must not live here: ClickHouse, prices.

pub mod meter;
