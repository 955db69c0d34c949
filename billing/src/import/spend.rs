//! Reads an export of spend: its rows, its totals, and what was not taken. No store here; see `ledger`.
//!
//! The file's totals are added up from the figures as they stand in each record, before anything is decided about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemas::Micros;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::decimal::Exact;
use super::litellm_spend::{self, Naming};
use super::records::{FileError, Records};
use super::refused::{Refusals, Refused};
use super::row::SpendRow;

/// The most rows of one file: each is remembered, so that none counts twice.
pub const MAX_ROWS: usize = 10_000_000;
/// The most rows that are handed on at once.
const CHUNK_ROWS: usize = 10_000;
/// The most bytes of their names: they go into one query.
const CHUNK_BYTES: usize = 512 << 10;

/// What rows add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Rows.
    pub rows: u64,
    /// Tokens in.
    pub input_tokens: i128,
    /// Tokens out.
    pub output_tokens: i128,
    /// Tokens in all, as the source has it.
    pub total_tokens: i128,
    /// Money.
    pub spend: Exact,
}

/// The sum left the range in which it is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the spend of all rows is too large to be kept exactly: import the file in parts")]
pub struct TooLarge;

impl Figures {
    /// What a row counts.
    pub(super) fn of(row: &SpendRow) -> Self {
        Self {
            rows: 1,
            input_tokens: row.input_tokens.into(),
            output_tokens: row.output_tokens.into(),
            total_tokens: row.total_tokens.into(),
            spend: row.spend,
        }
    }

    /// Adds others.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), TooLarge> {
        self.rows += other.rows;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.total_tokens += other.total_tokens;
        self.spend = self.spend.checked_add(other.spend).ok_or(TooLarge)?;
        Ok(())
    }

    /// What is left without others, which are part of these.
    pub(super) fn without(&self, others: &Self) -> Option<Self> {
        Some(Self {
            rows: self.rows.checked_sub(others.rows)?,
            input_tokens: self.input_tokens - others.input_tokens,
            output_tokens: self.output_tokens - others.output_tokens,
            total_tokens: self.total_tokens - others.total_tokens,
            spend: self.spend.checked_sub(others.spend)?,
        })
    }
}

/// Why an export of spend cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SpendError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The sum.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// More than is remembered.
    #[error("{0} has more than {MAX_ROWS} rows: import it in parts, by month for instance")]
    TooManyRows(PathBuf),
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Every record whose figures could be read.
    pub file: Figures,
    /// Records whose figures could not be read: they are in no total.
    pub unreadable_rows: u64,
    /// Records with figures that were not taken.
    pub refused: Figures,
    /// Records that stand in the file before, word for word.
    pub repeated: Figures,
    /// The first and the last beginning.
    pub span: Option<(Micros, Micros)>,
    /// Why what was not taken was not.
    pub refusals: Refusals,
}

impl Survey {
    /// What is to be in the table.
    pub fn taken(&self) -> Option<Figures> {
        self.file.without(&self.refused)?.without(&self.repeated)
    }

    fn saw(&mut self, at: Micros) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }
}

/// Reads a whole file and keeps nothing of it but its sums.
pub fn survey(path: &Path, naming: &Naming) -> Result<Survey, SpendError> {
    let mut reading = Reading::open(path, naming)?;
    while reading.next_chunk()?.is_some() {}
    Ok(reading.survey)
}

/// A file while it is read.
pub(super) struct Reading<'a> {
    path: &'a Path,
    naming: &'a Naming,
    records: Records,
    /// The digest of each row by the digest of its name, and its line.
    seen: BTreeMap<[u8; 16], ([u8; 16], usize)>,
    pub(super) survey: Survey,
}

impl<'a> Reading<'a> {
    pub(super) fn open(path: &'a Path, naming: &'a Naming) -> Result<Self, SpendError> {
        Ok(Self {
            path,
            naming,
            records: Records::open(path, litellm_spend::WANTED)?,
            seen: BTreeMap::new(),
            survey: Survey::default(),
        })
    }

    /// The next rows that are to be in the table, each with its line; `None` at the end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Vec<(usize, SpendRow)>>, SpendError> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
            let Some((line, record)) = self.records.next()? else {
                break;
            };
            let fields = match record {
                Ok(fields) => fields,
                Err(reason) => {
                    self.unreadable(line, "", reason);
                    continue;
                }
            };
            let id = fields.text("request_id").to_owned();
            let figures = match litellm_spend::figures(&fields) {
                Ok(figures) => figures,
                Err(reason) => {
                    self.unreadable(line, &id, reason);
                    continue;
                }
            };
            self.survey.file.add(&figures)?;
            match litellm_spend::row(&fields, self.naming) {
                Ok(row) if self.is_new(line, &row)? => {
                    self.survey.saw(row.started);
                    bytes += row.source_id.len();
                    chunk.push((line, row));
                }
                Ok(_) => {}
                Err(reason) => self.refuse(line, &id, reason, &figures)?,
            }
        }
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }

    fn unreadable(&mut self, line: usize, id: &str, reason: String) {
        self.survey.unreadable_rows += 1;
        self.survey.refusals.add(Refused::of_line(line, id, reason));
    }

    fn refuse(
        &mut self,
        line: usize,
        id: &str,
        reason: String,
        figures: &Figures,
    ) -> Result<(), TooLarge> {
        self.survey.refused.add(figures)?;
        self.survey.refusals.add(Refused::of_line(line, id, reason));
        Ok(())
    }

    /// Whether the file has not named this call before. A copy counts once; another row of the same name is refused.
    fn is_new(&mut self, line: usize, row: &SpendRow) -> Result<bool, SpendError> {
        if self.seen.len() >= MAX_ROWS {
            return Err(SpendError::TooManyRows(self.path.to_owned()));
        }
        let (name, digest) = (
            half(Sha256::digest(&row.source_id).into()),
            half(row.digest()),
        );
        let Some((known, first)) = self.seen.get(&name).copied() else {
            self.seen.insert(name, (digest, line));
            return Ok(true);
        };
        let figures = Figures::of(row);
        if known == digest {
            self.survey.repeated.add(&figures)?;
        } else {
            let reason = format!("line {first} has the same request_id and says something else");
            self.refuse(line, &row.source_id, reason, &figures)?;
        }
        Ok(false)
    }
}

/// Enough of a digest to tell the rows of one file apart.
fn half(digest: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

#[cfg(test)]
#[path = "spend_tests.rs"]
mod tests;
