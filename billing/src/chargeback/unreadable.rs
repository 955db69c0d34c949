//! Records that could not be read: they have no time of their own, and are found by their batches.

use serde::Deserialize;
use store::Client;

use crate::BillingError;
use crate::chargeback::Request;
use crate::chargeback::ledger::ask;
use crate::sql::{IS_OPEN_LETTER, instant, lines, quoted};

/// So many batches with dead letters are looked at each on its own.
const FEW_BATCHES: usize = 256;

/// How many records of the period could not be read.
pub(super) async fn unreadable(client: &Client, request: &Request) -> Result<i128, BillingError> {
    let batches = batches_with_dead_letters(FEW_BATCHES);
    let batches = ask(client, &batches, &[], "JSONEachRow").await?;
    let batches: Vec<Batch> = lines(&batches)?;
    if batches.is_empty() {
        return Ok(0);
    }
    let few = (batches.len() <= FEW_BATCHES).then_some(batches.as_slice());
    number(client, &query(request, few)).await
}

async fn number(client: &Client, text: &str) -> Result<i128, BillingError> {
    let answer = ask(client, text, &[], "TabSeparated").await?;
    let text = String::from_utf8_lossy(&answer);
    let number = text.trim().parse();
    number.map_err(|_| BillingError::Answer(format!("`{}` is not a count", text.trim())))
}

/// Batches with records that could not be read; one more than are few.
fn batches_with_dead_letters(few: usize) -> String {
    format!(
        "SELECT topic, partition, first, last FROM cuts FINAL WHERE dead_letters > 0 ORDER BY ALL LIMIT {}",
        few + 1
    )
}

/// How many records that could not be read, and that nobody has mended and put back, may belong to the period. Such a record has no time of its own: it stands in a
/// batch, and may be of any time from the batch's earliest event to its latest. A batch without any event belongs to every period.
///
/// Each place counts once, however often it was written. Where `few` are all batches with such records, their places are looked at and
/// no others; else those that may belong to the period, and what lies between them.
fn query(request: &Request, few: Option<&[Batch]>) -> String {
    let (start, end) = (
        instant(request.period.start()),
        instant(request.period.end()),
    );
    let near = few.map(|few| {
        let places = few.iter().map(|batch| {
            let Batch {
                topic,
                partition,
                first,
                last,
            } = batch;
            let topic = quoted(topic);
            format!("(topic = {topic} AND partition = {partition} AND offset BETWEEN {first} AND {last})")
        });
        places.collect::<Vec<_>>().join(" OR ")
    });
    let (batches, near) = match near {
        Some(near) => (
            "batches AS (SELECT topic, partition, first, last, events AS told FROM cuts FINAL WHERE dead_letters > 0)".to_owned(),
            near,
        ),
        None => (
            format!(
                "spans AS (SELECT topic, partition, minIf(offset, received >= {start}) AS low, maxIf(offset, received < {end}) AS high, \
                 1 AS has_events FROM audit_log WHERE fate = 'event' GROUP BY topic, partition \
                 HAVING countIf(received >= {start}) > 0 AND countIf(received < {end}) > 0), \
                 batches AS (SELECT topic, partition, first, last, events AS told FROM (SELECT * FROM cuts FINAL WHERE dead_letters > 0) AS all_batches \
                 LEFT JOIN spans USING (topic, partition) WHERE events = 0 OR (has_events = 1 AND last >= low AND first <= high)), \
                 (SELECT min(first) FROM batches) AS lowest, (SELECT max(last) FROM batches) AS highest"
            ),
            "offset >= lowest AND offset <= highest AND (topic, partition) GLOBAL IN (SELECT topic, partition FROM batches)".to_owned(),
        ),
    };
    format!(
        "WITH {batches} \
         SELECT toString(sum(dead)) FROM (\
         SELECT uniqExactIf(a.offset, a.fate = 'dead_letter') AS dead, countIf(a.fate = 'event') + max(c.told) AS events, \
         minIf(a.received, a.fate = 'event') AS earliest, maxIf(a.received, a.fate = 'event') AS latest \
         FROM (SELECT topic, partition, offset, fate, received FROM audit_log \
         WHERE ({near}) AND (fate != 'dead_letter' OR {IS_OPEN_LETTER})) AS a \
         ASOF INNER JOIN batches AS c \
         ON a.topic = c.topic AND a.partition = c.partition AND a.offset >= c.first \
         WHERE a.offset <= c.last GROUP BY c.topic, c.partition, c.first) \
         WHERE events = 0 OR (latest >= {start} AND earliest < {end})"
    )
}

/// A batch, by its places in the log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    topic: String,
    partition: i32,
    first: i64,
    last: i64,
}
