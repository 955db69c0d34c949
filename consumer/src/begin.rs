//! The consumer's start: asks cursor, store and log, decides by `start`, and finishes a repair that a crash cut short.

use schemas::rows::Source as Place;

use crate::audit::{Repaired, Wanted, repair};
use crate::commit::{Commit, Loaded, Mark, without_identity};
use crate::error::Halt;
use crate::source::Source;
use crate::start::{self, Known};
use crate::status::State;
use crate::write::Writer;

/// What the store's `cuts` say of a log.
struct Cuts {
    first: i64,
    last: i64,
    repair_epoch: u32,
}

/// Where a consumer begins.
pub(crate) struct Begun {
    /// At its mark.
    pub commit: Commit,
    /// Batches that begin at or before this place may be in the store in part, and have been there for long.
    pub doubtful: Option<i64>,
}

/// Says where to begin, and keeps it.
pub(crate) async fn begin<S: Source>(source: &S, writer: &Writer) -> Result<Begun, Halt> {
    let place = source.place();
    let mut keeper = source.keeper(&writer.options);
    let mut boundary = None;
    let mark = match keeper.load(place)? {
        Loaded::Nothing => None,
        Loaded::Mark(mark) => Some(mark),
        Loaded::Boundary(committed) => {
            boundary = Some(committed);
            None
        }
        Loaded::OtherJournal { topic } => {
            begin_anew(writer, place, &topic);
            None
        }
    };
    let cuts = cuts(writer, place).await?;
    on_its_own_shard(source, writer, cuts.is_some()).await?;
    let mut known = Known {
        mark: mark.as_ref(),
        boundary,
        last_cut: cuts.as_ref().map(|cuts| cuts.last),
        first_kept: source.first_kept(),
        readable_end: source.readable_end(),
        written_by: mark
            .as_ref()
            .and_then(|mark| source.written_by(mark.committed - 1)),
    };
    let mut begin = start::begin(&known)?;
    if let Some(wanted) = begin.lost_from {
        let said = known.first_kept;
        if source.is_gone(wanted)? {
            // Where it begins was said again meanwhile.
            known.first_kept = source.first_kept();
        } else {
            tracing::warn!(
                "the log was said to begin at {said}, and is read from {wanted} all the same"
            );
            known.first_kept = source.first_kept().min(wanted);
        }
        begin = start::begin(&known)?;
    }
    let first_kept = known.first_kept;
    let mut mark = match (mark, &cuts) {
        (Some(mark), _) => mark,
        // What is before belongs to the topic of an earlier version, and is there.
        (None, Some(cuts)) if took_over(writer, place, cuts.first).await? => {
            new_mark(place, Some(cuts), begin, cuts.first)
        }
        (None, cuts) => new_mark(place, cuts.as_ref(), begin, first_kept),
    };
    if cuts.is_none() && boundary.is_some_and(|boundary| boundary > 0) {
        writer.news.alarm(format!(
            "the log says that everything before {} was written, and the store has no cut of it: what the log still holds is \
             written again, what it held before {} is missing",
            mark.committed, first_kept
        ));
    }
    if let Some(lost) = begin.lost_from {
        lose(writer, &mut mark, lost, begin.at);
    }
    mark.written_by = source.written_by(mark.committed - 1).or(mark.written_by);
    let mut commit = Commit::new(keeper, mark)?;
    finish_repair(source, writer, &mut commit).await?;
    let doubtful = last_row(writer, place, commit.mark().committed).await?;
    writer.news.committed(commit.mark().committed);
    writer.news.state(State::Running);
    Ok(Begun { commit, doubtful })
}

/// The journal is another one than before: a log of its own, with rows and cuts of its own, read from its own beginning. Nothing
/// of it is passed over, and a person hears that the old one may have held what the store does not have.
fn begin_anew(writer: &Writer, place: &Place, old: &str) {
    writer.news.alarm(format!(
        "the journal is {}, the one read before was {old}: it is read from its beginning as a new log; what the old one held and the \
         store does not have is missing until that journal is put back",
        place.topic
    ));
}

/// Without a mark nobody says where the store's part of the log began: whatever the log still holds belongs to it, so that the
/// audit finds what the store has lost at its beginning, or altogether.
fn new_mark(place: &Place, cuts: Option<&Cuts>, begin: start::Begin, first_kept: i64) -> Mark {
    let origin = cuts.map_or(begin.lost_from.unwrap_or(begin.at), |cuts| cuts.first);
    let origin = origin.min(first_kept);
    let repair_epoch = cuts.map_or(0, |cuts| cuts.repair_epoch);
    Mark {
        committed: begin.at,
        ..Mark::new(place, origin, repair_epoch)
    }
}

/// The log does not reach back to where the store ends. What is still there is worth more than standing still, so it goes on,
/// and says so until a person has looked.
fn lose(writer: &Writer, mark: &mut Mark, from: i64, to: i64) {
    writer
        .news
        .metrics
        .lost_positions
        .inc_by(u64::try_from(to - from).unwrap_or(0));
    writer.news.alarm(format!(
        "offsets {from} to {} were never written to the store and are no longer in the log",
        to - 1
    ));
    mark.committed = to;
    mark.in_work = mark.in_work.filter(|begun| begun.first >= to);
}

/// A partition is written to one shard for ever: what went to another before would be there twice. The group's commit says which
/// one it was, and so do the rows. A shard that has cuts of the partition asks no other, so that it does not wait for one that is
/// away.
async fn on_its_own_shard<S: Source>(
    source: &S,
    writer: &Writer,
    has_cuts: bool,
) -> Result<(), Halt> {
    let place = source.place();
    let own = writer.options.shard;
    let mut is_other = source.written_shard().is_some_and(|shard| shard != own);
    let others: &[store::Client] = match (is_other, has_cuts) {
        (false, false) => &writer.options.shards,
        _ => &[],
    };
    for other in others {
        let asked =
            writer.until_answered("ask another shard", async |_| has_rows(other, place).await);
        is_other |= asked.await?;
    }
    if !is_other {
        return Ok(());
    }
    Err(Halt::OtherShard {
        topic: place.topic.to_string(),
        partition: place.partition,
    })
}

/// Whether a shard has anything of a partition: of a batch that was only begun there are rows, and no cut.
async fn has_rows(client: &store::Client, place: &Place) -> Result<bool, store::StoreError> {
    for table in ["audit_log", "cuts"] {
        let sql = format!(
            "SELECT count() FROM (SELECT 1 FROM {table} WHERE topic = ? AND partition = ? LIMIT 1)"
        );
        let query = client
            .query(&sql)
            .bind(place.topic.as_str())
            .bind(place.partition);
        if query.fetch_one::<u64>().await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn cuts(writer: &Writer, place: &Place) -> Result<Option<Cuts>, Halt> {
    const SQL: &str = "SELECT count(), min(first), max(last), max(repair_epoch) FROM cuts WHERE topic = ? AND partition = ?";
    let asked = writer.until_answered("read the last cut", async |client: store::Client| {
        let query = client
            .query(SQL)
            .bind(place.topic.as_str())
            .bind(place.partition);
        query.fetch_one::<(u64, i64, i64, u32)>().await
    });
    let (count, first, last, repair_epoch) = asked.await?;
    Ok((count > 0).then_some(Cuts {
        first,
        last,
        repair_epoch,
    }))
}

/// Whether the store's cuts of a journal begin where those end that an earlier version wrote, whose topics did not name the
/// journal's identity.
async fn took_over(writer: &Writer, place: &Place, first: i64) -> Result<bool, Halt> {
    const SQL: &str = "SELECT count() FROM cuts WHERE topic = ? AND partition = ? AND last = ?";
    let Some(without_identity) = without_identity(place.topic.as_str()) else {
        return Ok(false);
    };
    let asked = writer.until_answered(
        "read an earlier version's last cut",
        async |client: store::Client| {
            let query = client.query(SQL).bind(without_identity);
            let query = query.bind(place.partition).bind(first - 1);
            query.fetch_one::<u64>().await
        },
    );
    Ok(asked.await? > 0)
}

/// The last place from `boundary` on of which the store has a row: somebody began to write there, and did not commit.
async fn last_row(writer: &Writer, place: &Place, boundary: i64) -> Result<Option<i64>, Halt> {
    const SQL: &str = "SELECT count(), max(offset) FROM audit_log WHERE topic = ? AND partition = ? AND offset >= ?";
    let asked = writer.until_answered("read what was begun", async |client: store::Client| {
        let query = client
            .query(SQL)
            .bind(place.topic.as_str())
            .bind(place.partition);
        query.bind(boundary).fetch_one::<(u64, i64)>().await
    });
    let (count, last) = asked.await?;
    Ok((count > 0).then_some(last))
}

/// A repair that was begun is repeated with its own tokens; a batch that was begun is simply read again.
async fn finish_repair<S: Source>(
    source: &S,
    writer: &Writer,
    commit: &mut Commit,
) -> Result<(), Halt> {
    let Some(begun) = commit.mark().in_work.filter(|begun| begun.repair_epoch > 0) else {
        return Ok(());
    };
    let wanted = Wanted::begun(begun.first, begun.last);
    let repaired = match repair(source, writer, commit, wanted, begun.repair_epoch).await {
        Err(refused @ Halt::Rejected { .. }) => Repaired::Impossible(refused.to_string()),
        repaired => repaired?,
    };
    if let Repaired::Impossible(why) = repaired {
        writer.news.alarm(format!(
            "a repair of {}-{} was begun and can not be finished: {why}",
            begun.first, begun.last
        ));
        commit.give_up()?;
    }
    Ok(())
}
