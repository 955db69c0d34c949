//! What the tables must be by themselves, whoever sent what: numbers without gaps, cuts without gaps, one event for each id.

use store::Client;

use crate::judge::Verdict;

/// A count that must be zero.
const ZERO: [(&str, &str); 7] = [
    (
        "numbers of a gateway's start that are missing",
        "SELECT toUInt64(sum(missing)) FROM (SELECT max(assumeNotNull(producer_seq)) + 1 - uniqExact(producer_seq) AS missing \
         FROM audit_log WHERE fate = 'event' GROUP BY producer, boot)",
    ),
    (
        "numbers that two records bear",
        "SELECT toUInt64(count()) FROM (SELECT 1 FROM audit_log WHERE fate = 'event' \
         GROUP BY producer, boot, producer_seq HAVING uniqExact(event_id) > 1)",
    ),
    (
        "events of the trail that are not in the set",
        "SELECT toUInt64(count()) FROM (SELECT DISTINCT event_id FROM audit_log WHERE fate = 'event') AS trail \
         LEFT ANTI JOIN (SELECT event_id FROM usage_events) AS kept USING event_id",
    ),
    (
        "events of the set that are not in the trail",
        "SELECT toUInt64(count()) FROM (SELECT event_id FROM usage_events FINAL) AS kept \
         LEFT ANTI JOIN (SELECT DISTINCT event_id FROM audit_log WHERE fate = 'event') AS trail USING event_id",
    ),
    (
        "dead letters",
        "SELECT toUInt64(count()) FROM audit_log WHERE fate = 'dead_letter'",
    ),
    (
        "batches with a place that has no record",
        "SELECT toUInt64(countIf(records != last - first + 1)) FROM cuts FINAL",
    ),
    (
        "gaps between cuts",
        "SELECT toUInt64(countIf(first != before + 1)) FROM (SELECT first, \
         lagInFrame(last, 1, toInt64(-1)) OVER (PARTITION BY topic, partition ORDER BY first) AS before FROM cuts FINAL)",
    ),
];

/// Asks them all.
pub async fn judge(client: &Client, verdict: &mut Verdict) {
    for (what, sql) in ZERO {
        let found = count(client, sql).await;
        if found != 0 {
            verdict.fault("the tables", || format!("{found} {what}"));
        }
    }
}

/// Copies in the log that collapsed into one event; more than the copies that were sent where a gateway published again.
pub async fn copies(client: &Client) -> u64 {
    let sql = "SELECT toUInt64(uniqExact(topic, partition, offset) - uniqExact(event_id)) FROM audit_log WHERE fate = 'event'";
    count(client, sql).await
}

/// Rows of `audit_log` beyond one for each place of the log.
pub async fn surplus(client: &Client) -> u64 {
    let sql = "SELECT toUInt64(count() - uniqExact(topic, partition, offset)) FROM audit_log";
    count(client, sql).await
}

/// By how much the second gateway's clock is ahead of the first one's, in seconds, by their last records.
pub async fn clocks_apart(client: &Client) -> i64 {
    let sql = "SELECT toInt64(dateDiff('second', min(last), max(last))) FROM \
               (SELECT max(received) AS last FROM audit_log WHERE fate = 'event' GROUP BY producer)";
    let asked = client.query(sql).fetch_one::<i64>().await;
    asked.expect("the store answers")
}

/// A whole number that the store answers with.
pub async fn count(client: &Client, sql: &str) -> u64 {
    let asked = client.query(sql).fetch_one::<u64>().await;
    asked.unwrap_or_else(|error| panic!("{sql}: {error}"))
}
