//! What the caller chooses: directory, sizes, how long a group of appends may wait for its fsync.
//! No defaults that depend on the machine live here.

use std::path::PathBuf;
use std::time::Duration;

use crate::frame::{FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES};
use crate::header::SEGMENT_HEADER_BYTES;

/// Settings of one journal directory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory that holds the segments; made if it is missing.
    pub dir: PathBuf,
    /// Size at which a segment is closed, in bytes.
    pub segment_bytes: u64,
    /// The most that all segments together may occupy, in bytes; at least two segments.
    pub capacity_bytes: u64,
    /// The longest time an append waits for its group's fsync to start.
    pub sync_interval: Duration,
    /// Unsynced bytes at which the group's fsync starts at once.
    pub sync_bytes: u64,
    /// Largest frame, header included, that a reservation covers.
    pub outcome_bytes: u64,
    /// The most that refusals may occupy in all kept segments, in bytes.
    pub refusal_lane_bytes: u64,
}

impl Options {
    /// The usual settings: 64 MiB segments, 4 GiB in all, fsync after 2 ms or 256 KiB,
    /// 16 KiB for an outcome, 64 MiB for refusals.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            capacity_bytes: 4 << 30,
            sync_interval: Duration::from_millis(2),
            sync_bytes: 256 << 10,
            outcome_bytes: 16 << 10,
            refusal_lane_bytes: 64 << 20,
        }
    }

    /// Says what is wrong with these settings, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        let usable = self.segment_bytes.saturating_sub(SEGMENT_HEADER_BYTES);
        if self.outcome_bytes <= FRAME_HEADER_BYTES {
            return Some(format!(
                "outcome_bytes must be above {FRAME_HEADER_BYTES} bytes, the header of a frame"
            ));
        }
        if usable < self.outcome_bytes.saturating_mul(2) {
            return Some("segment_bytes must hold at least two frames of outcome_bytes".to_owned());
        }
        if self.capacity_bytes < self.segment_bytes.saturating_mul(2) {
            return Some("capacity_bytes must hold at least two segments".to_owned());
        }
        None
    }

    /// Bytes of frames that one segment can hold.
    pub(crate) fn usable_segment_bytes(&self) -> u64 {
        self.segment_bytes - SEGMENT_HEADER_BYTES
    }

    /// Largest payload that one append can carry.
    pub(crate) fn max_payload_bytes(&self) -> u64 {
        let segment = self.usable_segment_bytes() - FRAME_HEADER_BYTES;
        segment.min(MAX_PAYLOAD_BYTES)
    }
}
