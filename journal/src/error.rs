//! What can go wrong, as the caller sees it. Every text names the thing and the way out.

use std::io;
use std::path::PathBuf;

use crate::layer::is_out_of_descriptors;
use crate::reservation::Reservation;

/// Why a journal can not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings contradict each other.
    #[error("journal settings: {0}")]
    Options(String),
    /// Another process has it.
    #[error("journal directory {} is in use by another process; stop that one, or give this one a directory of its own", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory can not be written.
    #[error("journal directory {} is read-only; mount it writable or give it to this user", dir.display())]
    ReadOnly {
        /// The directory.
        dir: PathBuf,
    },
    /// Written by a newer program.
    #[error("{} has format version {found}, this program knows up to {supported}; run the newer program on it", path.display())]
    NewerVersion {
        /// The segment file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that we can read.
        supported: u32,
    },
    /// No room for the first frame.
    #[error("no room in journal directory {}: free {needed_bytes} bytes or raise capacity_bytes", dir.display())]
    NoRoom {
        /// The directory.
        dir: PathBuf,
        /// Bytes for one segment.
        needed_bytes: u64,
    },
    /// The file system can not promise room.
    #[error("the file system of {} can not reserve room (fallocate); use ext4, xfs, btrfs or tmpfs", dir.display())]
    NoPreallocation {
        /// The directory.
        dir: PathBuf,
    },
    /// Any other failure of the file system.
    #[error("journal: {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a frame was not appended. Nothing of it is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No room beside what is promised to open reservations.
    #[error(
        "journal is full: {needed_bytes} more bytes needed; free disk space, raise capacity_bytes, or let the sink catch up"
    )]
    Full {
        /// Bytes that must become free: one more segment, or the frame if its write hit the end.
        needed_bytes: u64,
    },
    /// Refusals have used up their lane.
    #[error(
        "the journal's lane for refusals is full; fold further refusals into one counted record"
    )]
    RefusalLaneFull,
    /// The payload is larger than a frame, or a settlement larger than its reservation, can be.
    #[error("payload of {bytes} bytes is above the journal's limit of {limit_bytes}")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Kind 0 belongs to the journal.
    #[error("frame kind 0 is reserved for the journal's boot frames")]
    ReservedKind,
    /// The write failed; the frame was taken back.
    #[error("journal write failed: {0}")]
    Io(#[source] io::Error),
    /// Nothing can be appended any more.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// A failed sync, or a failed write that could not be taken back. Only a restart helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal is poisoned and takes nothing until restarted: {reason}")]
pub struct Poisoned {
    /// What failed first.
    pub reason: String,
}

/// A settlement that failed; the reservation still holds its room.
#[derive(Debug, thiserror::Error)]
#[error("could not settle: {error}")]
pub struct SettleError {
    /// Still open; try again, or with a shorter record.
    pub reservation: Reservation,
    /// Why.
    #[source]
    pub error: AppendError,
}

impl ReadError {
    /// Whether it passes by itself: no further file could be opened just then. A reader goes on where it stands.
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_out_of_descriptors(source))
    }
}

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The segment of that position was retired.
    #[error("position {wanted} was retired; the journal starts at {first}")]
    Retired {
        /// Asked for.
        wanted: u64,
        /// The oldest position still here.
        first: u64,
    },
    /// Written by a newer program.
    #[error("{} has format version {found}, this program knows up to {supported}; use the newer program", path.display())]
    NewerVersion {
        /// The segment file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that we can read.
        supported: u32,
    },
    /// Nothing more will come.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The journal was closed and everything in it has been read.
    #[error("the journal is closed")]
    Closed,
    /// The file system failed.
    #[error("reading journal segment {}: {source}", path.display())]
    Io {
        /// The segment file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
