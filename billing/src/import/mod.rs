//! What people bring along from another gateway: its keys become configuration, its history a table beside the ledger.
//!
//! A module a format says what its words mean, with its source. Nothing here becomes a usage event or enters a bill.

mod decimal;
mod keys;
mod ledger;
mod litellm_keys;
mod litellm_spend;
mod records;
mod refused;
mod report;
mod row;
mod scan;
mod spend;
mod tail;
mod time;

pub use decimal::{BadExact, Exact};
pub use keys::{ImportedKeys, KeyRequest, KeysError, import_keys};
pub use ledger::{Done, ImportSpendError, Mismatch, import_spend};
pub use litellm_spend::Naming;
pub use records::FileError;
pub use refused::{Refusals, Refused};
pub use report::{Column, ImportedReport, ImportedRequest, ImportedRow, imported};
pub use row::SpendRow;
pub use spend::{Figures, SpendError, Survey, TooLarge, survey};
