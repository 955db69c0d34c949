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
/// So many places without a record are told of a batch; more are no news.
const MAX_HOLES: usize = 16;

/// What a cut says of its records: how many they are, and the digest of their bytes.
type Said = (i64, [u8; 32]);

/// A stretch between two boundaries, to be inserted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    first: i64,
    last: i64,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// With these records, if that is known.
    OneBatch(Option<Said>),
    Batches,
    /// As the log was read, and not a record less.
    SameBatches,
}

impl Wanted {
    /// One batch with known boundaries, of so many records with this digest, in hex.
    pub(crate) fn batch(first: i64, last: i64, records: i64, digest: &str) -> Self {
        let mut said = [0; 32];
        if hex::decode_to_slice(digest, &mut said).is_err() {
            // No digest is none of any bytes.
            said = [0; 32];
        }
        Self {
            first,
            last,
            shape: Shape::OneBatch(Some((records, said))),
        }
    }

    /// One batch that was begun.
    pub(crate) fn begun(first: i64, last: i64) -> Self {
        Self {
            first,
            last,
            shape: Shape::OneBatch(None),
        }
    }

    /// Whatever batches lie between two boundaries, where the store has none: of places without a record a person hears.
    pub(crate) fn stretch(first: i64, last: i64) -> Self {
        Self {
            first,
            last,
            shape: Shape::Batches,
        }
    }

    /// The batches between two boundaries once more.
    pub(crate) fn once_more(first: i64, last: i64) -> Self {
        Self {
            first,
            last,
            shape: Shape::SameBatches,
        }
    }

    /// Where the last batch ends in any case: the store's cuts go on behind it, even if one of them was once begun off a boundary.
    fn end(self) -> Option<i64> {
        match self.shape {
            Shape::OneBatch(_) | Shape::Batches => Some(self.last),
            Shape::SameBatches => None,
        }
    }

    /// Whether these rows are what is wanted though places of theirs have no record: they had none when they were first read.
    fn is_met_by(self, rows: &Rows) -> bool {
        match self.shape {
            Shape::OneBatch(said) => said.is_some_and(|(records, _)| records == rows.records()),
            Shape::Batches => true,
            Shape::SameBatches => false,
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
        let mut holes = Vec::new();
        let rows = match next(&mut reader, &mut gathering, &mut holes, wanted.end()).await? {
            Ok(rows) => rows,
            Err(why) => return Ok(Repaired::Impossible(why)),
        };
        if let Some(hole) = holes.first()
            && (rows.records() == 0 || !wanted.is_met_by(&rows))
        {
            return Ok(Repaired::Impossible(hole.clone()));
        }
        let (first, last) = (rows.first(), rows.last());
        let fits = if matches!(wanted.shape, Shape::OneBatch(_)) {
            last == wanted.last
        } else {
            last <= wanted.last
        };
        if !fits {
            return Ok(Repaired::Impossible(format!(
                "the log's batch there is {first}-{last}, the boundaries do not meet"
            )));
        }
        // The cut is the older witness: who changed the log does not get it replaced by that.
        if let Shape::OneBatch(Some((_, digest))) = wanted.shape
            && rows.cut(repair_epoch).digest != digest
        {
            return Ok(Repaired::Impossible(
                "the log has other bytes there than the cut was made of, and which of the two was changed is for a person to say: \
                 see docs/completeness.md"
                    .to_owned(),
            ));
        }
        commit.begin(InWork {
            first,
            last,
            repair_epoch,
        })?;
        if let Err(halt) = writer.write(&rows, repair_epoch).await {
            // What the store refuses is refused again: it must not stand before the batches that come. The epoch stays used.
            if matches!(halt, Halt::Rejected { .. }) {
                commit.give_up()?;
            }
            return Err(halt);
        }
        writer
            .options
            .pass("consumer.between_repair_and_commit")
            .await;
        commit.finish(source.written_by(rows.last()))?;
        done += 1;
        if wanted.shape == Shape::Batches {
            for hole in holes {
                writer.news.alarm(hole);
            }
        }
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

/// The next batch of the log, or why there is none; and which of its places can not be read.
async fn next(
    reader: &mut impl Reader,
    gathering: &mut Gathering,
    holes: &mut Vec<String>,
    end: Option<i64>,
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
                let last = next - 1;
                let hole = || format!("offsets {first} to {last} of the log can not be read");
                holes.extend((holes.len() < MAX_HOLES).then(hole));
                continue;
            }
            Ok(Read::CaughtUp) => return Ok(Err("the log ends before".to_owned())),
            Err(error @ SourceError::Retired { .. }) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let end = end.filter(|end| record.offset >= *end);
        if end.is_none_or(|end| record.offset == end)
            && let Some(rows) = gathering.push(&record)?
        {
            return Ok(Ok(rows));
        }
        if let Some(end) = end {
            return Ok(Ok(gathering.end_at(end)));
        }
    }
}
