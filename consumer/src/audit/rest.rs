//! The rest of a batch whose begin is no longer in the log: what the log still has of it must be in the store before it may go from
//! there. The batch's cut stays as it is, and short for ever.

use super::facts::{self, Held};
use super::repair::Repaired;
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

/// Whether the store has every row, with its bytes. What it has beside them, from places that the log can not give any more, is no
/// reason to insert again.
async fn is_whole(writer: &Writer, rows: &Rows) -> Result<bool, Halt> {
    let received = || {
        let events = rows.usage().values().flatten();
        events.map(|row| row.0.head.received)
    };
    let received = received().min().zip(received().max()).unwrap_or_default();
    let asked = writer.answered_in_time(
        "audit: the rest of a batch",
        async |client: store::Client| {
            let stretch = (rows.first(), rows.last());
            facts::held(&client, rows.place(), stretch, received).await
        },
    );
    Ok(has_all(&asked.await?, rows))
}

fn has_all(held: &Held, rows: &Rows) -> bool {
    let mut wanted = rows.audit().values().flatten().map(|row| &row.0);
    wanted.all(|row| {
        let record = (row.offset, row.fate, hex::encode(row.leaf));
        held.records.contains(&record) && !held.missing_events.contains(&row.offset)
    })
}

#[cfg(test)]
mod tests {
    use schemas::rows::Source as Place;
    use schemas::{RecordKind, Text};

    use super::*;
    use crate::sample::{encode, event};
    use crate::source::Record;

    #[test]
    fn rows_are_whole_whatever_else_the_store_has_beside_them() {
        let place = Place {
            topic: Text::cut("t"),
            partition: 0,
        };
        let mut rows = Rows::new(place, 3);
        for (offset, number) in [(3, 3), (4, 4), (7, 7)] {
            let record = Record {
                offset,
                kind: RecordKind::Usage,
                bytes: encode(&event(number)).into(),
                stated: None,
                replay_of: None,
                kept: None,
            };
            rows.push(&record).unwrap();
        }
        let row = |row: &schemas::AuditRow| (row.offset, row.fate, hex::encode(row.leaf));
        let audit = rows.audit().values().flatten();
        let mut held = Held {
            records: audit.map(|stored| row(&stored.0)).collect(),
            ..Held::default()
        };
        assert!(has_all(&held, &rows));
        // Of a place that the log can not give any more, and another's bytes beside the right ones.
        held.records.insert((5, 1, "ab".into()));
        held.records.insert((4, 1, "cd".into()));
        held.missing_events.insert(5);
        assert!(has_all(&held, &rows));
        let mut without = held.clone();
        without
            .records
            .retain(|(offset, _, leaf)| *offset != 4 || leaf == "cd");
        assert!(!has_all(&without, &rows));
        held.missing_events.insert(7);
        assert!(!has_all(&held, &rows));
    }
}
