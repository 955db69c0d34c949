//! The gateway's metrics. Every figure comes from a closed record, from a gauge of the process, or from a connection being made; labels come from
//! closed lists, or from the configuration within a cap. A request pays atomic additions: no lock, no text is made.
//!
//! What must not live here: accounting. A metric may round, cap and forget; a record must not.

mod axes;
mod capped;
mod gateway;
mod histogram;
mod register;
mod series;
mod table;

pub use gateway::{Connect, Metrics};
pub use register::register_spans;
