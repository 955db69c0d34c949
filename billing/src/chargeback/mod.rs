//! The chargeback report: who used what in a period, and what it costs.
//!
//! The store adds the units up over the *set* of events, per column of the report and per everything that decides
//! a price; the rest is pure: each sum is multiplied once, exactly, and added. Nothing here rounds.

mod coverage;
mod dimension;
mod exposure;
mod figures;
pub(crate) mod groups;
mod ledger;
mod plain;
pub(crate) mod pricing;
pub(crate) mod rate;
pub(crate) mod report;
mod request;
pub(crate) mod sql;
mod unreadable;

pub use coverage::{Coverage, Share};
pub use dimension::{BadDimension, Dimension};
pub use exposure::Exposure;
pub use figures::{Amount, Figures, Unpriced, Why};
pub use report::{LogPosition, PeriodSpan, Report, Row, report};
pub use request::{Request, Synthetic};
