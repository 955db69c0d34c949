//! Replay: inserts the whole log again, as a repair of everything. The way back after tables were emptied by hand, and the
//! proof that doing so changes no number. Not beside a running consumer of the same cursor.

use tokio_util::sync::CancellationToken;

use crate::audit::{Repaired, Wanted, repair};
use crate::begin::{Begun, begin};
use crate::error::Halt;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::source::Source;
use crate::status::News;
use crate::write::Writer;

/// What a replay did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Batches that were inserted again.
    pub batches: u64,
    /// From this boundary of the log.
    pub from: i64,
    /// Up to this boundary: everything that was ever committed.
    pub to: i64,
    /// Under this epoch.
    pub repair_epoch: u32,
}

/// Why there was nothing to replay, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store, the log or the cursor can not be used.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The log is not as it was when it was committed.
    #[error("the log can not be replayed: {0}")]
    Impossible(String),
}

/// Inserts everything that `source` keeps and that was committed again. Ends early, to be repeated, when `stop` is cancelled
/// while the store is away.
pub async fn replay<S: Source>(
    source: &S,
    options: Options,
    stop: CancellationToken,
) -> Result<Replayed, ReplayError> {
    let writer = Writer::new(options, News::new(Metrics::default()), stop);
    let Begun { mut commit, .. } = begin(source, &writer).await?;
    let repair_epoch = commit.mark().repair_epoch + 1;
    let to = commit.mark().committed;
    let from = first_boundary(source, &writer, commit.mark().origin).await?;
    let nothing = Replayed {
        batches: 0,
        from,
        to,
        repair_epoch,
    };
    if from >= to {
        return Ok(nothing);
    }
    match repair(
        source,
        &writer,
        &mut commit,
        Wanted::once_more(from, to - 1),
        repair_epoch,
    )
    .await?
    {
        Repaired::Done(batches) => Ok(Replayed { batches, ..nothing }),
        Repaired::Impossible(why) => Err(ReplayError::Impossible(why)),
    }
}

/// The oldest boundary that the log keeps: a cut of the store where it has one, for the middle of a batch is no boundary.
async fn first_boundary<S: Source>(source: &S, writer: &Writer, origin: i64) -> Result<i64, Halt> {
    const SQL: &str =
        "SELECT count(), min(first) FROM cuts WHERE topic = ? AND partition = ? AND first >= ?";
    let (place, kept) = (source.place(), source.first_kept());
    if kept <= origin {
        return Ok(origin);
    }
    let asked = writer.until_answered("read the first cut", async |client: store::Client| {
        let query = client
            .query(SQL)
            .bind(place.topic.as_str())
            .bind(place.partition)
            .bind(kept);
        query.fetch_one::<(u64, i64)>().await
    });
    let (count, first) = asked.await?;
    Ok(if count > 0 { first } else { kept })
}
