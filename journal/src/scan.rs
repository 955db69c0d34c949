//! Walks the frames of one segment file and finds the next good one behind damage.
//! Knows one file; what damage means for the journal is decided above.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::frame::{self, FRAME_HEADER_BYTES, Frame, FrameHead};
use crate::header::{self, HeaderRead, SEGMENT_HEADER_BYTES};
use crate::layer::{LayerFile, read_full};

/// Bytes read at once.
const WINDOW: usize = 64 << 10;

/// A walk through one segment.
pub(crate) struct Scan {
    file: Arc<dyn LayerFile>,
    salt: u32,
    window: Vec<u8>,
    window_at: u64,
    pub(crate) offset: u64,
    pub(crate) position: u64,
}

/// How far a walk may go: bytes of the file, and the first position that is not in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) offset: u64,
    pub(crate) position: u64,
}

/// One step of the walk.
#[derive(Debug)]
pub(crate) enum Step {
    /// A good frame at the expected position.
    Frame(Frame),
    /// Bytes that are no frame; the walk goes on behind them.
    Damaged {
        offset: u64,
        bytes: u64,
        first_position: u64,
    },
    /// Bytes that are no frame, up to the limit.
    BadTail { offset: u64, bytes: u64 },
    /// The limit was reached.
    End,
}

/// Shows no window: it holds payloads.
impl fmt::Debug for Scan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scan")
            .field("offset", &self.offset)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Scan {
    /// Starts behind the header of the segment at `base`. The header's salt is used if the
    /// header can be read, else `salt`, the directory's.
    pub(crate) fn start(
        file: Arc<dyn LayerFile>,
        salt: u32,
        base: u64,
    ) -> io::Result<(Self, HeaderRead)> {
        let mut bytes = [0; header::HEADER];
        let filled = read_full(&*file, &mut bytes, 0)?;
        let header = header::decode(&bytes[..filled]);
        let salt = match header {
            HeaderRead::Good { salt, .. } => salt,
            HeaderRead::NewerVersion { .. } | HeaderRead::Damaged => salt,
        };
        let scan = Self {
            file,
            salt,
            window: Vec::new(),
            window_at: 0,
            offset: SEGMENT_HEADER_BYTES,
            position: base,
        };
        Ok((scan, header))
    }

    /// Length of the file.
    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        self.file.len()
    }

    /// Takes the next step within `limit`.
    pub(crate) fn step(&mut self, limit: Limit) -> io::Result<Step> {
        if self.offset >= limit.offset {
            return Ok(Step::End);
        }
        if let Some(head) = self.frame_at(self.offset, limit)?
            && head.position == self.position
        {
            return Ok(Step::Frame(self.take(head)));
        }
        let (bad_at, first_position) = (self.offset, self.position);
        let Some(head) = self.resync(limit)? else {
            self.offset = limit.offset;
            return Ok(Step::BadTail {
                offset: bad_at,
                bytes: limit.offset - bad_at,
            });
        };
        self.position = head.position;
        Ok(Step::Damaged {
            offset: bad_at,
            bytes: self.offset - bad_at,
            first_position,
        })
    }

    /// Hands out the frame whose bytes `frame_at` has just brought into the window.
    fn take(&mut self, head: FrameHead) -> Frame {
        let start = self.window_index(self.offset);
        let payload = &self.window[start + frame::HEADER..start + head.frame_bytes()];
        let frame = Frame {
            position: head.position,
            kind: head.kind,
            lane: head.lane,
            payload: Bytes::copy_from_slice(payload),
        };
        self.offset += head.frame_bytes() as u64;
        self.position = head.position + 1;
        frame
    }

    /// Moves `offset` to the next byte where a plausible frame starts.
    fn resync(&mut self, limit: Limit) -> io::Result<Option<FrameHead>> {
        let bad_at = self.offset;
        let mut candidate = bad_at + 1;
        while candidate + FRAME_HEADER_BYTES <= limit.offset {
            // Every lost frame took at least a frame header's bytes of the region.
            let most_lost = (candidate - bad_at) / FRAME_HEADER_BYTES;
            let plausible = self.position..=self.position.saturating_add(most_lost);
            if self
                .head_at(candidate, limit)?
                .is_some_and(|head| plausible.contains(&head.position))
                && let Some(head) = self.frame_at(candidate, limit)?
            {
                self.offset = candidate;
                return Ok(Some(head));
            }
            candidate += 1;
        }
        Ok(None)
    }

    /// A whole, checked frame that starts at `offset` and lies within `limit`.
    fn frame_at(&mut self, offset: u64, limit: Limit) -> io::Result<Option<FrameHead>> {
        let Some(head) = self.head_at(offset, limit)? else {
            return Ok(None);
        };
        let length = head.frame_bytes();
        if offset + length as u64 > limit.offset || head.position >= limit.position {
            return Ok(None);
        }
        if !self.load(offset, length, limit)? {
            return Ok(None);
        }
        let start = self.window_index(offset);
        let good = head.matches(self.salt, &self.window[start..start + length]);
        Ok(good.then_some(head))
    }

    fn head_at(&mut self, offset: u64, limit: Limit) -> io::Result<Option<FrameHead>> {
        if offset + FRAME_HEADER_BYTES > limit.offset || !self.load(offset, frame::HEADER, limit)? {
            return Ok(None);
        }
        Ok(frame::decode_head(
            &self.window[self.window_index(offset)..],
        ))
    }

    fn window_index(&self, offset: u64) -> usize {
        usize::try_from(offset - self.window_at).expect("the window is far below the address space")
    }

    /// Makes `offset..offset + need` readable in the window; false at the end of the file.
    /// Never reads beyond the limit: a writer may still be changing those bytes.
    fn load(&mut self, offset: u64, need: usize, limit: Limit) -> io::Result<bool> {
        let window_end = self.window_at + self.window.len() as u64;
        if offset >= self.window_at && offset + need as u64 <= window_end {
            return Ok(true);
        }
        let within = usize::try_from(limit.offset - offset).unwrap_or(WINDOW);
        self.window.resize(need.max(within.min(WINDOW)), 0);
        let filled = read_full(&*self.file, &mut self.window, offset)?;
        self.window.truncate(filled);
        self.window_at = offset;
        Ok(filled >= need)
    }
}
