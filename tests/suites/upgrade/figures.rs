//! What must hold of the tables, whatever was upgraded when.

/// What no test may find at any moment, each with the query that finds it.
pub(crate) const NEVER: [(&str, &str, u64); 2] = [
    (
        "dead letters",
        "SELECT countIf(fate = 'dead_letter') FROM audit_log",
        0,
    ),
    (
        "copies of a place of the log",
        "SELECT toUInt64(count() - uniqExact(topic, partition, offset)) FROM audit_log",
        0,
    ),
];

/// What no test may find, once everything is read.
pub(crate) const FAULTS: [(&str, &str, u64); 4] = [
    NEVER[0],
    NEVER[1],
    (
        "missing numbers",
        "SELECT toUInt64(ifNull(sum(gap), 0)) FROM (SELECT max(producer_seq) + 1 - uniqExact(producer_seq) AS gap FROM audit_log \
         WHERE producer_seq IS NOT NULL GROUP BY producer, boot)",
        0,
    ),
    (
        "gaps between cuts",
        "SELECT toUInt64(countIf(first != before + 1)) FROM (SELECT first, \
         lagInFrame(last, 1, toInt64(-1)) OVER (PARTITION BY topic, partition ORDER BY first) AS before FROM cuts FINAL)",
        0,
    ),
];

/// What an orderly stop does not leave behind: a gateway that was killed may publish again what Kafka has already.
pub(crate) const COPIES: (&str, &str, u64) = (
    "an event twice in the trail",
    "SELECT toUInt64(count() - uniqExact(event_id)) FROM audit_log WHERE fate = 'event'",
    0,
);

/// Requests whose record is of the frozen wire.
pub(crate) const FROZEN: &str =
    "SELECT uniqExact(event_id) FROM audit_log WHERE startsWith(bytes, '{\"wire\":\"v1\",')";
/// Requests whose record is of the draft.
pub(crate) const DRAFTED: &str =
    "SELECT uniqExact(event_id) FROM audit_log WHERE startsWith(bytes, '{\"wire\":\"v1-draft\",')";
