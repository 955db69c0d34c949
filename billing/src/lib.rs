//! Price files, periods, the chargeback report, the audit trail, how they are printed, and all of it over HTTP.
//!
//! Reads ClickHouse through `store`, never the log itself. What must not live here: providers, Kafka, and how an
//! event comes to be. Rating is a pure function of sums and a price book; see `chargeback`.

pub mod api;
pub mod audit;
pub mod chargeback;
pub mod completeness;
mod error;
pub mod export;
pub mod import;
pub mod period;
pub mod prices;
pub mod producers;
pub mod render;
mod sql;
pub mod statement;

pub use error::BillingError;
pub use period::Period;
