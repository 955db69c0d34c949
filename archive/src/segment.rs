//! A segment's file: written record by record, read record by record once its digest has been found right.

use std::io::{BufReader, BufWriter, Read, Write};

use schemas::rows::{BatchDigest, leaf_hash};

use crate::entry::{Entry, MAGIC};
use crate::error::ArchiveError;
use crate::hashing::Hashing;
use crate::manifest::Manifest;
use crate::shelf::{Draft, Shelf};

/// zstd's own default: most of the gain at little cost.
const LEVEL: i32 = 3;
const BUFFER_BYTES: usize = 1 << 17;

type Compressed = zstd::stream::write::Encoder<'static, Hashing<BufWriter<std::fs::File>>>;

/// A segment that is being written.
pub(crate) struct Writing {
    out: Compressed,
    draft: Draft,
    digest: BatchDigest,
    pub(crate) raw_bytes: u64,
    pub(crate) records: u64,
    pub(crate) last: i64,
    pub(crate) first_time_us: Option<i64>,
    pub(crate) last_time_us: Option<i64>,
}

/// What was written.
pub(crate) struct Written {
    pub(crate) draft: Draft,
    pub(crate) digest: String,
    pub(crate) sha256: String,
    pub(crate) file_bytes: u64,
}

impl Writing {
    pub(crate) fn begin(draft: Draft) -> Result<Self, ArchiveError> {
        let failed = || ArchiveError::io(format!("writing {}", draft.path.display()));
        let file = draft.file.try_clone().map_err(failed())?;
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, file);
        let started = zstd::stream::write::Encoder::new(Hashing::new(buffered), LEVEL);
        let mut out = started.map_err(failed())?;
        out.include_checksum(true).map_err(failed())?;
        out.write_all(MAGIC).map_err(failed())?;
        Ok(Self {
            out,
            draft,
            digest: BatchDigest::default(),
            raw_bytes: MAGIC.len() as u64,
            records: 0,
            last: 0,
            first_time_us: None,
            last_time_us: None,
        })
    }

    /// Takes the next record; gives its bytes.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<u64, ArchiveError> {
        let path = self.draft.path.display();
        let written = entry.write(&mut self.out);
        let bytes = written.map_err(ArchiveError::io(format!("writing {path}")))?;
        self.digest.push(&leaf_hash(&entry.bytes));
        self.raw_bytes += bytes;
        self.records += 1;
        self.last = entry.offset;
        self.first_time_us = self.first_time_us.or(entry.time_us);
        self.last_time_us = self.last_time_us.max(entry.time_us);
        Ok(bytes)
    }

    pub(crate) fn finish(self) -> Result<Written, ArchiveError> {
        let failed = || ArchiveError::io(format!("writing {}", self.draft.path.display()));
        let hashing = self.out.finish().map_err(failed())?;
        let (mut buffered, sha256, file_bytes) = hashing.finish();
        buffered.flush().map_err(failed())?;
        Ok(Written {
            digest: hex::encode(self.digest.finish()),
            sha256,
            file_bytes,
            draft: self.draft,
        })
    }
}

/// A sealed segment, its file as its manifest says.
pub struct Segment {
    name: String,
    records: zstd::stream::read::Decoder<'static, BufReader<Box<dyn Read + Send>>>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Segment {
    /// Compares the whole file with its manifest, then opens it to be read.
    pub fn open(shelf: &dyn Shelf, manifest: &Manifest) -> Result<Self, ArchiveError> {
        let name = manifest.segment_name();
        let file = || {
            let file = shelf.open(&name)?;
            file.ok_or_else(|| ArchiveError::damaged(&name, "the file is missing"))
        };
        let mut whole = Hashing::new(file()?);
        let failed = || ArchiveError::io(format!("reading {name}"));
        std::io::copy(&mut whole, &mut std::io::sink()).map_err(failed())?;
        let (_, sha256, bytes) = whole.finish();
        if (bytes, &sha256) != (manifest.file_bytes, &manifest.sha256) {
            let why = format!(
                "the file has {bytes} bytes with SHA-256 {sha256}, its manifest says {} and {}",
                manifest.file_bytes, manifest.sha256
            );
            return Err(ArchiveError::damaged(&name, why));
        }
        let mut records = zstd::stream::read::Decoder::new(file()?).map_err(failed())?;
        let mut magic = [0; MAGIC.len()];
        records.read_exact(&mut magic).map_err(failed())?;
        if &magic != MAGIC {
            return Err(ArchiveError::damaged(&name, "it is no segment"));
        }
        Ok(Self { name, records })
    }

    /// The next record; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Entry>, ArchiveError> {
        Entry::read(&mut self.records).map_err(|error| ArchiveError::damaged(&self.name, error))
    }
}
