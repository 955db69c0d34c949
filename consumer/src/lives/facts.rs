//! What the store knows of producers, asked in SQL: what they claim, and which of their numbers are there.
//! What it means is decided in `boot`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemas::event::FIRST_PRODUCER_SEQ;
use schemas::producer::Standing;
use store::{Client, StoreError};

use super::boot::{Claim, Key};
use super::gaps::Range;

/// The most stretches of one answer.
pub(crate) const MAX_STRETCHES: usize = 1_000;
/// Stands for a record that was never seen.
const NEVER: i64 = -2;
/// Stands for one that names no position.
const NOWHERE: i64 = -1;

type ClaimTuple = (String, String, i64, i64, i64, i64, u64, u64);

/// What boots say whose records have a clock of `since_us` or later.
pub(crate) async fn claims(
    client: &Client,
    since_us: i64,
) -> Result<BTreeMap<Key, Claim>, StoreError> {
    const SQL: &str = "SELECT toString(producer), toString(boot), max(ifNull(last_producer_seq, -1)), \
            max(if(kind = 'heartbeat', ifNull(synced_position, -1), -2)), \
            max(if(kind = 'silent', ifNull(synced_position, -1), -2)), \
            max(if(kind = 'declared_lost', ifNull(synced_position, -1), -2)), \
            countIf(kind = 'closed'), countIf(kind = 'draining') \
        FROM producer_log WHERE clock >= fromUnixTimestamp64Micro(?) GROUP BY producer, boot";
    let rows: Vec<ClaimTuple> = client.query(SQL).bind(since_us).fetch_all().await?;
    let claims = rows.into_iter().map(
        |(producer, boot, last, heard, silent, lost, closed, draining)| {
            let standing = Standing {
                heard: position(heard),
                silent: position(silent),
                lost: position(lost),
                is_draining: draining > 0,
                is_closed: closed > 0,
            };
            ((producer, boot), Claim { last, standing })
        },
    );
    Ok(claims.collect())
}

fn position(said: i64) -> Option<i64> {
    (said > NEVER).then_some(said.max(NOWHERE))
}

/// Boots whose numbers are there without a hole from the first on, each with the last of them. One look at all there is.
pub(crate) async fn whole(client: &Client) -> Result<BTreeMap<Key, i64>, StoreError> {
    // A bitmap, for it stays small however many numbers there are.
    const SQL: &str = "SELECT toString(producer), toString(boot), max(assumeNotNull(producer_seq)) AS last \
        FROM audit_log WHERE fate = 'event' AND producer_seq >= ? GROUP BY producer, boot \
        HAVING groupBitmap(toUInt64(assumeNotNull(producer_seq))) = toUInt64(last - ? + 1)";
    let query = client.query(SQL).bind(FIRST_PRODUCER_SEQ);
    let rows: Vec<(String, String, i64)> = query.bind(FIRST_PRODUCER_SEQ).fetch_all().await?;
    let whole = rows.into_iter();
    Ok(whole
        .map(|(producer, boot, last)| ((producer, boot), last))
        .collect())
}

/// Which numbers of `ranges` are there: stretches in order, and whether more follow.
pub(crate) async fn stretches(
    client: &Client,
    (producer, boot): &Key,
    ranges: &[Range],
) -> Result<(Vec<Range>, bool), StoreError> {
    if ranges.is_empty() {
        return Ok((Vec::new(), false));
    }
    let mut within = String::new();
    for (first, last) in ranges {
        let or = if within.is_empty() { "" } else { " OR " };
        // Writing into a text does not fail.
        let _ok = write!(
            within,
            "{or}(producer_seq >= {first} AND producer_seq <= {last})"
        );
    }
    let sql = format!(
        "SELECT min(seq) AS first, max(seq) FROM (\
            SELECT seq, seq - toInt64(row_number() OVER (ORDER BY seq)) AS island FROM (\
                SELECT DISTINCT assumeNotNull(producer_seq) AS seq FROM audit_log \
                WHERE producer = ? AND boot = ? AND fate = 'event' AND ({within}))) \
        GROUP BY island ORDER BY first LIMIT {}",
        MAX_STRETCHES + 1
    );
    let query = client.query(&sql).bind(producer).bind(boot);
    let mut stretches: Vec<Range> = query.fetch_all().await?;
    let is_cut = stretches.len() > MAX_STRETCHES;
    stretches.truncate(MAX_STRETCHES);
    Ok((stretches, is_cut))
}
