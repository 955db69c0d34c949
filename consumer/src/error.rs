//! Why the consumer stops. Each of these needs a person; what passes by itself is retried and never ends up here.

use store::StoreError;

use crate::commit::CommitError;
use crate::decode::Newer;
use crate::source::SourceError;
use crate::start::NotThisLog;

/// Why the consumer stopped. Nothing is lost: it goes on where it stood once the cause is gone.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The log can not be read on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A record of a newer version.
    #[error(transparent)]
    Newer(#[from] Newer),
    /// The store refused an insert or a query: a bug, or tables that were not migrated.
    #[error("{what}: {error}; it would be refused again")]
    Rejected {
        /// What was tried.
        what: String,
        /// What the store said.
        error: StoreError,
    },
    /// The cursor can not be read or stored.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The log is not the one that was read before.
    #[error(transparent)]
    NotThisLog(#[from] NotThisLog),
    /// Another shard of the store has rows of this partition.
    #[error(
        "partition {partition} of {topic} was written to another shard of the store before: put `store.shards` back as it was; for other shards begin a new topic (docs/deployment.md, resharding)"
    )]
    OtherShard {
        /// The log.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// A batch was begun that the log no longer has.
    #[error(
        "the batch {first}-{last} was begun, but the log now has {found_first}-{found_last} there; it was changed or damaged after it was read"
    )]
    Changed {
        /// First place of the batch in the cursor.
        first: i64,
        /// Its last place.
        last: i64,
        /// First place of the batch in the log.
        found_first: i64,
        /// Its last place.
        found_last: i64,
    },
    /// The archive is not what was put there, or of a later version.
    #[error(transparent)]
    Archive(#[from] archive::ArchiveError),
    /// The archive has more of the log than the log has.
    #[error(
        "{log} is archived up to {archived}, but ends at {end}: it is not the log that was archived; put the log back, or archive this one into another directory"
    )]
    NotTheArchivedLog {
        /// Which log.
        log: String,
        /// The last place that is archived.
        archived: i64,
        /// The log's end.
        end: i64,
    },
    /// The log is as long as what is archived of it, but says something else there.
    #[error(
        "{log} is archived up to {archived}, which boot {read} wrote, but boot {found} wrote there: it is not the log that was archived; put the log back, or archive this one into another directory"
    )]
    ArchivedByAnother {
        /// Which log.
        log: String,
        /// The last place that is archived.
        archived: i64,
        /// Who wrote it then.
        read: String,
        /// Who wrote it now.
        found: String,
    },
    /// It was asked to stop while the store was away.
    #[error("asked to stop")]
    Asked,
}

impl Halt {
    /// The metric label of the cause.
    pub(crate) fn cause(&self) -> &'static str {
        match self {
            Self::Source(SourceError::UnknownKind { .. }) | Self::Newer(_) => "newer",
            Self::Source(_) => "source",
            Self::Rejected { .. } => "rejected",
            Self::OtherShard { .. } => "other_shard",
            Self::Commit(_) => "cursor",
            Self::Archive(_) => "archive",
            Self::NotThisLog(_)
            | Self::NotTheArchivedLog { .. }
            | Self::ArchivedByAnother { .. }
            | Self::Changed { .. } => "log_changed",
            Self::Asked => "asked",
        }
    }
}
