//! What the store holds of a few batches, asked in SQL: digests are computed again from the bytes, not read from a column.
//! What it means is decided in `verdict`.

use std::collections::BTreeMap;

use schemas::rows::Source as Place;
use store::{Client, StoreError};

/// The most cuts of one page.
const PAGE_CUTS: usize = 512;
/// The most records of one page, unless a single cut has more.
const PAGE_RECORDS: i64 = 131_072;

/// A row of `cuts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub first: i64,
    pub last: i64,
    pub records: i64,
    pub events: i64,
    pub dead_letters: i64,
    pub digest: String,
}

/// What `audit_log` and `usage_events` hold of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Distinct offsets.
    pub records: i64,
    /// Rows; more than `records` where there are copies.
    pub rows: i64,
    /// Distinct offsets that hold events.
    pub events: i64,
    /// Distinct offsets that hold dead letters.
    pub dead_letters: i64,
    /// Offsets whose bytes do not have their leaf hash, or whose copies differ.
    pub damaged: i64,
    /// Digest over the leaf hashes, computed from the bytes.
    pub digest: String,
    /// Events whose `event_id` is not in `usage_events`.
    pub missing_events: i64,
}

/// A stretch of the store's cuts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub cuts: Vec<Cut>,
    /// No cuts follow below the asked bound.
    pub is_last: bool,
}

impl Page {
    /// The boundary up to which a page says something that starts at `from`; what is `committed` must be there.
    pub(crate) fn end(&self, from: i64, committed: i64) -> i64 {
        let lasts = self.cuts.iter().map(|cut| cut.last + 1);
        let end = lasts.max().unwrap_or(from).max(from);
        if self.is_last {
            end.max(committed)
        } else {
            end
        }
    }
}

type CutTuple = (i64, i64, i64, i64, i64, String);

/// The next cuts from `from` on that end below `below`.
pub(crate) async fn page(
    client: &Client,
    place: &Place,
    from: i64,
    below: i64,
) -> Result<Page, StoreError> {
    const SQL: &str = "SELECT first, last, records, events, dead_letters, lower(hex(digest)) FROM cuts FINAL \
        WHERE topic = ? AND partition = ? AND first >= ? AND last < ? ORDER BY first LIMIT ?";
    let query = client
        .query(SQL)
        .bind(place.topic.as_str())
        .bind(place.partition);
    let rows: Vec<CutTuple> = query
        .bind(from)
        .bind(below)
        .bind(PAGE_CUTS as u64)
        .fetch_all()
        .await?;
    let mut is_last = rows.len() < PAGE_CUTS;
    let (mut cuts, mut records) = (Vec::with_capacity(rows.len()), 0);
    for (first, last, count, events, dead_letters, digest) in rows {
        records += count;
        if records > PAGE_RECORDS && !cuts.is_empty() {
            is_last = false;
            break;
        }
        cuts.push(Cut {
            first,
            last,
            records: count,
            events,
            dead_letters,
            digest,
        });
    }
    Ok(Page { cuts, is_last })
}

type SeenTuple = (i64, u64, u64, u64, u64, u64, String, i64, i64);

/// What the store holds of `cuts`, by their first places.
pub(crate) async fn seen(
    client: &Client,
    place: &Place,
    cuts: &[Cut],
) -> Result<BTreeMap<i64, Seen>, StoreError> {
    const SQL: &str = "SELECT toInt64(roundDown(offset, arrayMap(f -> toInt64(f), ?))) AS cut, \
            count(), sum(copies), countIf(fate = 'event'), countIf(fate = 'dead_letter'), countIf(NOT intact), \
            lower(hex(SHA256(unhex(arrayStringConcat(arrayMap(r -> hex(r.2), arraySort(groupArray((offset, leaf))))))))), \
            toUnixTimestamp64Micro(minIf(received, fate = 'event')), toUnixTimestamp64Micro(maxIf(received, fate = 'event')) \
        FROM (SELECT offset, count() AS copies, any(audit_log.fate) AS fate, any(computed) AS leaf, any(audit_log.received) AS received, \
                min(audit_log.leaf = computed) AND uniqExact(computed) = 1 AS intact \
            FROM (SELECT offset, audit_log.fate, audit_log.leaf, audit_log.received, SHA256(concat(char(0), bytes)) AS computed \
                FROM audit_log WHERE topic = ? AND partition = ? AND offset >= ? AND offset <= ?) AS audit_log \
            GROUP BY offset) \
        GROUP BY cut";
    let (Some(first), Some(last)) = (cuts.first(), cuts.last()) else {
        return Ok(BTreeMap::new());
    };
    let firsts: Vec<i64> = cuts.iter().map(|cut| cut.first).collect();
    let query = client
        .query(SQL)
        .bind(&firsts)
        .bind(place.topic.as_str())
        .bind(place.partition);
    let rows: Vec<SeenTuple> = query.bind(first.first).bind(last.last).fetch_all().await?;
    let mut seen = BTreeMap::new();
    let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
    for (cut, records, rows, events, dead_letters, damaged, digest, from, to) in rows {
        if events > 0 {
            (earliest, latest) = (earliest.min(from), latest.max(to));
        }
        let facts = Seen {
            records: count(records),
            rows: count(rows),
            events: count(events),
            dead_letters: count(dead_letters),
            damaged: count(damaged),
            digest,
            missing_events: 0,
        };
        seen.insert(cut, facts);
    }
    if earliest <= latest {
        let (offsets, received) = ((first.first, last.last), (earliest, latest));
        let missing = missing_events(client, place, &firsts, offsets, received).await?;
        for (cut, missing) in missing {
            seen.entry(cut).or_default().missing_events = count(missing);
        }
    }
    Ok(seen)
}

/// Events of `audit_log` whose key is not in `usage_events`. An event that a record of higher rank replaced is there, under
/// the same key. Both sets hold the keys of the page only, however large the tables are.
async fn missing_events(
    client: &Client,
    place: &Place,
    firsts: &[i64],
    offsets: (i64, i64),
    received: (i64, i64),
) -> Result<Vec<(i64, u64)>, StoreError> {
    const SQL: &str = "WITH events AS (\
            SELECT offset, tenant, toStartOfHour(received) AS hour, event_id FROM audit_log \
            WHERE topic = ? AND partition = ? AND offset >= ? AND offset <= ? AND fate = 'event') \
        SELECT toInt64(roundDown(offset, arrayMap(f -> toInt64(f), ?))) AS cut, uniqExact(offset) FROM events \
        WHERE (tenant, hour, event_id) NOT IN (\
            SELECT tenant, toStartOfHour(received), event_id FROM usage_events \
            WHERE received >= toStartOfHour(fromUnixTimestamp64Micro(?)) AND received < fromUnixTimestamp64Micro(?) \
                AND (tenant, toStartOfHour(received), event_id) IN (SELECT tenant, hour, event_id FROM events)) \
        GROUP BY cut";
    /// Copies of one event agree on the hour, not on the microsecond.
    const HOUR_US: i64 = 3_600_000_000;
    let query = client
        .query(SQL)
        .bind(place.topic.as_str())
        .bind(place.partition);
    let query = query.bind(offsets.0).bind(offsets.1).bind(firsts);
    let (earliest, latest) = (received.0.max(0), received.1.saturating_add(HOUR_US));
    query.bind(earliest).bind(latest).fetch_all().await
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
