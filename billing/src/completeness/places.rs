//! Where the records of a period stand in the logs, and which batches they are in.

use std::time::Duration;

use serde::Deserialize;
use store::Client;

use super::model::Range;
use crate::sql::{instant, json_rows, quoted};
use crate::{BillingError, Period};

const TIMEOUT: Duration = Duration::from_secs(55);
/// Places that are looked at together.
const BLOCK: i64 = 65_536;
/// Cuts of one page.
const PAGE_CUTS: usize = 512;

/// A stretch of a log that holds records of the period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Stretch {
    pub(super) topic: String,
    pub(super) partition: i32,
    block: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    /// Events of the period, copies included.
    pub(super) events: i64,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Cut {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) records: i64,
    pub(super) events: i64,
    pub(super) dead_letters: i64,
    pub(super) digest: String,
}

/// The last place of each partition that a batch covers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct End {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) last: i64,
}

/// A part of a log to be looked at: a batch, or places that no batch covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Batch(Cut),
    Uncovered(Range),
}

impl Piece {
    pub(super) fn places(&self) -> Range {
        match self {
            Self::Batch(cut) => Range {
                first: cut.first,
                last: cut.last,
            },
            Self::Uncovered(places) => *places,
        }
    }
}

/// Where the store's batches end now.
pub(super) async fn ends(client: &Client) -> Result<Vec<End>, BillingError> {
    const SQL: &str = "SELECT topic, partition, max(cuts.last) AS last FROM cuts GROUP BY topic, partition ORDER BY topic, partition";
    json_rows(client, SQL, TIMEOUT).await
}

/// The stretches that hold events of the period, in the order of topic, partition and place.
pub(super) async fn stretches(
    client: &Client,
    period: &Period,
) -> Result<Vec<Stretch>, BillingError> {
    let sql = format!(
        "SELECT toString(audit_log.topic) AS topic, partition, intDiv(offset, {BLOCK}) AS block, min(offset) AS first, max(offset) AS last, \
            count() AS events FROM audit_log WHERE received >= {} AND received < {} AND fate = 'event' \
        GROUP BY topic, partition, block ORDER BY topic, partition, block",
        instant(period.start()),
        instant(period.end())
    );
    Ok(merge(json_rows(client, &sql, TIMEOUT).await?))
}

/// Neighbouring blocks are one stretch.
fn merge(blocks: Vec<Stretch>) -> Vec<Stretch> {
    let mut merged: Vec<Stretch> = Vec::new();
    for block in blocks {
        match merged.last_mut() {
            Some(before)
                if (&before.topic, before.partition) == (&block.topic, block.partition)
                    && before.block + 1 == block.block =>
            {
                before.block = block.block;
                before.last = block.last;
                before.events += block.events;
            }
            _ => merged.push(block),
        }
    }
    merged
}

/// The pieces of a stretch from `from` on, the batches at its ends whole; nothing when there are no more.
///
/// A batch before or after the stretch that does not join its neighbour shows as places that no batch covers.
pub(super) async fn pieces(
    client: &Client,
    stretch: &Stretch,
    from: Option<i64>,
) -> Result<Vec<Piece>, BillingError> {
    let (topic, partition) = (quoted(&stretch.topic), stretch.partition);
    let begins = from.unwrap_or(stretch.first);
    if begins > stretch.last {
        return Ok(Vec::new());
    }
    let columns = "first, last, records, events, dead_letters, lower(hex(digest)) AS digest";
    let of_log = format!("topic = {topic} AND partition = {partition}");
    let sql = format!(
        "SELECT {columns} FROM cuts FINAL WHERE {of_log} AND last >= {begins} AND first <= {} ORDER BY first LIMIT {}",
        stretch.last,
        PAGE_CUTS + 1
    );
    let mut cuts: Vec<Cut> = json_rows(client, &sql, TIMEOUT).await?;
    // One more than a page says that another follows.
    let is_last_page = cuts.len() <= PAGE_CUTS;
    cuts.truncate(PAGE_CUTS);
    let before = match (from, cuts.first()) {
        (None, Some(cut)) => last_before(client, &of_log, cut.first).await?,
        _ => None,
    };
    let after = if is_last_page {
        first_after(client, &of_log, stretch.last).await?
    } else {
        None
    };
    let expected = from.or(before.map(|last| last + 1));
    Ok(join(
        cuts,
        expected,
        is_last_page.then_some((stretch.last, after)),
        begins,
    ))
}

async fn last_before(
    client: &Client,
    of_log: &str,
    place: i64,
) -> Result<Option<i64>, BillingError> {
    one(
        client,
        &format!("SELECT count() AS rows, max(cuts.last) AS place FROM cuts WHERE {of_log} AND first < {place}"),
    )
    .await
}

async fn first_after(
    client: &Client,
    of_log: &str,
    place: i64,
) -> Result<Option<i64>, BillingError> {
    one(
        client,
        &format!("SELECT count() AS rows, min(cuts.first) AS place FROM cuts WHERE {of_log} AND first > {place}"),
    )
    .await
}

async fn one(client: &Client, sql: &str) -> Result<Option<i64>, BillingError> {
    #[derive(Deserialize)]
    struct Row {
        rows: u64,
        place: i64,
    }
    let rows: Vec<Row> = json_rows(client, sql, TIMEOUT).await?;
    Ok(rows.first().filter(|row| row.rows > 0).map(|row| row.place))
}

/// Batches and what lies between them. Pure.
fn join(
    cuts: Vec<Cut>,
    expected: Option<i64>,
    end: Option<(i64, Option<i64>)>,
    begins: i64,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut next =
        expected.unwrap_or_else(|| cuts.first().map_or(begins, |cut| cut.first.min(begins)));
    for cut in cuts {
        if cut.first > next {
            pieces.push(Piece::Uncovered(Range {
                first: next,
                last: cut.first - 1,
            }));
        }
        next = next.max(cut.last + 1);
        pieces.push(Piece::Batch(cut));
    }
    if let Some((last, after)) = end {
        let last = after.map_or(last, |first| last.max(first - 1));
        if next <= last {
            pieces.push(Piece::Uncovered(Range { first: next, last }));
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(first: i64, last: i64) -> Cut {
        Cut {
            first,
            last,
            records: 1,
            events: 1,
            dead_letters: 0,
            digest: String::new(),
        }
    }

    fn shown(pieces: &[Piece]) -> Vec<String> {
        let show = |piece: &Piece| match piece {
            Piece::Batch(cut) => format!("{}-{}", cut.first, cut.last),
            Piece::Uncovered(places) => format!("!{places}"),
        };
        pieces.iter().map(show).collect()
    }

    #[test]
    fn places_between_before_and_after_the_batches_are_uncovered() {
        let cuts = || vec![cut(5, 9), cut(13, 20)];
        let joined = join(cuts(), Some(3), Some((15, Some(24))), 6);
        assert_eq!(shown(&joined), ["!3-4", "5-9", "!10-12", "13-20", "!21-23"]);
        let joined = join(cuts(), None, Some((22, None)), 6);
        assert_eq!(shown(&joined), ["5-9", "!10-12", "13-20", "!21-22"]);
        assert_eq!(shown(&join(Vec::new(), None, Some((8, None)), 6)), ["!6-8"]);
        assert_eq!(
            shown(&join(cuts(), Some(5), None, 5)),
            ["5-9", "!10-12", "13-20"]
        );
    }
}
