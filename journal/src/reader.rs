//! Reads a live journal: everything below the synced end, never beyond, across segments and
//! around damage.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::damage::{Damage, DamageCause};
use crate::error::ReadError;
use crate::frame::Frame;
use crate::layer::OpenMode;
use crate::scan::{Limit, Scan, Step};
use crate::shared::{Shared, Synced};

/// What a reader yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A frame; boot frames (kind 0) too.
    Frame(Frame),
    /// Positions that can not be read, named once and skipped.
    Damaged(Damage),
}

/// A reader of an open journal. Reads files where it is called: small reads, mostly from
/// the page cache.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    position: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    base: u64,
    path: PathBuf,
    scan: Scan,
    /// Length of the segment and base of the next one, once it is no longer written to.
    closed: Option<Limit>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, from_position: u64) -> Self {
        Self {
            shared,
            position: from_position,
            current: None,
        }
    }

    /// The next position that it will yield.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next frame or damage, or `None` when it has caught up with the synced end.
    pub fn read(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            let synced = self.shared.synced();
            if self.position >= synced.end {
                return Ok(None);
            }
            let current = match &mut self.current {
                Some(current) => current,
                none => none.insert(open_at(&self.shared, self.position)?),
            };
            let limit = current
                .limit(&self.shared, synced)
                .map_err(|error| current.failed(error))?;
            let step = current
                .scan
                .step(limit)
                .map_err(|error| current.failed(error))?;
            let lost = match step {
                Step::Frame(frame) if frame.position < self.position => continue,
                Step::Frame(frame) => {
                    self.position = frame.position + 1;
                    return Ok(Some(Item::Frame(frame)));
                }
                Step::Damaged { offset, bytes, .. } => {
                    current.damage(self.position, current.scan.position, (offset, bytes))
                }
                Step::BadTail { offset, bytes } => {
                    current.scan.position = limit.position;
                    current.damage(self.position, limit.position, (offset, bytes))
                }
                Step::End => {
                    let damage = current.damage(self.position, limit.position, (limit.offset, 0));
                    current.scan.position = limit.position;
                    if current.closed.is_some() {
                        self.current = None;
                    }
                    damage
                }
            };
            if lost.next_position > lost.first_position {
                self.position = lost.next_position;
                return Ok(Some(Item::Damaged(lost)));
            }
        }
    }

    /// Waits until there is more to read. `Poisoned` or `Closed` when there never will be.
    pub async fn wait(&self) -> Result<(), ReadError> {
        let position = self.position;
        let mut receiver = self.shared.synced.subscribe();
        let seen = receiver
            .wait_for(|synced| synced.end > position || synced.poisoned || synced.closed)
            .await
            .map(|synced| *synced);
        match seen {
            Ok(synced) if synced.end > position => Ok(()),
            Ok(synced) if synced.poisoned => Err(self.shared.poisoned().into()),
            Ok(_) | Err(_) => Err(ReadError::Closed),
        }
    }
}

impl Current {
    /// How far the segment may be read: to the synced end if that lies in it, else to its own.
    fn limit(&mut self, shared: &Shared, synced: Synced) -> io::Result<Limit> {
        if synced.segment_base == self.base {
            return Ok(Limit {
                offset: synced.segment_offset,
                position: synced.end,
            });
        }
        if let Some(closed) = self.closed {
            return Ok(closed);
        }
        let (bytes, next) = {
            let writer = shared.writer.lock();
            let mine = writer.segments.holding(self.base);
            let bytes = mine
                .filter(|segment| segment.base == self.base)
                .map(|mine| mine.bytes);
            (
                bytes,
                writer.segments.after(self.base).map(|segment| segment.base),
            )
        };
        // A segment retired while it was read is read to the end of its file.
        let offset = bytes.map_or_else(|| self.scan.file_bytes(), Ok)?;
        let closed = Limit {
            offset,
            position: next.unwrap_or(synced.end),
        };
        self.closed = Some(closed);
        Ok(closed)
    }

    fn damage(
        &self,
        first_position: u64,
        next_position: u64,
        (offset, bytes): (u64, u64),
    ) -> Damage {
        Damage {
            segment: self.path.clone(),
            offset,
            bytes,
            first_position,
            next_position,
            cause: if bytes == 0 {
                DamageCause::MissingSegment
            } else {
                DamageCause::Frame
            },
            quarantined: None,
        }
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

fn open_at(shared: &Shared, position: u64) -> Result<Current, ReadError> {
    let (segment, salt, layer) = {
        let writer = shared.writer.lock();
        let Some(segment) = writer.segments.holding(position) else {
            let first = writer.segments.first_base().unwrap_or(writer.end);
            return Err(ReadError::Retired {
                wanted: position,
                first,
            });
        };
        (segment.clone(), writer.salt, Arc::clone(&writer.layer))
    };
    let file = layer
        .open(&segment.path, OpenMode::Read)
        .map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return ReadError::Retired {
                    wanted: position,
                    first: segment.base + 1,
                };
            }
            ReadError::Io {
                path: segment.path.clone(),
                source,
            }
        })?;
    let (scan, _header) =
        Scan::start(file, salt, segment.base).map_err(|source| ReadError::Io {
            path: segment.path.clone(),
            source,
        })?;
    Ok(Current {
        base: segment.base,
        path: segment.path,
        scan,
        closed: None,
    })
}
