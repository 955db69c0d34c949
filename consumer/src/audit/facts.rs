//! What the store holds of a few batches, asked in SQL: digests are computed again from the bytes, not read from a column.
//! What it means is decided in `verdict`.

use std::collections::{BTreeMap, BTreeSet};

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

/// What the store holds of records, whatever else it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Offset, fate and leaf hash of every record whose bytes have that hash.
    pub records: BTreeSet<(i64, i8, String)>,
    /// Offsets of events whose `event_id` is not in `usage_events`.
    pub missing_events: BTreeSet<i64>,
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

/// The next cuts from `from` on that end below `below`. Cuts that begin inside of others belong to the same page: the next one
/// begins where all of this one's have ended.
pub(crate) async fn page(
    client: &Client,
    place: &Place,
    from: i64,
    below: i64,
) -> Result<Page, StoreError> {
    let mut page = Paging::new(from);
    while let Some(next) = page.next_from() {
        page.take(cuts(client, place, next, below).await?);
    }
    Ok(page.page)
}

/// Gathers a page from answers of at most `PAGE_CUTS` cuts, in order.
struct Paging {
    page: Page,
    records: i64,
    /// Where all cuts of it have ended.
    end: i64,
    next_from: Option<i64>,
}

impl Paging {
    fn new(from: i64) -> Self {
        Self {
            page: Page::default(),
            records: 0,
            end: from,
            next_from: Some(from),
        }
    }

    /// From which first place on to ask for more.
    fn next_from(&self) -> Option<i64> {
        self.next_from
    }

    fn take(&mut self, answer: Vec<Cut>) {
        let more = answer.len() == PAGE_CUTS;
        self.next_from = None;
        for cut in answer {
            let is_full = self.page.cuts.len() >= PAGE_CUTS
                || self.records + cut.records > PAGE_RECORDS && !self.page.cuts.is_empty();
            if is_full && cut.first >= self.end {
                self.next_from = None;
                return;
            }
            self.records += cut.records;
            self.end = self.end.max(cut.last + 1);
            // No two have one first place.
            self.next_from = more.then_some(cut.first + 1);
            self.page.cuts.push(cut);
        }
        self.page.is_last = self.next_from.is_none();
    }
}

async fn cuts(
    client: &Client,
    place: &Place,
    from: i64,
    below: i64,
) -> Result<Vec<Cut>, StoreError> {
    const SQL: &str = "SELECT first, last, records, events, dead_letters, lower(hex(digest)) FROM cuts FINAL \
        WHERE topic = ? AND partition = ? AND first >= ? AND last < ? ORDER BY first LIMIT ?";
    let query = client
        .query(SQL)
        .bind(place.topic.as_str())
        .bind(place.partition);
    let query = query.bind(from).bind(below).bind(PAGE_CUTS as u64);
    let rows: Vec<CutTuple> = query.fetch_all().await?;
    let cuts = rows.into_iter();
    let cuts = cuts.map(|(first, last, records, events, dead_letters, digest)| Cut {
        first,
        last,
        records,
        events,
        dead_letters,
        digest,
    });
    Ok(cuts.collect())
}

/// The cut that begins last before a place, by the list of all first places.
const CUT: &str = "toInt64(roundDown(offset, arrayMap(f -> toInt64(f), ?)))";
/// Whether it reaches that far, by the lists of all first places, twice, and of all last ones. What lies between two cuts belongs to
/// neither, and its copies to no surplus.
const COVERED: &str = "offset <= transform(toInt64(roundDown(offset, arrayMap(f -> toInt64(f), ?))), \
    arrayMap(f -> toInt64(f), ?), arrayMap(l -> toInt64(l), ?), toInt64(-1))";

type SeenTuple = (i64, u64, u64, u64, u64, u64, String, i64, i64);

/// What the store holds of `cuts`, by their first places.
pub(crate) async fn seen(
    client: &Client,
    place: &Place,
    cuts: &[Cut],
) -> Result<BTreeMap<i64, Seen>, StoreError> {
    let sql = format!(
        "SELECT {CUT} AS cut, \
            count(), sum(copies), countIf(fate = 'event'), countIf(fate = 'dead_letter'), countIf(NOT intact), \
            lower(hex(SHA256(unhex(arrayStringConcat(arrayMap(r -> hex(r.2), arraySort(groupArray((offset, leaf))))))))), \
            toUnixTimestamp64Micro(minIf(received, fate = 'event')), toUnixTimestamp64Micro(maxIf(received, fate = 'event')) \
        FROM (SELECT offset, count() AS copies, any(audit_log.fate) AS fate, any(computed) AS leaf, any(audit_log.received) AS received, \
                min(audit_log.leaf = computed) AND uniqExact(computed) = 1 AS intact \
            FROM (SELECT offset, audit_log.fate, audit_log.leaf, audit_log.received, SHA256(concat(char(0), bytes)) AS computed \
                FROM audit_log WHERE topic = ? AND partition = ? AND offset >= ? AND offset <= ?) AS audit_log \
            GROUP BY offset) \
        WHERE {COVERED} GROUP BY cut"
    );
    let (Some(first), Some(last)) = (cuts.first(), cuts.last()) else {
        return Ok(BTreeMap::new());
    };
    let firsts: Vec<i64> = cuts.iter().map(|cut| cut.first).collect();
    let lasts: Vec<i64> = cuts.iter().map(|cut| cut.last).collect();
    let query = client
        .query(&sql)
        .bind(&firsts)
        .bind(place.topic.as_str())
        .bind(place.partition)
        .bind(first.first)
        .bind(last.last);
    let query = query.bind(&firsts).bind(&firsts).bind(&lasts);
    let rows: Vec<SeenTuple> = query.fetch_all().await?;
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
        let missing = missing_events(client, place, (&firsts, &lasts), offsets, received).await?;
        for (cut, missing) in missing {
            seen.entry(cut).or_default().missing_events = count(missing);
        }
    }
    Ok(seen)
}

/// Events of `audit_log` whose key is not in `usage_events`, by cut. An event that a record of higher rank replaced is there, under
/// the same key.
async fn missing_events(
    client: &Client,
    place: &Place,
    (firsts, lasts): (&[i64], &[i64]),
    offsets: (i64, i64),
    received: (i64, i64),
) -> Result<Vec<(i64, u64)>, StoreError> {
    let sql = missing_events_sql(
        &format!("{CUT} AS cut, uniqExact(offset)"),
        &format!("AND {COVERED} GROUP BY cut"),
    );
    let query = client
        .query(&sql)
        .bind(place.topic.as_str())
        .bind(place.partition);
    let query = query.bind(offsets.0).bind(offsets.1).bind(firsts);
    let (from, to) = window(received);
    let query = query.bind(from).bind(to);
    query
        .bind(firsts)
        .bind(firsts)
        .bind(lasts)
        .fetch_all()
        .await
}

/// What the store holds from `first` to `last`; events there were received within `received`, in microseconds.
pub(crate) async fn held(
    client: &Client,
    place: &Place,
    (first, last): (i64, i64),
    received: (i64, i64),
) -> Result<Held, StoreError> {
    const SQL: &str = "SELECT DISTINCT offset, CAST(fate, 'Int8'), lower(hex(leaf)) FROM audit_log \
        WHERE topic = ? AND partition = ? AND offset >= ? AND offset <= ? AND leaf = SHA256(concat(char(0), bytes))";
    let ask = |sql: &str| {
        client
            .query(sql)
            .bind(place.topic.as_str())
            .bind(place.partition)
            .bind(first)
            .bind(last)
    };
    let records = ask(SQL).fetch_all::<(i64, i8, String)>().await?;
    let missing = missing_events_sql("DISTINCT offset", "");
    let (from, to) = window(received);
    let missing = ask(&missing).bind(from).bind(to).fetch_all::<i64>().await?;
    Ok(Held {
        records: records.into_iter().collect(),
        missing_events: missing.into_iter().collect(),
    })
}

/// Both sets hold the keys of the page only, however large the tables are.
fn missing_events_sql(select: &str, group: &str) -> String {
    format!(
        "WITH events AS (\
            SELECT offset, tenant, toStartOfHour(received) AS hour, event_id FROM audit_log \
            WHERE topic = ? AND partition = ? AND offset >= ? AND offset <= ? AND fate = 'event') \
        SELECT {select} FROM events \
        WHERE (tenant, hour, event_id) NOT IN (\
            SELECT tenant, toStartOfHour(received), event_id FROM usage_events \
            WHERE received >= toStartOfHour(fromUnixTimestamp64Micro(?)) AND received < fromUnixTimestamp64Micro(?) \
                AND (tenant, toStartOfHour(received), event_id) IN (SELECT tenant, hour, event_id FROM events)) \
        {group}"
    )
}

/// Copies of one event agree on the hour, not on the microsecond.
fn window((earliest, latest): (i64, i64)) -> (i64, i64) {
    const HOUR_US: i64 = 3_600_000_000;
    (earliest.max(0), latest.saturating_add(HOUR_US))
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(first: i64, last: i64) -> Cut {
        Cut {
            first,
            last,
            records: last - first + 1,
            events: 0,
            dead_letters: 0,
            digest: String::new(),
        }
    }

    /// Pages of these cuts, as the store answers; all firsts of each.
    fn pages(all: &[Cut]) -> Vec<Vec<i64>> {
        let (mut pages, mut from) = (Vec::new(), 0);
        loop {
            let mut paging = Paging::new(from);
            while let Some(next) = paging.next_from() {
                let answer = all.iter().filter(|cut| cut.first >= next);
                paging.take(answer.take(PAGE_CUTS).cloned().collect());
            }
            from = paging.page.end(from, 0);
            let firsts = paging.page.cuts.iter().map(|cut| cut.first);
            pages.push(firsts.collect());
            if paging.page.is_last {
                return pages;
            }
        }
    }

    #[test]
    fn a_cut_inside_of_another_is_on_its_page_wherever_that_ends() {
        let half = PAGE_RECORDS / 2;
        let by_records = [
            cut(0, half - 1),
            cut(half, 2 * half - 1),
            cut(half + 5, half + 9),
            cut(2 * half, 2 * half + 9),
        ];
        assert_eq!(
            pages(&by_records),
            [vec![0, half, half + 5], vec![2 * half]]
        );
        let last = i64::try_from(PAGE_CUTS).unwrap() - 1;
        let mut by_count: Vec<Cut> = (0..=last).map(|at| cut(10 * at, 10 * at + 9)).collect();
        by_count.push(cut(10 * last + 3, 10 * last + 4));
        by_count.push(cut(10 * last + 10, 10 * last + 19));
        let found = pages(&by_count);
        assert_eq!((found.len(), found[0].len()), (2, PAGE_CUTS + 1));
        assert_eq!(found[1], [10 * last + 10]);
        assert_eq!(
            pages(&by_count[..PAGE_CUTS]),
            [found[0][..PAGE_CUTS].to_vec()]
        );
        assert_eq!(pages(&[]), [Vec::<i64>::new()]);
    }
}
