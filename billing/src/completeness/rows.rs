//! Whether `usage_events` has exactly the rows that the bytes of the log give: sums of hashes by hour and part of the
//! instant on both sides, and row by row only where two sums differ.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::rows::{Columns, Source, UsageRated, UsageRow, rows_of};
use schemas::{Decoded, RecordKind, decode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::Client;

use super::model::{Finding, Range, Verdict};
use super::places::End;
use super::read::texts;
use super::row_bytes::{row_bytes, take_length};
use crate::BillingError;
use crate::sql::{instant, json_rows, quoted};
use schemas::Micros;

const TIMEOUT: Duration = Duration::from_secs(55);
const HOUR_US: i64 = 3_600_000_000;
const MINUTE_US: i64 = 60_000_000;
/// Parts of an hour, by the instant's remainder: a prime, so that instants in whole milliseconds spread too.
const PARTS: i64 = 251;
/// Rows that are hashed in one question, unless a single minute has more.
const ROWS_AT_ONCE: i64 = 1_000_000;
/// Parts that are compared row by row; further ones are counted.
const MAX_PARTS: usize = 64;
/// The columns that say where a row's record stands: copies of a record differ in them.
const PLACE_COLUMNS: usize = 3;

/// What is said of a row beside the one that its event's record gives.
const BESIDE: &str =
    "another row of its event is in usage_events beside the one that its record gives";
/// What is said where all rows are there and their sum is not that of the records.
const NO_ROW: &str = "in a part of an hour usage_events does not add up to what audit_log gives, and no row says why: unless something was \
     written meanwhile, it was changed";
/// What is said of a row that no record gives.
pub(super) const SURPLUS: &str = "its row is in usage_events, and no record of audit_log gives it";

/// A part of an hour.
pub(super) type Part = (i64, i64);

/// How many rows, how many of them are rated (see `schemas::rated`), and the exclusive or of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    rated: u64,
    hash: u128,
}

/// What the records of a part give, in either form of their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expected {
    rows: u64,
    rated: u64,
    hash: u128,
    /// Of rows as a version wrote them that did not rate.
    unrated: u128,
}

impl Expected {
    /// Whether the rows are these. Where some are rated and others could be, only a look at each can tell.
    fn is(&self, found: &Sum) -> bool {
        let hash = match found.rated {
            0 => self.unrated,
            some if some == self.rated => self.hash,
            _ => return false,
        };
        (found.rows, found.hash) == (self.rows, hash)
    }
}

/// What the records give, by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expectations(BTreeMap<Part, Expected>);

impl Expectations {
    pub(super) fn add(&mut self, received: i64, row: &UsageRow) {
        let hashes = hashes(row);
        let part = self.0.entry(part_of(received)).or_default();
        part.rows += 1;
        part.rated += u64::from(!row.rated.rated_as.is_empty());
        part.hash ^= hashes.whole;
        part.unrated ^= hashes.unrated;
    }
}

/// What is in the table, by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums(BTreeMap<Part, Sum>);

impl Sums {
    /// The parts that are not what they should be.
    pub(super) fn differing(&self, expected: &Expectations) -> Vec<Part> {
        let nothing = (Sum::default(), Expected::default());
        let of = |part: &Part| {
            let found = self.0.get(part).unwrap_or(&nothing.0);
            expected.0.get(part).unwrap_or(&nothing.1).is(found)
        };
        let all = self.0.keys().chain(expected.0.keys());
        let mut parts: Vec<Part> = all.filter(|part| !of(part)).copied().collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// Whether rows of a part were written by a version that did not rate, beside others.
    pub(super) fn is_mixed(&self, part: &Part, expected: &Expectations) -> bool {
        let rated = self.0.get(part).map_or(0, |sum| sum.rated);
        rated != 0
            && expected
                .0
                .get(part)
                .is_some_and(|expected| rated < expected.rated)
    }
}

fn part_of(received: i64) -> Part {
    (received.div_euclid(HOUR_US), received.rem_euclid(PARTS))
}

/// The hashes of a row of `usage_events`, without its place.
struct Hashes {
    whole: u128,
    /// As a version wrote it that did not rate.
    unrated: u128,
}

fn hashes(row: &UsageRow) -> Hashes {
    let bytes = row_bytes(row);
    let mut rest = bytes.as_slice();
    // topic, partition, offset
    let topic = take_length(&mut rest).unwrap_or(0);
    let rest = rest.get(topic + 4 + 8..).unwrap_or_default();
    let rated = row_bytes(&row.rated);
    let said = &rest[..rest.len().saturating_sub(rated.len())];
    let said = Sha256::new_with_prefix(said);
    let with = |rated: &[u8]| {
        let digest = said.clone().chain_update(rated).finalize();
        let (first, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        u128::from_le_bytes(*first)
    };
    Hashes {
        whole: with(&rated),
        unrated: with(&row_bytes(&UsageRated::default())),
    }
}

fn hash_sql() -> String {
    let columns: Vec<String> = UsageRow::COLUMNS[PLACE_COLUMNS..]
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    format!(
        "reinterpretAsUInt128(substring(SHA256(formatRow('RowBinary', {})), 1, 16))",
        columns.join(", ")
    )
}

/// What is looked at: events received between two instants, of one producer or all.
#[derive(Clone, Debug)]
pub(super) struct Which<'a> {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) producer: Option<&'a str>,
    /// Only records that stand before these ends, where batches are still written.
    pub(super) below: Option<&'a [End]>,
}

impl Which<'_> {
    fn condition(&self, from: i64, to: i64) -> String {
        let mut condition = format!(
            "received >= {} AND received < {}",
            instant(Micros(from)),
            instant(Micros(to))
        );
        if let Some(producer) = self.producer {
            condition.push_str(" AND producer = ");
            condition.push_str(&quoted(producer));
        }
        condition
    }

    fn written(&self) -> String {
        let Some(ends) = self.below else {
            return String::new();
        };
        let ends = ends.iter().map(|end| {
            let End {
                topic,
                partition,
                last,
            } = end;
            format!(
                "(topic = {} AND partition = {partition} AND offset <= {last})",
                quoted(topic)
            )
        });
        let ends: Vec<String> = ends.collect();
        if ends.is_empty() {
            return " AND 0".to_owned();
        }
        format!(" AND ({})", ends.join(" OR "))
    }
}

/// The sums of `usage_events`.
pub(super) async fn sums(client: &Client, which: &Which<'_>) -> Result<Sums, BillingError> {
    #[derive(Deserialize)]
    struct Row {
        hour: i64,
        part: i64,
        rows: u64,
        rated: u64,
        hash: String,
    }
    let mut sums = Sums::default();
    for (from, to) in spans(client, which).await? {
        let sql = format!(
            "SELECT intDiv(toUnixTimestamp64Micro(received), {HOUR_US}) AS hour, toUnixTimestamp64Micro(received) % {PARTS} AS part, \
                count() AS rows, countIf(rated_as != '') AS rated, toString(groupBitXor({})) AS hash FROM usage_events FINAL WHERE {}{} GROUP BY hour, part",
            hash_sql(),
            which.condition(from, to),
            which.written()
        );
        for row in json_rows::<Row>(client, &sql, TIMEOUT).await? {
            let hash: u128 = row
                .hash
                .parse()
                .map_err(|error| BillingError::Answer(format!("a sum of hashes: {error}")))?;
            let part = sums.0.entry((row.hour, row.part)).or_default();
            part.rows += row.rows;
            part.rated += row.rated;
            part.hash ^= hash;
        }
    }
    Ok(sums)
}

/// Spans of time with not too many rows.
async fn spans(client: &Client, which: &Which<'_>) -> Result<Vec<(i64, i64)>, BillingError> {
    #[derive(Deserialize)]
    struct Minute {
        minute: i64,
        rows: i64,
    }
    let sql = format!(
        "SELECT intDiv(toUnixTimestamp64Micro(received), {MINUTE_US}) AS minute, toInt64(count()) AS rows FROM usage_events \
        WHERE {} GROUP BY minute ORDER BY minute",
        which.condition(which.from, which.to)
    );
    let minutes: Vec<Minute> = json_rows(client, &sql, TIMEOUT).await?;
    let (mut spans, mut from, mut rows) = (Vec::new(), which.from, 0);
    for minute in minutes {
        let begins = (minute.minute * MINUTE_US).max(which.from);
        if rows > 0 && rows + minute.rows > ROWS_AT_ONCE {
            spans.push((from, begins));
            (from, rows) = (begins, 0);
        }
        rows += minute.rows;
    }
    spans.push((from, which.to));
    Ok(spans)
}

struct Given {
    /// Another record of the event gives another row.
    is_disputed: bool,
    version: u64,
    hashes: Hashes,
    producer: String,
    boot: String,
    number: i64,
}

#[derive(Deserialize)]
struct Has {
    id: String,
    hash: String,
    producer: String,
    boot: String,
    number: i64,
}

/// Names what differs, part by part; the number of parts that were not looked at.
pub(super) async fn differences(
    client: &Client,
    which: &Which<'_>,
    (stored, expected): (&Sums, &Expectations),
) -> Result<(Vec<Finding>, usize), BillingError> {
    // Mixed parts are all looked at, and last: there are as many as hours in which two versions wrote side by side.
    let is_mixed = |part: &Part| stored.is_mixed(part, expected);
    let (mixed, parts): (Vec<_>, Vec<_>) =
        stored.differing(expected).into_iter().partition(is_mixed);
    let mut findings = Vec::new();
    for part in parts.iter().take(MAX_PARTS).chain(&mixed) {
        let condition = format!(
            "{} AND toUnixTimestamp64Micro(received) % {PARTS} = {}",
            which.condition(
                (part.0 * HOUR_US).max(which.from),
                ((part.0 + 1) * HOUR_US).min(which.to)
            ),
            part.1
        );
        let given = given(client, &condition, &which.written()).await?;
        let has = has(client, &condition).await?;
        let is_disputed = given.values().any(|given| given.is_disputed);
        let growing = which.below.is_some();
        let is_mixed = is_mixed(part);
        let before = findings.len();
        compare(given, has, growing, &mut findings);
        // A part in which nothing differs any more has been written to while it was read, or something is not seen.
        if findings.len() == before && !is_disputed && !growing && !is_mixed {
            findings.push(of_part(*part));
        }
    }
    Ok((findings, parts.len().saturating_sub(MAX_PARTS)))
}

/// What the log gives, by event: of two records of one event the one of higher rank.
async fn given(
    client: &Client,
    condition: &str,
    written: &str,
) -> Result<BTreeMap<String, Given>, BillingError> {
    let sql = format!("SELECT bytes FROM audit_log WHERE {condition}{written} AND fate = 'event'");
    let answer = client
        .statement(&sql)
        .timeout(TIMEOUT)
        .bytes("RowBinary")
        .await?;
    let nowhere = Source {
        topic: schemas::Text::default(),
        partition: 0,
    };
    let mut given: BTreeMap<String, Given> = BTreeMap::new();
    for bytes in texts(&answer)? {
        let decoded = decode(RecordKind::Usage, bytes);
        let Decoded::Event(event) = &decoded else {
            continue;
        };
        let Some((_, Some(row))) = rows_of(&nowhere, 0, bytes, &decoded) else {
            continue;
        };
        let mut new = Given {
            is_disputed: false,
            version: row.head.version,
            hashes: hashes(&row),
            producer: event.producer.to_string(),
            boot: event.boot.to_string(),
            number: event.producer_seq,
        };
        let id = event.event_id.to_string();
        match given.get_mut(&id) {
            Some(old) if old.hashes.whole != new.hashes.whole => {
                old.is_disputed = true;
                new.is_disputed = true;
                if old.version < new.version {
                    *old = new;
                }
            }
            Some(_) => {}
            None => {
                given.insert(id, new);
            }
        }
    }
    Ok(given)
}

/// The rows of `usage_events`, by event. Its sorting key is more than the event, so one event can have several.
async fn has(client: &Client, condition: &str) -> Result<BTreeMap<String, Vec<Has>>, BillingError> {
    let sql = format!(
        "SELECT toString(event_id) AS id, toString({}) AS hash, toString(usage_events.producer) AS producer, \
            toString(usage_events.boot) AS boot, producer_seq AS number FROM usage_events FINAL WHERE {condition}",
        hash_sql()
    );
    let mut has = BTreeMap::<String, Vec<Has>>::new();
    for row in json_rows::<Has>(client, &sql, TIMEOUT).await? {
        has.entry(row.id.clone()).or_default().push(row);
    }
    Ok(has)
}

/// Rows whose records are not written yet are no finding where batches are still `growing`; a second row of an event is one
/// always. Pure.
fn compare(
    given: BTreeMap<String, Given>,
    mut has: BTreeMap<String, Vec<Has>>,
    growing: bool,
    findings: &mut Vec<Finding>,
) {
    for (id, given) in given {
        let mut rows = has.remove(&id).unwrap_or_default();
        let hashes = [given.hashes.whole, given.hashes.unrated].map(|hash| hash.to_string());
        let is_given = |row: &Has| hashes.contains(&row.hash);
        let (verdict, what) = match rows.iter().position(is_given) {
            Some(at) => {
                rows.remove(at);
                findings.extend(rows.into_iter().map(|row| of_row(row, BESIDE)));
                continue;
            }
            None if rows.is_empty() => (
                Verdict::Completeness,
                "its record is in audit_log, its row is not in usage_events",
            ),
            None => (
                Verdict::Integrity,
                "its row in usage_events is not what its bytes in audit_log give",
            ),
        };
        let further = rows.into_iter().skip(1);
        findings.extend(further.map(|row| of_row(row, BESIDE)));
        findings.push(finding(
            verdict,
            given.producer,
            given.boot,
            given.number,
            what,
        ));
    }
    let surplus = has.into_values().flatten().filter(|_| !growing);
    findings.extend(surplus.map(|row| of_row(row, SURPLUS)));
}

fn of_row(row: Has, what: &str) -> Finding {
    finding(Verdict::Integrity, row.producer, row.boot, row.number, what)
}

fn of_part((hour, part): Part) -> Finding {
    let at = chrono::DateTime::from_timestamp_micros(hour * HOUR_US);
    let at = at.map_or_else(String::new, |at| at.to_rfc3339());
    Finding::at_large(
        Verdict::Integrity,
        format!("{NO_ROW} (hour from {at}, part {part} of {PARTS})"),
    )
}

fn finding(verdict: Verdict, producer: String, boot: String, number: i64, what: &str) -> Finding {
    Finding {
        verdict,
        producer: Some(producer),
        boot: Some(boot),
        numbers: Some(Range {
            first: number,
            last: number,
        }),
        partition: None,
        places: None,
        what: what.to_owned(),
    }
}
