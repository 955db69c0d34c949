//! What can go wrong with an archive.

use std::io;

/// A segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The place where segments lie does not do what it is asked.
    #[error("archive, {what}: {error}")]
    Io {
        /// What was tried, and where.
        what: String,
        /// Why not.
        error: io::Error,
    },
    /// What lies there is not what was put there.
    #[error("archive, {what}: {why}; restore it from a copy of the archive")]
    Damaged {
        /// Which segment or manifest.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another archiver sealed this segment first: its place in the chain is taken, read on from where that one ends.
    #[error("archive, {what}: another archiver was first")]
    Taken {
        /// The manifest.
        what: String,
    },
    /// A manifest of a later version.
    #[error(
        "archive, {what}: its format is `{format}`, newer than this program; use the newer tollgate"
    )]
    Newer {
        /// The manifest.
        what: String,
        /// What it calls itself.
        format: String,
    },
}

impl ArchiveError {
    /// For `map_err`: what was tried.
    pub(crate) fn io(what: String) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what, error }
    }

    pub(crate) fn damaged(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Damaged {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}
