//! Why a rebuild ended before its end. The old tables are as they were, unless it says otherwise.

use crate::commit::CommitError;
use crate::decode::Newer;
use crate::error::Halt;
use crate::source::{NotToBeRead, SourceError};

/// Why tables were not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] archive::ArchiveError),
    /// The log.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The topic.
    #[error(transparent)]
    Topic(#[from] NotToBeRead),
    /// The journal's directory.
    #[error(transparent)]
    Journal(#[from] journal::ReadError),
    /// A record of a newer version.
    #[error(transparent)]
    Newer(#[from] Newer),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The new tables could not be made.
    #[error(transparent)]
    Migrate(#[from] store::migrate::MigrateError),
    /// An insert was refused.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The consumer's cursor.
    #[error(transparent)]
    Cursor(#[from] CommitError),
    /// A database of that name is not a rebuild's.
    #[error(
        "database {0} is there and was not made by a rebuild; rename it, or drop it if nobody needs it"
    )]
    NotOurs(String),
}
