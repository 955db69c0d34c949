//! Exports: the monthly summary and the request trail as files, and the proof that they say the same.
//!
//! The summary is the chargeback report; the trail is every request of it, one record a line, rated by the same
//! function. Both end in the same measures, so that a column of one adds up to that of the other. What must not live
//! here: rules of prices.

mod column;
mod csv;
mod error;
mod json;
mod manifest;
mod measures;
mod page;
mod parquet;
mod record;
mod run;
mod sink;
mod summary;
mod sums;
mod target;
mod trail;
mod verify;

pub use error::ExportError;
pub use manifest::{Kind, Manifest};
pub use run::{Export, export};
pub use sink::{BadExportFormat, ExportFormat};
pub use sums::Sums;
pub use target::{Target, manifest_path};
pub use verify::{Verified, verify};
