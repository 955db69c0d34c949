//! The manifest of a segment: what it holds, its digests, and the digest of the manifest before it. A segment without one does not
//! exist. Nothing in it depends on who sealed it or when.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::ArchiveError;
use crate::log::LogId;

/// A manifest that does not say who wrote its last record: the log does not know, or its archiver did not ask.
pub(crate) const WITHOUT_WRITER: &str = "tollgate-archive-1";
/// A manifest that says it.
pub(crate) const WITH_WRITER: &str = "tollgate-archive-2";
/// A manifest is never larger.
pub(crate) const MAX_BYTES: u64 = 64 << 10;

/// Why a segment ends where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// It is large enough.
    Size,
    /// Its first record is old enough.
    Age,
    /// What follows was gone from the log before it could be archived.
    Gap,
}

impl Ends {
    /// The word in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Age => "age",
            Self::Gap => "gap",
        }
    }
}

/// Places that were gone from the log, or unreadable there, before they could be archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The first of them.
    pub first: i64,
    /// The next place that could be read.
    pub next: i64,
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(crate) format: String,
    /// The log's topic.
    pub topic: String,
    /// The topic's identity.
    pub topic_id: String,
    /// The log's partition.
    pub partition: i32,
    /// The segment's number in the chain, from 0.
    pub segment: u64,
    /// The boundary where it starts.
    pub first: i64,
    /// The place of its last record.
    pub last: i64,
    /// Who wrote that record, where the log knows: a copy of it that was put back and written on has another writer there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<String>,
    /// How many records.
    pub records: u64,
    /// What is missing between the segment before and this one.
    pub missing_before: Option<Missing>,
    /// Why it ends.
    pub ends: Ends,
    /// The time of its first record that has one, in microseconds since the epoch.
    pub first_time_us: Option<i64>,
    /// The latest time of a record in it.
    pub last_time_us: Option<i64>,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// The file's name, beside the manifest.
    pub file: String,
    /// Its size.
    pub file_bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// SHA-256 over the leaf hashes of the records in their order, in hex: as the digest of a batch.
    pub digest: String,
    /// SHA-256 of the manifest before, in hex; none for the first.
    pub previous: Option<String>,
}

impl Manifest {
    /// The bytes of its file.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| ArchiveError::damaged(self.name(), error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the bytes of a file that is called `name`.
    pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Self, ArchiveError> {
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        if let Ok(Format { format }) = serde_json::from_slice(bytes)
            && ![WITHOUT_WRITER, WITH_WRITER].contains(&&*format)
        {
            let what = name.to_owned();
            return Err(ArchiveError::Newer { what, format });
        }
        serde_json::from_slice(bytes).map_err(|error| ArchiveError::damaged(name, error))
    }

    /// What a manifest is called that says who wrote its last record, or does not. Where the log does not know, archivers of both
    /// versions write the same bytes.
    pub(crate) fn format_of(written_by: Option<&str>) -> &'static str {
        match written_by {
            Some(_) => WITH_WRITER,
            None => WITHOUT_WRITER,
        }
    }

    /// Its log.
    pub fn log(&self) -> LogId {
        LogId {
            topic: self.topic.clone(),
            topic_id: self.topic_id.clone(),
            partition: self.partition,
        }
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        self.log().manifest_name(self.segment)
    }

    /// The name of the file of records.
    pub fn segment_name(&self) -> String {
        format!("{}/{}", self.log().folder(), self.file)
    }
}

/// What the next manifest calls this one.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
