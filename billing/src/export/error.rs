//! What can go wrong with an export or its verification.

use std::io;
use std::path::PathBuf;

use crate::BillingError;

/// An export was not made, or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger or the report.
    #[error(transparent)]
    Billing(#[from] BillingError),
    /// The file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The bytes of a CSV file could not be made.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The bytes of a JSON file could not be made.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The bytes of a Parquet file could not be made.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The output took no more bytes.
    #[error("cannot write the export: {0}")]
    Output(io::Error),
    /// An amount that a Parquet decimal does not hold.
    #[error(
        "{column} is {value}: Parquet's DECIMAL(38) has at most {integer_digits} digits before the point, so nothing is written; export as csv or json"
    )]
    TooWide {
        /// Where it stands.
        column: String,
        /// What it is.
        value: String,
        /// How many digits there is room for.
        integer_digits: usize,
    },
    /// The ledger changed from one reading to the next.
    #[error(
        "records came into the period while it was exported, {0} times in a row: take a period that has ended, or run it again"
    )]
    Moving(usize),
    /// The trail is not the summary.
    #[error(
        "the trail does not add up to the summary ({0}): nothing is written; this is a fault of tollgate, please report it"
    )]
    Unequal(String),
    /// Parquet has its directory at the end and cannot go to a pipe.
    #[error("parquet needs a file: give --out a name")]
    NeedsFile,
    /// The manifest of a file.
    #[error(
        "{path} is no manifest ({error}): it is written beside the export and must be kept with it"
    )]
    Manifest {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// A file is not what its manifest says.
    #[error(
        "{path}: {what} is {found}, its manifest says {said}: the file or its manifest was changed"
    )]
    Changed {
        /// Which.
        path: PathBuf,
        /// The figure.
        what: String,
        /// What the file has.
        found: String,
        /// What the manifest has.
        said: String,
    },
    /// A file whose contents cannot be read back.
    #[error("{path}: record {record}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        record: u64,
        /// What is wrong there.
        error: String,
    },
    /// Two files that should be of one report are not.
    #[error("{first} and {second} are not of the same report: {what} differs")]
    NotTogether {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What tells them apart.
        what: &'static str,
    },
}
