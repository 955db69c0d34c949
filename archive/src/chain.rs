//! The manifests of a log in their order, and the records behind them. Here they are taken at their word as far as the chain holds;
//! what is wrong with an archive as a whole, `verify` says.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Arc;

use crate::entry::Entry;
use crate::error::ArchiveError;
use crate::log::{LogId, segment_of_name};
use crate::manifest::{MAX_BYTES, Manifest, Missing, digest_of};
use crate::segment::Segment;
use crate::shelf::Shelf;

/// All logs of which something is archived, or was.
pub fn logs(shelf: &dyn Shelf) -> Result<Vec<LogId>, ArchiveError> {
    let mut logs = Vec::new();
    for topic in shelf_folders(shelf, "")? {
        for id in shelf_folders(shelf, &topic)? {
            let folder = format!("{topic}/{id}");
            for partition in shelf_folders(shelf, &folder)? {
                logs.extend(LogId::of_folder(&topic, &id, &partition));
            }
        }
    }
    logs.sort();
    Ok(logs)
}

/// The folders in a folder; files of others do not matter. One that can not be read is not taken for one that is not there.
fn shelf_folders(shelf: &dyn Shelf, folder: &str) -> Result<Vec<String>, ArchiveError> {
    let mut folders = Vec::new();
    for name in shelf.names(folder)? {
        let at = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        match shelf.names(&at) {
            Ok(_) => folders.push(name),
            Err(ArchiveError::Io { error, .. })
                if error.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(error),
        }
    }
    Ok(folders)
}

/// The numbers of a log's manifests, in order.
pub(crate) fn segments(shelf: &dyn Shelf, log: &LogId) -> Result<Vec<u64>, ArchiveError> {
    let names = shelf.names(&log.folder())?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| segment_of_name(name))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A manifest and the digest of its file.
pub(crate) fn manifest(
    shelf: &dyn Shelf,
    log: &LogId,
    segment: u64,
) -> Result<(Manifest, String), ArchiveError> {
    let name = log.manifest_name(segment);
    let file = shelf.open(&name)?;
    let file = file.ok_or_else(|| ArchiveError::damaged(&name, "the manifest is missing"))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES).read_to_end(&mut bytes);
    read.map_err(ArchiveError::io(format!("reading {name}")))?;
    let manifest = Manifest::decode(&name, &bytes)?;
    if manifest.log() != *log || manifest.segment != segment {
        let why = format!("it speaks of {}", manifest.name());
        return Err(ArchiveError::damaged(&name, why));
    }
    Ok((manifest, digest_of(&bytes)))
}

/// What reading the archive of a log gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The next record.
    Entry(Entry),
    /// Places that were never archived.
    Missing(Missing),
}

/// The archive of one log, its chain whole.
#[derive(Debug)]
pub struct Chain {
    shelf: Arc<dyn Shelf>,
    /// Manifests, oldest first.
    pub manifests: Vec<Manifest>,
}

impl Chain {
    /// The last manifest, and the digest of its file. Those before it are not looked at.
    pub(crate) fn last(
        shelf: &dyn Shelf,
        log: &LogId,
    ) -> Result<Option<(Manifest, String)>, ArchiveError> {
        match segments(shelf, log)?.last() {
            None => Ok(None),
            Some(segment) => manifest(shelf, log, *segment).map(Some),
        }
    }

    /// Reads all manifests of a log. A chain with a link missing or changed is refused.
    pub fn open(shelf: Arc<dyn Shelf>, log: &LogId) -> Result<Self, ArchiveError> {
        let mut manifests: Vec<Manifest> = Vec::new();
        let mut previous = None;
        for (wanted, found) in (0..).zip(segments(&*shelf, log)?) {
            if found != wanted {
                let name = log.manifest_name(wanted);
                return Err(ArchiveError::damaged(name, "the manifest is missing"));
            }
            let (manifest, digest) = manifest(&*shelf, log, found)?;
            if let Some(why) = broken(manifests.last(), previous.as_deref(), &manifest) {
                return Err(ArchiveError::damaged(manifest.name(), why));
            }
            previous = Some(digest);
            manifests.push(manifest);
        }
        Ok(Self { shelf, manifests })
    }

    /// The first place that is archived; none if nothing is.
    pub fn start(&self) -> Option<i64> {
        self.manifests.first().map(|manifest| manifest.first)
    }

    /// All places before are archived, or are said to be missing; none if nothing is.
    pub fn end(&self) -> Option<i64> {
        self.manifests.last().map(|manifest| manifest.last + 1)
    }

    /// The records in their order, each segment compared with its manifest before anything of it is given.
    pub fn items(&self) -> impl Iterator<Item = Result<Item, ArchiveError>> + Send + use<> {
        Items {
            shelf: self.shelf.clone(),
            left: self.manifests.clone().into(),
            open: None,
        }
    }
}

/// What is wrong between a manifest and the one before it.
pub(crate) fn broken(
    before: Option<&Manifest>,
    previous: Option<&str>,
    manifest: &Manifest,
) -> Option<String> {
    if manifest.previous.as_deref() != previous {
        return Some("it follows another manifest than the one before it".to_owned());
    }
    let next = before?.last + 1;
    let is_next = match manifest.missing_before {
        None => manifest.first == next,
        Some(missing) => missing.first >= next && missing.next == manifest.first,
    };
    (!is_next).then(|| {
        format!(
            "it starts at {}, the segment before ends before {next}",
            manifest.first
        )
    })
}

struct Items {
    shelf: Arc<dyn Shelf>,
    left: VecDeque<Manifest>,
    open: Option<Segment>,
}

impl Iterator for Items {
    type Item = Result<Item, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(segment) = &mut self.open {
                match segment.read() {
                    Ok(Some(entry)) => return Some(Ok(Item::Entry(entry))),
                    Ok(None) => self.open = None,
                    Err(error) => return Some(Err(error)),
                }
            }
            let manifest = self.left.pop_front()?;
            match Segment::open(&*self.shelf, &manifest) {
                Ok(segment) => self.open = Some(segment),
                Err(error) => {
                    self.left.clear();
                    return Some(Err(error));
                }
            }
            if let Some(missing) = manifest.missing_before {
                return Some(Ok(Item::Missing(missing)));
            }
        }
    }
}
