//! What the append lock protects: the active segment, spare segments, promises, and what is
//! not yet synced. One frame is one write; nothing here waits for a disk to sync.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{AppendError, Poisoned};
use crate::frame::{self, HEADER, Lane, frame_bytes};
use crate::header::{self, SEGMENT_HEADER_BYTES};
use crate::lane::RefusalLane;
use crate::layer::{FileLayer, LayerDir, LayerFile, OpenMode, is_full, write_full};
use crate::options::Options;
use crate::room::{Place, Room};
use crate::segments::{Segment, SegmentList};
use crate::writers::Writers;

/// Whether frames are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Closed,
    Poisoned(Poisoned),
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) file: Arc<dyn LayerFile>,
    pub(crate) base: u64,
    pub(crate) offset: u64,
}

/// A preallocated file that becomes the next segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) file: Arc<dyn LayerFile>,
    pub(crate) path: PathBuf,
}

/// A full segment whose bytes are not yet known to be durable.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) file: Arc<dyn LayerFile>,
    pub(crate) bytes: u64,
}

/// Everything behind the append lock.
pub(crate) struct Writer {
    pub(crate) options: Options,
    pub(crate) layer: Arc<dyn FileLayer>,
    /// The directory, open for as long as the journal is.
    pub(crate) names: Arc<dyn LayerDir>,
    pub(crate) salt: u32,
    pub(crate) state: State,
    pub(crate) active: Active,
    pub(crate) spares: Vec<Spare>,
    pub(crate) spares_in_making: u64,
    pub(crate) next_spare_number: u64,
    pub(crate) segments: SegmentList,
    /// Bytes in segments that are no longer written to.
    pub(crate) closed_bytes: u64,
    pub(crate) end: u64,
    pub(crate) reserved: u64,
    pub(crate) abandoned: u64,
    /// Refusals in kept segments.
    pub(crate) refusal_bytes: u64,
    /// Those of them that bound the lane.
    pub(crate) lane: RefusalLane,
    pub(crate) writers: Writers,
    pub(crate) unsynced_bytes: u64,
    pub(crate) unsynced_sealed: Vec<Sealed>,
    pub(crate) dir_dirty: bool,
    pub(crate) sync_requested: bool,
    pub(crate) buffer: Vec<u8>,
}

/// Shows no buffer: it holds the last payload.
impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Writer")
            .field("dir", &self.options.dir)
            .field("state", &self.state)
            .field("end", &self.end)
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Appends one frame so that `reserved_after` slots stay free; returns its position.
    pub(crate) fn append(
        &mut self,
        kind_and_lane: (u8, Lane),
        payload: &[u8],
        reserved_after: u64,
    ) -> Result<u64, AppendError> {
        self.check_open()?;
        self.check_size(payload)?;
        let bytes = frame_bytes(payload);
        let in_refusal_lane = kind_and_lane.1 == Lane::Refusal;
        if in_refusal_lane && !self.lane.has_room_for(bytes) {
            return Err(AppendError::RefusalLaneFull);
        }
        self.make_place(bytes, reserved_after)?;
        frame::encode(
            &mut self.buffer,
            self.salt,
            self.end,
            kind_and_lane,
            payload,
        );
        if let Err(error) = write_full(&*self.active.file, &self.buffer, self.active.offset) {
            return Err(self.take_back(error, bytes));
        }
        self.active.offset += bytes;
        self.unsynced_bytes += bytes;
        if in_refusal_lane {
            self.refusal_bytes += bytes;
            self.lane.note(self.end, bytes);
            if let Some(segment) = self.segments.last_mut() {
                segment.refusal_bytes += bytes;
            }
        }
        let position = self.end;
        self.end += 1;
        Ok(position)
    }

    pub(crate) fn check_open(&self) -> Result<(), AppendError> {
        match &self.state {
            State::Open => Ok(()),
            State::Closed => Err(AppendError::Closed),
            State::Poisoned(poisoned) => Err(poisoned.clone().into()),
        }
    }

    fn check_size(&self, payload: &[u8]) -> Result<(), AppendError> {
        let bytes = payload.len() as u64;
        let limit_bytes = self.options.max_payload_bytes();
        if bytes > limit_bytes {
            return Err(AppendError::TooLarge { bytes, limit_bytes });
        }
        Ok(())
    }

    pub(crate) fn room(&self) -> Room {
        Room {
            active_bytes: self
                .options
                .segment_bytes
                .saturating_sub(self.active.offset),
            spares: self.spares.len() as u64,
            segment_bytes: self.options.usable_segment_bytes(),
            outcome_bytes: self.options.outcome_bytes,
        }
    }

    /// Sees to it that a frame of `bytes` can go into the active segment and leave
    /// `reserved` slots. Bounded: each round adds a segment or ends.
    pub(crate) fn make_place(&mut self, bytes: u64, reserved: u64) -> Result<(), AppendError> {
        loop {
            match self.room().place(bytes, reserved) {
                Place::Active => return Ok(()),
                Place::NextSegment => return self.roll().map_err(AppendError::Io),
                Place::NeedsSegment => self.add_spare()?,
            }
        }
    }

    /// Continues in the next spare. Nothing is changed if that fails.
    fn roll(&mut self) -> io::Result<()> {
        let Some(spare) = self.spares.last() else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        write_full(&*spare.file, &header::encode(self.salt, self.end), 0)?;
        let mut path = header::segment_path(&self.options.dir, self.end);
        match self.layer.rename(&spare.path, &path) {
            Ok(()) => {}
            // A directory that can not take the new name must not cost a settlement its room:
            // the segment lives under its old name until the next start.
            Err(error) if is_full(&error) => path.clone_from(&spare.path),
            Err(error) => return Err(error),
        }
        let Some(spare) = self.spares.pop() else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        let next = Active {
            file: spare.file,
            base: self.end,
            offset: SEGMENT_HEADER_BYTES,
        };
        let full = std::mem::replace(&mut self.active, next);
        self.closed_bytes += full.offset;
        if let Some(segment) = self.segments.last_mut() {
            segment.bytes = full.offset;
        }
        self.unsynced_sealed.push(Sealed {
            file: full.file,
            bytes: full.offset,
        });
        self.segments.push(Segment {
            base: self.end,
            path,
            bytes: 0,
            refusal_bytes: 0,
        });
        self.dir_dirty = true;
        Ok(())
    }

    /// Preallocates one more segment here and now.
    fn add_spare(&mut self) -> Result<(), AppendError> {
        let needed_bytes = self.options.segment_bytes;
        let full = AppendError::Full { needed_bytes };
        let Some(path) = self.begin_spare() else {
            return Err(full);
        };
        let made = make_spare(&*self.layer, path, self.options.segment_bytes);
        self.end_spare(made).map_err(|error| {
            if is_full(&error) {
                full
            } else {
                AppendError::Io(error)
            }
        })
    }

    /// Claims capacity and a name for one more spare; `end_spare` must follow.
    pub(crate) fn begin_spare(&mut self) -> Option<PathBuf> {
        let after = self.allocated_bytes() + self.options.segment_bytes;
        if after > self.options.capacity_bytes {
            return None;
        }
        self.spares_in_making += 1;
        self.next_spare_number += 1;
        Some(header::spare_path(
            &self.options.dir,
            self.next_spare_number,
        ))
    }

    pub(crate) fn end_spare(&mut self, made: io::Result<Spare>) -> io::Result<()> {
        self.spares_in_making -= 1;
        self.spares.push(made?);
        self.dir_dirty = true;
        Ok(())
    }

    /// Bytes that count against the capacity.
    pub(crate) fn allocated_bytes(&self) -> u64 {
        let open_segments = 1 + self.spares.len() as u64 + self.spares_in_making;
        self.closed_bytes + open_segments * self.options.segment_bytes
    }

    /// After a failed write: makes sure that no half frame stays readable, or poisons.
    fn take_back(&mut self, error: io::Error, bytes: u64) -> AppendError {
        if let Err(second) = self.erase_half_frame() {
            let reason = format!("write failed ({error}) and could not be taken back ({second})");
            let poisoned = Poisoned { reason };
            self.state = State::Poisoned(poisoned.clone());
            return poisoned.into();
        }
        if is_full(&error) {
            return AppendError::Full {
                needed_bytes: bytes,
            };
        }
        AppendError::Io(error)
    }

    /// Zeros are no frame; the next append writes over them. Cutting the file is the second
    /// choice because it gives back the reserved room, which must then be had again.
    fn erase_half_frame(&self) -> io::Result<()> {
        let Active { file, offset, .. } = &self.active;
        if file.len()? <= *offset || write_full(&**file, &[0; HEADER], *offset).is_ok() {
            return Ok(());
        }
        file.set_len(*offset)?;
        file.preallocate(self.options.segment_bytes)
    }
}

/// Makes a preallocated file; leaves nothing behind if that fails.
pub(crate) fn make_spare(
    layer: &dyn FileLayer,
    path: PathBuf,
    segment_bytes: u64,
) -> io::Result<Spare> {
    let file = layer.open(&path, OpenMode::Create)?;
    match file.preallocate(segment_bytes) {
        Ok(()) => Ok(Spare { file, path }),
        Err(error) => {
            drop(file);
            // What was asked for has failed already; a leftover is adopted at the next start.
            let _removed = layer.remove(&path);
            Err(error)
        }
    }
}
