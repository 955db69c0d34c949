//! The manifest: what stands beside an export and lets anyone check it without the ledger.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::chargeback::{LogPosition, Synthetic};
use crate::export::{ExportError, ExportFormat, Sums};

/// The shape of the manifest and of the columns; a column is added without, removed or changed with, a new number.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Which of the two exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A record for every row of the chargeback report.
    Summary,
    /// A record for every line of every request.
    Trail,
}

/// What an export is of, how it can be told from another, and what its columns add up to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The shape of this.
    pub format_version: u32,
    /// Summary or trail.
    pub kind: Kind,
    /// The format of the file.
    pub format: ExportFormat,
    /// The file's name, without its folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 over all of it.
    pub sha256: String,
    /// How many records it has.
    pub records: u64,
    /// The period, as it was asked for.
    pub period: String,
    /// The zone of its days.
    pub zone: String,
    /// Its first instant, µs since the epoch.
    pub start_us: i64,
    /// The first instant after it, µs since the epoch.
    pub end_us: i64,
    /// The columns by which the report was made.
    pub by: Vec<String>,
    /// The one tenant, if it was asked for one.
    pub tenant: Option<String>,
    /// How synthetic traffic was treated.
    pub synthetic: Synthetic,
    /// Synthetic requests that were left out.
    pub synthetic_requests_left_out: i128,
    /// Whether the cost that the file adds up to is all of it: nothing unpriced, flawed or unreadable. Files of older programs do not
    /// say it.
    #[serde(default)]
    pub complete: Option<bool>,
    /// Records of the log that could not be read, and so are in no record here.
    pub unreadable_records: i128,
    /// The log, up to which every record is in it.
    pub position: Vec<LogPosition>,
    /// The price book.
    pub price_version: String,
    /// The hash of the chargeback report that the file adds up to.
    pub report_hash: String,
    /// What the columns add up to; what is not named adds up to nothing.
    pub sums: Sums,
}

impl Manifest {
    /// Reads the manifest beside a file.
    pub fn beside(file: &Path) -> Result<Self, ExportError> {
        let path = super::manifest_path(file);
        let bad = |error: String| ExportError::Manifest {
            path: path.clone(),
            error,
        };
        let bytes = std::fs::read(&path).map_err(|error| bad(error.to_string()))?;
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if manifest.format_version != FORMAT_VERSION {
            let found = manifest.format_version;
            return Err(bad(format!("its version is {found}, not {FORMAT_VERSION}")));
        }
        Ok(manifest)
    }

    /// Whether another file is of the same report and has the same sums; else what tells them apart.
    pub fn same_report(&self, other: &Self) -> Result<(), &'static str> {
        if self.report_hash != other.report_hash {
            return Err("the hash of the report");
        }
        if self.sums != other.sums {
            return Err("a sum of their columns");
        }
        Ok(())
    }

    /// The text of its file.
    pub fn to_json(&self) -> Result<String, ExportError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
