//! The rest of a batch whose begin is no longer in the log: what the log still has of it must be in the store before it may go from
//! there. The batch's cut stays as it is, and short for ever.

use super::facts::{self, Cut};
use super::repair::Repaired;
use super::verdict::shortage;
use crate::commit::Commit;
use crate::decode::Rows;
use crate::error::Halt;
use crate::source::{Read, Reader, Source, SourceError};
use crate::write::Writer;

/// After so many records other work of the thread gets its turn.
const RECORDS_A_TURN: u32 = 128;

/// Inserts the rows of the records from `first` to `last`, the end of their batch, under `repair_epoch`, unless they are all there.
pub(crate) async fn save<S: Source>(
    source: &S,
    writer: &Writer,
    commit: &mut Commit,
    (first, last): (i64, i64),
    repair_epoch: u32,
) -> Result<Repaired, Halt> {
    let rows = match read(source, first, last).await? {
        Ok(rows) => rows,
        Err(why) => return Ok(Repaired::Impossible(why)),
    };
    if is_whole(writer, &rows).await? {
        return Ok(Repaired::Done(0));
    }
    commit.use_epoch(repair_epoch)?;
    writer.write_rows(&rows, repair_epoch).await?;
    tracing::warn!(
        first,
        last,
        repair_epoch,
        "the rest of a batch was inserted again"
    );
    writer.news.metrics.repairs.inc();
    writer.news.change(|status| status.repairs += 1);
    Ok(if is_whole(writer, &rows).await? {
        Repaired::Done(1)
    } else {
        let why = format!("{first}-{last} was inserted again and still is not whole");
        Repaired::Impossible(why)
    })
}

/// The rows of a stretch whose end is known, or why there are none.
async fn read<S: Source>(source: &S, first: i64, last: i64) -> Result<Result<Rows, String>, Halt> {
    let mut reader = source.read_again(first);
    let mut rows = Rows::new(source.place().clone(), first);
    let mut turn = 0_u32;
    while rows.last() < last {
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(RECORDS_A_TURN) {
            tokio::task::yield_now().await;
        }
        match reader.read() {
            Ok(Read::Record(record)) if record.offset <= last => rows.push(&record)?,
            // Places without a record: the store has none of them either, or more than the log.
            Ok(Read::Lost { next, .. }) if next <= last => {}
            Ok(Read::Record(_) | Read::CaughtUp | Read::Lost { .. }) => {
                return Ok(Err(format!("the log has no record at {last}")));
            }
            Err(error @ SourceError::Retired { .. }) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Ok(rows))
}

/// Whether the store has every row, with its bytes.
async fn is_whole(writer: &Writer, rows: &Rows) -> Result<bool, Halt> {
    let row = rows.cut(0);
    let cut = Cut {
        first: row.first,
        last: row.last,
        records: row.records,
        events: row.events,
        dead_letters: row.dead_letters,
        digest: hex::encode(row.digest),
    };
    let cuts = std::slice::from_ref(&cut);
    let asked = writer.answered_in_time(
        "audit: the rest of a batch",
        async |client: store::Client| facts::seen(&client, rows.place(), cuts).await,
    );
    let seen = asked.await?.remove(&cut.first).unwrap_or_default();
    Ok(shortage(&cut, &seen).is_none())
}
