//! Everything that can be wrong with an archive, named: digests, the chain, what is missing between segments, what is left over.

use schemas::rows::{BatchDigest, leaf_hash};

use crate::chain::{broken, manifest, segments};
use crate::directory::PART_END;
use crate::error::ArchiveError;
use crate::log::{LogId, SEGMENT_END};
use crate::manifest::{Ends, Manifest};
use crate::rule::{Boundaries, Limits, Rule};
use crate::segment::Segment;
use crate::shelf::Shelf;

/// What a finding says of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A file is not what was put there, or is gone.
    Damaged,
    /// Records are not in the archive.
    Missing,
    /// Nothing is wrong; somebody may want to know.
    Note,
}

impl Verdict {
    /// For people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::Note => "note",
        }
    }
}

/// Something about an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub verdict: Verdict,
    /// Which file or log.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// Looks at everything that is archived of a log; `seen` is told of every sound segment. `boundaries` are those of the log.
pub fn verify(
    shelf: &dyn Shelf,
    log: &LogId,
    boundaries: Boundaries,
    mut seen: impl FnMut(&Manifest),
) -> Result<Vec<Finding>, ArchiveError> {
    let mut findings = Vec::new();
    let mut before: Option<(Manifest, String)> = None;
    let mut wanted = 0;
    let mut files = Vec::new();
    for segment in segments(shelf, log)? {
        for missing in wanted..segment {
            let why = "the manifest is missing, and with it the segment".to_owned();
            findings.push(damaged(log.manifest_name(missing), why));
        }
        let follows = segment == wanted;
        wanted = segment + 1;
        let (manifest, digest) = match manifest(shelf, log, segment) {
            Ok(found) => found,
            Err(error) => {
                findings.push(told(&log.manifest_name(segment), error)?);
                before = None;
                continue;
            }
        };
        let is_comparable = segment == 0 || (follows && before.is_some());
        let (last, previous) = before
            .as_ref()
            .map(|(last, digest)| (last, digest.as_str()))
            .unzip();
        if is_comparable && let Some(why) = broken(last, previous, &manifest) {
            findings.push(damaged(manifest.name(), why));
        }
        findings.extend(missing(&manifest));
        match contents(shelf, &manifest, boundaries) {
            Ok(None) => seen(&manifest),
            Ok(Some(why)) => findings.push(damaged(manifest.segment_name(), why)),
            Err(error) => findings.push(told(&manifest.segment_name(), error)?),
        }
        files.push(manifest.file.clone());
        before = Some((manifest, digest));
    }
    findings.extend(leftovers(shelf, log, &files)?);
    Ok(findings)
}

fn damaged(what: String, why: String) -> Finding {
    Finding {
        verdict: Verdict::Damaged,
        what,
        why,
    }
}

/// Damage is a finding; a place that can not be read is not known to be damaged.
fn told(what: &str, error: ArchiveError) -> Result<Finding, ArchiveError> {
    match error {
        ArchiveError::Damaged { why, .. } => Ok(damaged(what.to_owned(), why)),
        ArchiveError::Io { error, .. } if error.kind() != std::io::ErrorKind::PermissionDenied => {
            Ok(damaged(what.to_owned(), error.to_string()))
        }
        other => Err(other),
    }
}

fn missing(manifest: &Manifest) -> Option<Finding> {
    let gap = manifest.missing_before?;
    Some(Finding {
        verdict: Verdict::Missing,
        what: manifest.name(),
        why: format!(
            "places {} to {} of the log were gone before they could be archived",
            gap.first,
            gap.next - 1
        ),
    })
}

/// What is wrong with the records of a segment.
fn contents(
    shelf: &dyn Shelf,
    manifest: &Manifest,
    boundaries: Boundaries,
) -> Result<Option<String>, ArchiveError> {
    let unbounded = Limits {
        bytes: u64::MAX,
        age_us: i64::MAX,
    };
    let mut rule = Rule::new(unbounded, boundaries);
    let mut segment = Segment::open(shelf, manifest)?;
    let (mut digest, mut records, mut last) = (BatchDigest::default(), 0_u64, manifest.first - 1);
    while let Some(entry) = segment.read()? {
        if entry.offset <= last || entry.offset > manifest.last {
            return Ok(Some(format!("place {} stands after {last}", entry.offset)));
        }
        last = entry.offset;
        records += 1;
        digest.push(&leaf_hash(&entry.bytes));
        rule.push(&entry, 1);
    }
    let found = hex::encode(digest.finish());
    if (records, last, &found) != (manifest.records, manifest.last, &manifest.digest) {
        return Ok(Some(format!(
            "it has {records} records up to {last} with digest {found}, its manifest says {} up to {} with {}",
            manifest.records, manifest.last, manifest.digest
        )));
    }
    let is_whole = rule.is_at_boundary() || manifest.ends == Ends::Gap;
    Ok((!is_whole).then(|| "it does not end where a batch ends".to_owned()))
}

/// Files that no manifest names: a crash, or another archiver, left them. They are no segments and do no harm.
fn leftovers(
    shelf: &dyn Shelf,
    log: &LogId,
    files: &[String],
) -> Result<Vec<Finding>, ArchiveError> {
    let names = shelf.names(&log.folder())?;
    let ends = |name: &String, end: &str| name.strip_suffix(end).is_some();
    let is_left =
        |name: &String| ends(name, PART_END) || (ends(name, SEGMENT_END) && !files.contains(name));
    let left = names.into_iter().filter(is_left).map(|name| Finding {
        verdict: Verdict::Note,
        what: format!("{}/{name}", log.folder()),
        why: "no manifest names it: it is part of no segment and can be removed once no archiver runs".to_owned(),
    });
    Ok(left.collect())
}
