//! What can be wrong with files that were found: named values, no behaviour.

use std::path::PathBuf;

/// A region of a segment that holds no readable frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub segment: PathBuf,
    /// Where in the file the region starts, in bytes.
    pub offset: u64,
    /// Length of the region in bytes; 0 when the file itself is missing.
    pub bytes: u64,
    /// Positions `first_position..next_position` can not be read; empty if none was lost.
    pub first_position: u64,
    /// The first position that is readable again.
    pub next_position: u64,
    /// What kind of damage.
    pub cause: DamageCause,
    /// Where the bytes were copied, when they were.
    pub quarantined: Option<PathBuf>,
}

/// Kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageCause {
    /// The header of a segment is unreadable or states another base.
    Header,
    /// Bytes between good frames, or up to the end of a closed segment, are not a frame.
    Frame,
    /// Positions between two segments are missing.
    MissingSegment,
    /// Bytes after the last good frame: a write that never finished.
    TornTail,
}

/// Something a person has to look at; the journal works nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// One boot counter with two nonces: this disk or directory was copied and both ran.
    TwoNoncesOneCounter {
        /// The counter in question.
        counter: u64,
        /// The nonces, in the order they were found.
        nonces: [[u8; 8]; 2],
    },
    /// The boot file is missing or unreadable although the journal holds boots.
    BootFileLost,
    /// The boot file is older than the newest boot in the journal: an old copy was put back.
    BootFileBehind {
        /// Counter in the boot file.
        file: u64,
        /// Newest counter in the journal.
        journal: u64,
    },
    /// The last run could not sync; its frames from this position on were written again.
    RewroteUnsynced {
        /// First position that the last run could not prove synced.
        from_position: u64,
    },
}
