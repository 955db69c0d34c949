//! What a check of a period says.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::chargeback::PeriodSpan;

/// Numbers or places, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Range {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl Range {
    /// How many.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.last - self.first + 1
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// How a start of a gateway ended, as far as the store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not said that it ended.
    Open,
    /// It ended in order.
    Closed,
    /// It was killed; the next start read its journal and closed what it had left open.
    Recovered,
    /// An operator declared it lost.
    DeclaredLost,
    /// There are records of it, and no claim.
    Unclaimed,
}

/// What an operator said of a start that never came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeclaredLoss {
    /// Who says so.
    pub by: String,
    /// Why.
    pub why: String,
    /// Numbers that were claimed and missing when it was declared.
    pub missing: Option<i64>,
    /// Requests that were open at the last sign of life.
    pub open: Option<i64>,
    /// What admission had reserved for those: what they may have used at most.
    pub reserved_units: BTreeMap<String, i64>,
    /// The last sign of life, µs since the epoch: what was admitted after it nobody knows.
    pub known_until_us: Option<i64>,
}

/// One start of one gateway, in the period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootReport {
    /// The gateway.
    pub producer: String,
    /// Its start.
    pub boot: String,
    /// How it ended.
    pub state: State,
    /// The numbers that belong to the period; none where it gave none.
    pub numbers: Option<Range>,
    /// How many of them it claimed.
    pub claimed: i64,
    /// Distinct numbers in the store.
    pub found: i64,
    /// Rows beyond one a number: the same record again.
    pub copies: i64,
    /// Numbers whose record is in the log and could not be read.
    pub dead_letters: i64,
    /// Claimed within the last minute and not there yet.
    pub under_way: i64,
    /// Not there.
    pub missing: i64,
    /// Which are not there.
    pub gaps: Vec<Range>,
    /// Requests that ran when the period's first number was due; unknown where no claim counts.
    pub open_before: Option<i64>,
    /// Requests let in.
    pub admitted: Option<i64>,
    /// Requests let in here and closed here.
    pub settled: Option<i64>,
    /// Requests that it left open when it was killed, closed as unknown by the next start.
    pub unknown: Option<i64>,
    /// Requests that ran at the last claim.
    pub open: Option<i64>,
    /// Found records of requests that were never let in.
    pub refused: i64,
    /// Found records that close requests of earlier starts.
    pub recovered: i64,
    /// `open_before + admitted = settled + unknown + open`, and the records found are as many; unknown where a claim does
    /// not count, or where numbers are missing anyway.
    pub balanced: Option<bool>,
    /// Said by an operator.
    pub lost: Option<DeclaredLoss>,
    /// Its last sign of life, µs since the epoch.
    pub last_claim_us: Option<i64>,
}

/// A record in the log that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The log.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its place.
    pub offset: i64,
    /// Why.
    pub reason: String,
    /// The gateway, where the record still says it.
    pub producer: Option<String>,
    /// Its start.
    pub boot: Option<String>,
    /// Its number.
    pub number: Option<i64>,
}

/// One partition of one log, in the period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// The log.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Batches that hold records of the period, and what lies between.
    pub cuts: i64,
    /// Their records.
    pub records: i64,
    /// Rows beyond one a place.
    pub copies: i64,
    /// Records of the period: the leaves of the tree.
    pub leaves: u64,
    /// RFC 6962 tree hash over the leaves in the order of their places, in hex.
    pub root: String,
}

/// Which verdict a finding speaks against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something is missing.
    Completeness,
    /// Something was changed.
    Integrity,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Against which verdict.
    pub verdict: Verdict,
    /// Which gateway, where that is known.
    pub producer: Option<String>,
    /// Which start.
    pub boot: Option<String>,
    /// Which numbers.
    pub numbers: Option<Range>,
    /// Which log and partition.
    pub partition: Option<(String, i32)>,
    /// Which places of it.
    pub places: Option<Range>,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    /// Of nobody's records in particular.
    pub(super) fn at_large(verdict: Verdict, what: String) -> Self {
        Self {
            verdict,
            producer: None,
            boot: None,
            numbers: None,
            partition: None,
            places: None,
            what,
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (Some(producer), Some(boot)) = (&self.producer, &self.boot) {
            write!(f, "producer {producer}, boot {boot}")?;
            if let Some(numbers) = self.numbers {
                write!(f, ", number {numbers}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.what)?;
        if let (Some((topic, partition)), Some(places)) = (&self.partition, self.places) {
            write!(f, " (place {places} of {topic}/{partition})")?;
        }
        Ok(())
    }
}

/// Whether anything is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// Everything that was claimed is there.
    Complete,
    /// Nothing was found missing, and a start that was live has not said where it ended, or was declared lost, or is not known.
    Unproven,
    /// Something is missing.
    Incomplete,
}

/// Whether anything was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Everything that is there is as it was written.
    Intact,
    /// Nothing was found changed, and some batches are not whole, so that their digest shows nothing.
    Unproven,
    /// Something is not as it was written.
    Changed,
}

/// Both verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// Nothing is missing.
    pub completeness: Completeness,
    /// Nothing was changed.
    pub integrity: Integrity,
}

impl Verdicts {
    /// Both say the best.
    #[must_use]
    pub fn are_good(&self) -> bool {
        self.completeness == Completeness::Complete && self.integrity == Integrity::Intact
    }
}

/// Why a period is not final yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldUp {
    /// By which gateway.
    pub producer: String,
    /// By which start.
    pub boot: String,
    /// What is awaited.
    pub why: String,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The period.
    pub period: PeriodSpan,
    /// The one producer, if it was asked for one.
    pub producer: Option<String>,
    /// What is claimed after this is not expected to be there, µs since the epoch.
    pub as_of_us: i64,
    /// Every producer has claimed past the end.
    pub is_final: bool,
    /// Who has not.
    pub held_up_by: Vec<HeldUp>,
    /// The verdicts.
    pub verdicts: Verdicts,
    /// Usage events of the period.
    pub events: i64,
    /// By start.
    pub boots: Vec<BootReport>,
    /// By partition.
    pub partitions: Vec<PartitionReport>,
    /// Records that could not be read.
    pub dead_letters: Vec<DeadLetter>,
    /// What is wrong, the first of it.
    pub findings: Vec<Finding>,
    /// Findings that are not listed.
    pub findings_left_out: i64,
}

/// What a look at the numbers alone says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quick {
    /// Numbers that are not there.
    pub missing: i64,
    /// Records in the log that could not be read.
    pub dead_letters: i64,
    /// Starts that have not claimed past the end.
    pub held_up: i64,
}
