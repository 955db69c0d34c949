//! What the store knows of producers, asked in SQL: what they claim, and which of their numbers are there. A producer's records are
//! spread over all servers of the store, so each is asked. What the answers mean is decided in `boot`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemas::event::FIRST_PRODUCER_SEQ;
use schemas::producer::Standing;
use schemas::rows::numbers;
use store::{Client, StoreError};

use super::boot::{Claim, Key};
use super::gaps::{self, Range, WORD};

/// The most stretches of one answer.
pub(crate) const MAX_STRETCHES: usize = 1_000;
/// The most words of numbers that a server answers with; a question after a million numbers needs fewer.
const MAX_WORDS: usize = 16_384;
/// Stands for a record that was never seen.
const NEVER: i64 = -2;
/// Stands for one that names no position.
const NOWHERE: i64 = -1;

type ClaimTuple = (String, String, i64, i64, i64, i64, u64, u64);

/// What boots say whose records have a clock of `since_us` or later.
pub(crate) async fn claims(
    servers: &[Client],
    since_us: i64,
) -> Result<BTreeMap<Key, Claim>, StoreError> {
    let mut claims: BTreeMap<Key, Claim> = BTreeMap::new();
    for server in servers {
        for (key, claim) in claims_at(server, since_us).await? {
            claims.entry(key).or_default().merge(&claim);
        }
    }
    Ok(claims)
}

async fn claims_at(
    client: &Client,
    since_us: i64,
) -> Result<impl Iterator<Item = (Key, Claim)>, StoreError> {
    const SQL: &str = "SELECT toString(producer), toString(boot), max(ifNull(last_producer_seq, -1)), \
            max(if(kind = 'heartbeat', ifNull(synced_position, -1), -2)), \
            max(if(kind = 'silent', ifNull(synced_position, -1), -2)), \
            max(if(kind = 'declared_lost', ifNull(synced_position, -1), -2)), \
            countIf(kind = 'closed'), countIf(kind = 'draining') \
        FROM producer_log WHERE clock >= fromUnixTimestamp64Micro(?) GROUP BY producer, boot";
    let rows: Vec<ClaimTuple> = client.query(SQL).bind(since_us).fetch_all().await?;
    Ok(rows.into_iter().map(
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
    ))
}

fn position(said: i64) -> Option<i64> {
    (said > NEVER).then_some(said.max(NOWHERE))
}

/// Boots whose numbers are there without a hole from the first on, each with the last of them. One look at all there is. Of several
/// servers none knows that: then all numbers are looked for, stretch by stretch.
pub(crate) async fn whole(servers: &[Client]) -> Result<BTreeMap<Key, i64>, StoreError> {
    // A bitmap, for it stays small however many numbers there are.
    const SQL: &str = "SELECT toString(producer), toString(boot), max(assumeNotNull(producer_seq)) AS last \
        FROM audit_log WHERE fate = 'event' AND producer_seq >= ? GROUP BY producer, boot \
        HAVING groupBitmap(toUInt64(assumeNotNull(producer_seq))) = toUInt64(last - ? + 1)";
    let [client] = servers else {
        return Ok(BTreeMap::new());
    };
    let query = client.query(SQL).bind(FIRST_PRODUCER_SEQ);
    let rows: Vec<(String, String, i64)> = query.bind(FIRST_PRODUCER_SEQ).fetch_all().await?;
    let whole = rows.into_iter();
    Ok(whole
        .map(|(producer, boot, last)| ((producer, boot), last))
        .collect())
}

/// Which numbers of `ranges` are there: stretches in order, and whether more follow.
pub(crate) async fn stretches(
    servers: &[Client],
    key: &Key,
    ranges: &[Range],
) -> Result<(Vec<Range>, bool), StoreError> {
    if ranges.is_empty() {
        return Ok((Vec::new(), false));
    }
    let mut answers = Vec::with_capacity(servers.len());
    for server in servers {
        answers.push(words_at(server, key, ranges).await?);
    }
    let (words, is_cut) = together(answers);
    let mut stretches = gaps::of_words(&words);
    let is_cut = is_cut || stretches.len() > MAX_STRETCHES;
    stretches.truncate(MAX_STRETCHES);
    Ok((stretches, is_cut))
}

/// The first number after this one that is there.
pub(crate) async fn next_there(
    servers: &[Client],
    (producer, boot): &Key,
    after: i64,
) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT minOrNull(assumeNotNull(producer_seq)) FROM audit_log \
        WHERE producer = ? AND boot = ? AND fate = 'event' AND producer_seq > ?";
    let mut first = None;
    for server in servers {
        let query = server.query(SQL).bind(producer).bind(boot).bind(after);
        let found: Option<i64> = query.fetch_one().await?;
        first = first.into_iter().chain(found).min();
    }
    Ok(first)
}

/// A server's numbers, in order, [`WORD`] of them in each.
async fn words_at(
    client: &Client,
    (producer, boot): &Key,
    ranges: &[Range],
) -> Result<Vec<(i64, u64)>, StoreError> {
    let mut within = String::new();
    for (first, last) in ranges {
        let or = if within.is_empty() { "" } else { " OR " };
        // Writing into a text does not fail.
        let _ok = write!(
            within,
            "{or}(producer_seq >= {first} AND producer_seq <= {last})"
        );
    }
    let near = numbers::near("wanted_producer", "wanted_boot", ranges);
    let sql = format!(
        "WITH ? AS wanted_producer, ? AS wanted_boot SELECT intDiv(assumeNotNull(producer_seq), {WORD}) AS word, \
            groupBitOr(bitShiftLeft(toUInt64(1), toUInt8(assumeNotNull(producer_seq) % {WORD}))) \
        FROM audit_log WHERE producer = wanted_producer AND boot = wanted_boot AND fate = 'event' AND ({within}){near} \
        GROUP BY word ORDER BY word LIMIT {MAX_WORDS}"
    );
    let query = client.query(&sql).bind(producer).bind(boot);
    query.fetch_all().await
}

/// All servers' numbers, as far as each of them has told; and whether one may have more.
fn together(answers: Vec<Vec<(i64, u64)>>) -> (BTreeMap<i64, u64>, bool) {
    let cut = answers.iter().filter(|answer| answer.len() >= MAX_WORDS);
    let told_until = cut
        .filter_map(|answer| answer.last())
        .map(|word| word.0)
        .min();
    let mut words: BTreeMap<i64, u64> = BTreeMap::new();
    for (word, bits) in answers.into_iter().flatten() {
        if told_until.is_none_or(|until| word <= until) {
            *words.entry(word).or_default() |= bits;
        }
    }
    (words, told_until.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_servers_count_as_far_as_the_one_that_told_least() {
        let (words, is_cut) = together(vec![vec![(0, 0b01), (2, 1)], vec![(0, 0b10)], Vec::new()]);
        assert_eq!(
            (words, is_cut),
            (BTreeMap::from([(0, 0b11), (2, 1)]), false)
        );

        let most = i64::try_from(MAX_WORDS).unwrap();
        let full: Vec<_> = (0..most).map(|word| (word, 1)).collect();
        let (words, is_cut) = together(vec![full, vec![(most - 1, 2), (most, 1)]]);
        assert_eq!(words.last_key_value(), Some((&(most - 1), &3)));
        assert!(is_cut);
    }
}
