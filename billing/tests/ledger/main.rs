//! Reports and the trail over the real engine: what the SQL adds up is what the events say.

mod api;
mod audit;
mod chargeback;
mod common;
mod completeness;
mod coverage;
mod doubtful;
mod export;
mod export_files;
mod fractions;
mod import;
mod mispricing;
mod rated;
mod recompute;
mod replay;
mod retried;
mod shown;
