//! Reads a journal directory without opening it: for inspection and recovery tools. Changes
//! nothing, takes no lock; beside a running writer it shows what is written, synced or not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::boot::BootFile;
use crate::damage::{Damage, DamageCause};
use crate::durable;
use crate::error::ReadError;
use crate::header::{self, BOOT_FILE, FORMAT_VERSION, HeaderRead, SEGMENT_HEADER_BYTES};
use crate::journal::identity_of;
use crate::layer::{FileLayer, OpenMode};
use crate::open::first_position_of;
use crate::reader::{Item, Reader};
use crate::real::RealLayer;
use crate::scan::{Limit, Scan, Step};

/// A read-only walk over all segments of a directory, oldest first.
#[derive(Debug)]
pub struct OfflineReader {
    layer: Arc<dyn FileLayer>,
    salt: u32,
    segments: Vec<(u64, PathBuf)>,
    next_index: usize,
    position: u64,
    current: Option<Walk>,
    /// Damage found beside another item, yielded next.
    pending: Option<Damage>,
}

#[derive(Debug)]
struct Walk {
    path: PathBuf,
    scan: Scan,
    limit: Limit,
    is_last: bool,
}

impl Reader {
    /// Opens a directory of this machine to read it offline.
    pub fn open_dir(dir: &Path) -> Result<OfflineReader, ReadError> {
        OfflineReader::open(dir, Arc::new(RealLayer))
    }
}

impl OfflineReader {
    /// Opens a directory behind any layer.
    pub fn open(dir: &Path, layer: Arc<dyn FileLayer>) -> Result<Self, ReadError> {
        let names = layer.list(dir).map_err(failed(dir))?;
        let segments = segments_of(&*layer, dir, &names)?;
        let boot_path = dir.join(BOOT_FILE);
        let small = durable::load(&*layer, &boot_path).map_err(failed(&boot_path))?;
        let salt = match BootFile::from_small(&small) {
            Some(file) => file.salt,
            None => salt_of_headers(&*layer, &segments)?,
        };
        let position = segments.first().map_or(0, |(base, _)| *base);
        Ok(Self {
            layer,
            salt,
            segments,
            next_index: 0,
            position,
            current: None,
            pending: None,
        })
    }

    /// The journal's identity, as [`crate::Journal::identity`] tells it.
    pub fn identity(&self) -> [u8; 4] {
        identity_of(self.salt)
    }

    /// Goes on from the segment that holds `position`, or from the first if that is later; what it holds before is still read.
    #[must_use]
    pub fn skip_to(mut self, position: u64) -> Self {
        let before = self.segments.partition_point(|(base, _)| *base <= position);
        self.next_index = before.saturating_sub(1);
        let segment = self.segments.get(self.next_index);
        self.position = segment.map_or(0, |(base, _)| *base);
        self
    }

    /// The next position that is expected.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next frame or damage; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(damage) = self.pending.take() {
                return Ok(Some(Item::Damaged(damage)));
            }
            let Some(walk) = &mut self.current else {
                if !self.next_segment()? {
                    return Ok(None);
                }
                continue;
            };
            let step = walk.scan.step(walk.limit).map_err(failed(&walk.path))?;
            match step {
                Step::Frame(frame) => {
                    self.position = frame.position + 1;
                    return Ok(Some(Item::Frame(frame)));
                }
                Step::Damaged {
                    offset,
                    bytes,
                    first_position,
                } => {
                    self.position = walk.scan.position;
                    let positions = (first_position, self.position);
                    let damage = walk.damage(DamageCause::Frame, (offset, bytes), positions);
                    return Ok(Some(Item::Damaged(damage)));
                }
                Step::BadTail { offset, bytes } => {
                    self.pending = walk.bad_tail(self.position, (offset, bytes));
                    if !walk.is_last {
                        self.position = walk.limit.position;
                    }
                    self.current = None;
                }
                Step::End => self.current = None,
            }
        }
    }

    fn next_segment(&mut self) -> Result<bool, ReadError> {
        let Some((base, path)) = self.segments.get(self.next_index).cloned() else {
            return Ok(false);
        };
        self.next_index += 1;
        let next = self.segments.get(self.next_index).map(|(base, _)| *base);
        let file = self
            .layer
            .open(&path, OpenMode::Read)
            .map_err(failed(&path))?;
        let bytes = file.len().map_err(failed(&path))?;
        let (scan, header) = Scan::start(file, self.salt, base).map_err(failed(&path))?;
        let sound = match header {
            HeaderRead::NewerVersion { found } => {
                return Err(ReadError::NewerVersion {
                    path,
                    found,
                    supported: FORMAT_VERSION,
                });
            }
            HeaderRead::Good { base: stated, .. } => stated == base,
            HeaderRead::Damaged => false,
        };
        let limit = Limit {
            offset: bytes,
            position: next.unwrap_or(u64::MAX),
        };
        let walk = Walk {
            path,
            scan,
            limit,
            is_last: next.is_none(),
        };
        if base > self.position {
            let positions = (self.position, base);
            self.pending = Some(walk.damage(DamageCause::MissingSegment, (0, 0), positions));
        } else if !sound {
            let region = (0, bytes.min(SEGMENT_HEADER_BYTES));
            self.pending = Some(walk.damage(DamageCause::Header, region, (base, base)));
        }
        self.position = base;
        self.current = Some(walk);
        Ok(true)
    }
}

impl Walk {
    fn damage(
        &self,
        cause: DamageCause,
        (offset, bytes): (u64, u64),
        (first_position, next_position): (u64, u64),
    ) -> Damage {
        let segment = self.path.clone();
        let quarantined = None;
        Damage {
            segment,
            offset,
            bytes,
            first_position,
            next_position,
            cause,
            quarantined,
        }
    }

    /// The end of the last segment is a torn tail; in an older one it counts only if
    /// positions are missing there.
    fn bad_tail(&self, position: u64, region: (u64, u64)) -> Option<Damage> {
        if self.is_last {
            return Some(self.damage(DamageCause::TornTail, region, (position, position)));
        }
        let positions = (position, self.limit.position);
        let lost = positions.1 > positions.0;
        lost.then(|| self.damage(DamageCause::Frame, region, positions))
    }
}

/// All segments, oldest first: also those that live under a spare's name until the next start, because the directory could
/// not take the new one.
fn segments_of(
    layer: &dyn FileLayer,
    dir: &Path,
    names: &[String],
) -> Result<Vec<(u64, PathBuf)>, ReadError> {
    let bases = names.iter().filter_map(|name| header::base_of_name(name));
    let paths = bases.map(|base| (base, header::segment_path(dir, base)));
    let mut segments: BTreeMap<u64, PathBuf> = paths.collect();
    for number in names
        .iter()
        .filter_map(|name| header::number_of_spare(name))
    {
        let path = header::spare_path(dir, number);
        let file = match layer.open(&path, OpenMode::Read) {
            Ok(file) => file,
            // A running writer has given it its name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path)(error)),
        };
        if let Some(base) = first_position_of(&*file).map_err(failed(&path))? {
            segments.entry(base).or_insert(path);
        }
    }
    Ok(segments.into_iter().collect())
}

fn salt_of_headers(layer: &dyn FileLayer, segments: &[(u64, PathBuf)]) -> Result<u32, ReadError> {
    for (base, path) in segments {
        let file = layer.open(path, OpenMode::Read).map_err(failed(path))?;
        let (_, read) = Scan::start(file, 0, *base).map_err(failed(path))?;
        if let HeaderRead::Good { salt, .. } = read {
            return Ok(salt);
        }
    }
    Ok(0)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReadError + use<'_> {
    move |source| ReadError::Io {
        path: path.to_path_buf(),
        source,
    }
}
