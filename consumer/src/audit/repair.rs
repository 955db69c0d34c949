//! Repair: reads a stretch of the log again and inserts its batches under a new epoch, whose tokens the store has not seen.
//! Rows that were still there become surplus copies, which the audit counts and the set of events does not have twice.

use crate::commit::{Commit, InWork};
use crate::cut::Gathering;
use crate::decode::Rows;
use crate::error::Halt;
use crate::source::{Read, Reader, Source, SourceError};
use crate::write::Writer;

/// After so many records other work of the thread gets its turn.
const RECORDS_A_TURN: u32 = 128;

/// A stretch between two boundaries, to be inserted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    first: i64,
    last: i64,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    OneBatch,
    Batches,
}

impl Wanted {
    /// One batch with known boundaries.
    pub(crate) fn batch(first: i64, last: i64) -> Self {
        Self {
            first,
            last,
            shape: Shape::OneBatch,
        }
    }

    /// Whatever batches lie between two boundaries.
    pub(crate) fn stretch(first: i64, last: i64) -> Self {
        Self {
            first,
            last,
            shape: Shape::Batches,
        }
    }
}

/// How a repair went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repaired {
    /// So many batches were inserted again.
    Done(u64),
    /// The log does not have it as it was.
    Impossible(String),
}

/// Inserts `wanted` again under `repair_epoch`.
pub(crate) async fn repair<S: Source>(
    source: &S,
    writer: &Writer,
    commit: &mut Commit,
    wanted: Wanted,
    repair_epoch: u32,
) -> Result<Repaired, Halt> {
    let mut reader = source.read_again(wanted.first);
    let mut gathering = Gathering::new(Rows::new(source.place().clone(), wanted.first));
    let mut done = 0;
    loop {
        let rows = match next(&mut reader, &mut gathering).await? {
            Ok(rows) => rows,
            Err(why) => return Ok(Repaired::Impossible(why)),
        };
        let (first, last) = (rows.first(), rows.last());
        let fits = if wanted.shape == Shape::OneBatch {
            last == wanted.last
        } else {
            last <= wanted.last
        };
        if !fits {
            return Ok(Repaired::Impossible(format!(
                "the log's batch there is {first}-{last}, the boundaries do not meet"
            )));
        }
        commit.begin(InWork {
            first,
            last,
            repair_epoch,
        })?;
        writer.write(&rows, repair_epoch).await?;
        writer
            .options
            .pass("consumer.between_repair_and_commit")
            .await;
        commit.finish(source.written_by(rows.last()))?;
        done += 1;
        writer.news.metrics.repairs.inc();
        writer.news.change(|status| status.repairs += 1);
        tracing::warn!(
            first,
            last,
            repair_epoch,
            "a batch was inserted again from the log"
        );
        if last == wanted.last {
            return Ok(Repaired::Done(done));
        }
    }
}

/// The next batch of the log, or why there is none.
async fn next(
    reader: &mut impl Reader,
    gathering: &mut Gathering,
) -> Result<Result<Rows, String>, Halt> {
    let mut turn = 0;
    loop {
        turn += 1;
        if turn % RECORDS_A_TURN == 0 {
            tokio::task::yield_now().await;
        }
        let record = match reader.read() {
            Ok(Read::Record(record)) => record,
            Ok(Read::Lost { first, next }) => {
                return Ok(Err(format!(
                    "offsets {first} to {} of the log can not be read",
                    next - 1
                )));
            }
            Ok(Read::CaughtUp) => return Ok(Err("the log ends before".to_owned())),
            Err(error @ SourceError::Retired { .. }) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        if let Some(rows) = gathering.push(&record)? {
            return Ok(Ok(rows));
        }
    }
}
