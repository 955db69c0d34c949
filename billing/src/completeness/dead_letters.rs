//! Records that are in the log and could not be read: which of them belong to a period. Some still say whose number they are;
//! of the others only the place is known, and when the readable records around it were received.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use store::Client;

use super::claims::{Moment, Scope};
use super::model::{DeadLetter, Finding, Verdict};
use super::numbers::{SCOPES_AT_ONCE, arrays};
use crate::BillingError;
use crate::sql::{IS_OPEN_LETTER, instant, json_rows, quoted};
use schemas::Micros;

const TIMEOUT: Duration = Duration::from_secs(55);
/// Dead letters that are listed, of those that belong to a period.
const MAX_DEAD_LETTERS: usize = 10_000;

/// All that are still open, once a place. A dead letter has no instant: it lies in the first month there is.
fn all() -> String {
    format!(
        "(SELECT toString(audit_log.topic) AS topic, partition, offset, any(audit_log.reason) AS why, \
            any(JSONExtractString(bytes, 'producer')) AS p, any(JSONExtractString(bytes, 'boot')) AS b, \
            any(if(JSONType(bytes, 'producer_seq') = 'Int64', JSONExtractInt(bytes, 'producer_seq'), -1)) AS number \
        FROM audit_log WHERE fate = 'dead_letter' AND received < {} AND {IS_OPEN_LETTER} GROUP BY topic, partition, offset)",
        instant(Micros(1))
    )
}

/// The dead letters of a period, the first of them.
#[derive(Clone, Debug, Default)]
pub(super) struct DeadLetters {
    pub(super) list: Vec<DeadLetter>,
    /// There are more.
    pub(super) is_cut_off: bool,
}

impl DeadLetters {
    /// What is said where not all are listed.
    pub(super) fn cut_off(&self) -> Option<Finding> {
        self.is_cut_off.then(|| {
            Finding::at_large(
                Verdict::Completeness,
                format!(
                    "more than {MAX_DEAD_LETTERS} records could not be read; check a shorter period"
                ),
            )
        })
    }
}

#[derive(Deserialize)]
struct Row {
    topic: String,
    partition: i32,
    offset: i64,
    why: String,
    p: String,
    b: String,
    number: i64,
}

type Place = (String, i32, i64);

/// Those of the scopes' numbers, and those that stand among the records of the period: of these page by page, for a page may hold
/// nothing but what belongs elsewhere.
pub(super) async fn dead_letters(
    client: &Client,
    moment: Moment,
    scopes: &[Scope],
    producer: Option<&str>,
) -> Result<DeadLetters, BillingError> {
    if !there_are_any(client).await? {
        return Ok(DeadLetters::default());
    }
    let mut rows = Vec::new();
    for part in scopes.chunks(SCOPES_AT_ONCE) {
        rows.extend(numbered(client, part).await?);
    }
    let mut letters: BTreeMap<Place, DeadLetter> = BTreeMap::new();
    let key = |row: &Row| (row.topic.clone(), row.partition, row.offset);
    letters.extend(rows.into_iter().map(|row| (key(&row), letter(row, true))));
    let of = |row: &Row| {
        let mut scopes = scopes.iter();
        scopes.find(|scope| scope.producer == row.p && scope.boot == row.b)
    };
    let mut after = None;
    loop {
        let page = placed(client, moment, after.as_ref()).await?;
        let is_last = page.len() <= MAX_DEAD_LETTERS;
        after = page.last().map(key);
        for row in page {
            let is_wanted = producer.is_none_or(|producer| row.p.is_empty() || row.p == producer);
            // A number that the start has claimed for another period belongs there.
            let is_elsewhere = of(&row).is_some_and(|scope| scope.has_elsewhere(row.number));
            if is_wanted && !is_elsewhere {
                letters
                    .entry(key(&row))
                    .or_insert_with(|| letter(row, false));
            }
        }
        // Of the rest it is said that there is more.
        if is_last || letters.len() > MAX_DEAD_LETTERS {
            break;
        }
    }
    Ok(DeadLetters {
        is_cut_off: letters.len() > MAX_DEAD_LETTERS,
        list: letters.into_values().take(MAX_DEAD_LETTERS).collect(),
    })
}

/// Whether there is any, open or closed: nearly always there is none, and nothing else need be looked at.
async fn there_are_any(client: &Client) -> Result<bool, BillingError> {
    #[derive(Deserialize)]
    struct Any {
        number: u64,
    }
    let sql = format!(
        "SELECT count() AS number FROM (SELECT 1 FROM audit_log WHERE fate = 'dead_letter' AND received < {} LIMIT 1)",
        instant(Micros(1))
    );
    let any: Vec<Any> = json_rows(client, &sql, TIMEOUT).await?;
    Ok(any.iter().any(|any| any.number > 0))
}

fn letter(row: Row, is_numbered: bool) -> DeadLetter {
    DeadLetter {
        topic: row.topic,
        partition: row.partition,
        offset: row.offset,
        reason: row.why,
        producer: Some(row.p).filter(|_| is_numbered),
        boot: Some(row.b).filter(|_| is_numbered),
        number: Some(row.number).filter(|_| is_numbered),
    }
}

async fn numbered(client: &Client, scopes: &[Scope]) -> Result<Vec<Row>, BillingError> {
    let sql = format!(
        "{} SELECT topic, partition, offset, why, p, b, number FROM (SELECT *, indexOf(ks, concat(p, ' ', b)) AS scope FROM {}) \
        WHERE scope > 0 AND number >= firsts[scope] AND number <= lasts[scope] \
        ORDER BY topic, partition, offset LIMIT {}",
        arrays(scopes, |scope| scope.last),
        all(),
        MAX_DEAD_LETTERS + 1
    );
    json_rows(client, &sql, TIMEOUT).await
}

/// Those that may be of the period by their place: between the readable record before them and the one after, the period
/// begins, ends or lies. Before the first record of a partition, and after its last, any period does.
async fn placed(
    client: &Client,
    moment: Moment,
    after: Option<&Place>,
) -> Result<Vec<Row>, BillingError> {
    let behind = after.map_or_else(String::new, |(topic, partition, offset)| {
        let topic = quoted(topic);
        format!("AND (topic, partition, offset) > ({topic}, {partition}, {offset}) ")
    });
    let all = all();
    let places = format!("(SELECT topic, partition, offset AS place FROM {all})");
    // The dead letters are the small side of each join; the log's records pass by once.
    let around = |condition: &str, nearest: &str, side: &str| {
        format!(
            "(SELECT events.topic AS topic, events.partition AS partition, place, {nearest}(at, events.offset) AS near_at, \
                {side}(events.offset) AS near_offset, 1 AS met FROM \
                (SELECT toString(audit_log.topic) AS topic, partition, offset, toUnixTimestamp64Micro(received) AS at FROM audit_log \
                WHERE fate = 'event' AND (toString(audit_log.topic), partition) GLOBAL IN (SELECT topic, partition FROM {places})) AS events \
            ASOF INNER JOIN {places} AS dead ON events.topic = dead.topic AND events.partition = dead.partition AND {condition} \
            GROUP BY events.topic, events.partition, place)"
        )
    };
    // Of several dead letters in a row only one meets the record before or after: the others take it over.
    let sql = format!(
        "SELECT topic, partition, offset, why, p, b, number FROM (\
            SELECT *, max(before) OVER (PARTITION BY topic, partition ORDER BY offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS low, \
                min(after) OVER (PARTITION BY topic, partition ORDER BY offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS high FROM (\
                SELECT dead.topic AS topic, dead.partition AS partition, dead.offset AS offset, dead.why AS why, dead.p AS p, dead.b AS b, \
                    dead.number AS number, \
                    if(earlier.met = 1, tuple(earlier.near_offset, earlier.near_at), tuple(toInt64(-1), toInt64({min}))) AS before, \
                    if(later.met = 1, tuple(later.near_offset, later.near_at), tuple(toInt64({max}), toInt64({max}))) AS after FROM {all} AS dead \
                LEFT JOIN {before} AS earlier \
                    ON dead.topic = earlier.topic AND dead.partition = earlier.partition AND dead.offset = earlier.place \
                LEFT JOIN {after} AS later ON dead.topic = later.topic AND dead.partition = later.partition AND dead.offset = later.place)) \
        WHERE least(tupleElement(low, 2), tupleElement(high, 2)) < {end} AND greatest(tupleElement(low, 2), tupleElement(high, 2)) >= {start} {behind}\
        ORDER BY topic, partition, offset LIMIT {limit}",
        before = around("events.offset < dead.place", "argMax", "max"),
        after = around("events.offset > dead.place", "argMin", "min"),
        min = i64::MIN + 1,
        max = i64::MAX,
        start = moment.start,
        end = moment.end,
        limit = MAX_DEAD_LETTERS + 1,
    );
    json_rows(client, &sql, TIMEOUT).await
}
