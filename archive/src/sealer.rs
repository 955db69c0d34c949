//! Seals segments of one log, record by record. The segment's file is put in its place first, then its manifest, which makes it exist:
//! a crash before leaves no segment, and the records are read again. A manifest's number in the chain is given once, so of two
//! archivers one hears that the other was first, and goes on from there.

use std::sync::Arc;

use crate::chain::Chain;
use crate::entry::Entry;
use crate::error::ArchiveError;
use crate::log::LogId;
use crate::manifest::{Ends, Manifest, Missing, digest_of};
use crate::rule::{Boundaries, Limits, Rule};
use crate::segment::Writing;
use crate::shelf::{Put, Shelf};

/// What was sealed since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Segments.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Their bytes as they lie there.
    pub bytes: u64,
}

/// What a sealer that has read everything is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A segment was sealed.
    Sealed,
    /// The age is over, but the log has no boundary there: append a cut.
    Cut,
}

/// Who wrote the record at a place, if the log knows.
type Writers<'a> = Box<dyn Fn(i64) -> Option<String> + 'a>;

/// Seals one log.
pub struct Sealer<'a> {
    shelf: Arc<dyn Shelf>,
    log: LogId,
    rule: Rule,
    writing: Option<Writing>,
    segment: u64,
    previous: Option<String>,
    /// The next segment's first place; none before the first record of an empty archive.
    first: Option<i64>,
    missing: Option<Missing>,
    sealed: Sealed,
    writers: Writers<'a>,
    archived: Option<(i64, Option<String>)>,
}

impl<'a> Sealer<'a> {
    /// Goes on where the archive of the log ends.
    pub fn open(
        shelf: Arc<dyn Shelf>,
        log: LogId,
        limits: Limits,
        boundaries: Boundaries,
    ) -> Result<Self, ArchiveError> {
        let last = Chain::last(&*shelf, &log)?;
        if last.is_some() {
            // The log is let go up to this end, so it must not be one that a power cut takes back.
            shelf.settle(&log.folder())?;
        }
        let archived = last
            .as_ref()
            .map(|(manifest, _)| (manifest.last, manifest.written_by.clone()));
        let (segment, previous, first) = match last {
            None => (0, None, None),
            Some((manifest, digest)) => {
                (manifest.segment + 1, Some(digest), Some(manifest.last + 1))
            }
        };
        Ok(Self {
            shelf,
            log,
            rule: Rule::new(limits, boundaries),
            writing: None,
            segment,
            previous,
            first,
            missing: None,
            sealed: Sealed::default(),
            writers: Box::new(|_| None),
            archived,
        })
    }

    /// Manifests say from now on who wrote their last record, where `writers` knows.
    #[must_use]
    pub fn naming(mut self, writers: impl Fn(i64) -> Option<String> + 'a) -> Self {
        self.writers = Box::new(writers);
        self
    }

    /// The last record that was archived when this was opened, who wrote it then, and who wrote what is there now, if that is another.
    pub fn parted(&self) -> Option<(i64, String, String)> {
        let (last, written_by) = self.archived.as_ref()?;
        let (then, now) = (written_by.clone()?, (self.writers)(*last)?);
        (then != now).then_some((*last, then, now))
    }

    /// All places before are archived, or were missing; none if nothing is.
    pub fn end(&self) -> Option<i64> {
        self.first
    }

    /// The log is read from here on, where nothing of it is archived yet.
    pub fn begin_at(&mut self, first: i64) {
        self.first.get_or_insert(first);
    }

    /// What was sealed since it was last asked.
    pub fn take_sealed(&mut self) -> Sealed {
        std::mem::take(&mut self.sealed)
    }

    /// Takes the next record; the segment before it, or the one that it ends, is sealed if that is due.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        if self.rule.ends_before(entry) {
            self.seal(Ends::Age)?;
        }
        let writing = if let Some(writing) = &mut self.writing {
            writing
        } else {
            let draft = self.shelf.draft(&self.log.folder())?;
            self.first.get_or_insert(entry.offset);
            self.writing.insert(Writing::begin(draft)?)
        };
        let bytes = writing.push(entry)?;
        if self.rule.push(entry, bytes) {
            self.seal(Ends::Size)?;
        }
        Ok(())
    }

    /// Places from `first` up to `next` can not be read any more. What was taken before them is sealed as it is.
    pub fn gap(&mut self, first: i64, next: i64) -> Result<(), ArchiveError> {
        if self.writing.is_some() {
            self.seal(Ends::Gap)?;
        }
        self.rule.end();
        let first = self.missing.map_or(first, |missing| missing.first);
        self.missing = Some(Missing { first, next });
        self.first = Some(next);
        Ok(())
    }

    /// Everything was read, and it is `now_us`.
    pub fn idle(&mut self, now_us: i64) -> Result<Due, ArchiveError> {
        if self.rule.is_empty() || !self.rule.is_old_at(now_us) {
            return Ok(Due::Nothing);
        }
        if !self.rule.is_at_boundary() {
            return Ok(Due::Cut);
        }
        self.seal(Ends::Age)?;
        Ok(Due::Sealed)
    }

    fn seal(&mut self, ends: Ends) -> Result<(), ArchiveError> {
        let (Some(writing), Some(first)) = (self.writing.take(), self.first) else {
            return Ok(());
        };
        self.rule.end();
        let written_by = (self.writers)(writing.last);
        let mut manifest = Manifest {
            format: Manifest::format_of(written_by.as_deref()).to_owned(),
            topic: self.log.topic.clone(),
            topic_id: self.log.topic_id.clone(),
            partition: self.log.partition,
            segment: self.segment,
            first,
            last: writing.last,
            written_by,
            records: writing.records,
            missing_before: self.missing,
            ends,
            first_time_us: writing.first_time_us,
            last_time_us: writing.last_time_us,
            raw_bytes: writing.raw_bytes,
            file: String::new(),
            file_bytes: 0,
            sha256: String::new(),
            digest: String::new(),
            previous: self.previous.clone(),
        };
        let written = writing.finish()?;
        manifest.file = LogId::segment_file(first, &written.sha256);
        manifest.file_bytes = written.file_bytes;
        manifest.sha256 = written.sha256;
        manifest.digest = written.digest;
        runtime::failpoint::hit("archive.before_segment");
        // The name says what is in it: one that is there already is the same.
        self.shelf.put(written.draft, &manifest.segment_name())?;
        runtime::failpoint::hit("archive.after_segment");
        let bytes = manifest.encode()?;
        self.publish(&manifest, &bytes)?;
        runtime::failpoint::hit("archive.after_manifest");
        self.segment += 1;
        self.previous = Some(digest_of(&bytes));
        self.missing = None;
        self.first = Some(manifest.last + 1);
        self.sealed.segments += 1;
        self.sealed.records += manifest.records;
        self.sealed.bytes += manifest.file_bytes;
        Ok(())
    }

    fn publish(&self, manifest: &Manifest, bytes: &[u8]) -> Result<(), ArchiveError> {
        use std::io::Write as _;
        let what = manifest.name();
        let mut draft = self.shelf.draft(&self.log.folder())?;
        let written = draft.file.write_all(bytes);
        written.map_err(ArchiveError::io(format!("writing {what}")))?;
        match self.shelf.put(draft, &what)? {
            Put::Done => Ok(()),
            Put::Exists => Err(ArchiveError::Taken { what }),
        }
    }
}

impl std::fmt::Debug for Sealer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("log", &self.log)
            .field("segment", &self.segment)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}
