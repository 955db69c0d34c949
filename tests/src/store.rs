//! What the store holds, as a test reads it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use store::{Client, StoreError};

/// One event of the set, with its units added up by side.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredEvent {
    /// The identity.
    pub event_id: String,
    /// This start of the gateway.
    pub boot: String,
    /// Who pays.
    pub tenant: String,
    /// What for.
    pub project: String,
    /// Which credential.
    pub key_id: String,
    /// The client's own id, which the tests make the nonce of.
    pub nonce: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// As asked.
    pub model_requested: String,
    /// The final fate.
    pub outcome: String,
    /// Machine code beside it; empty for none.
    pub outcome_detail: String,
    /// Where the units come from.
    pub usage_source: String,
    /// Whether they add up.
    pub usage_quality: String,
    /// HTTP status given to the app; 0 for none.
    #[serde(deserialize_with = "number")]
    pub status: i64,
    /// All input units, or nothing.
    #[serde(deserialize_with = "maybe_number")]
    pub input: Option<i64>,
    /// All output units, or nothing.
    #[serde(deserialize_with = "maybe_number")]
    pub output: Option<i64>,
    /// By the provider's rules.
    pub billable: String,
    /// How many requests it stands for.
    #[serde(deserialize_with = "number")]
    pub count: i64,
}

const EVENTS: &str = "\
SELECT toString(event_id) AS event_id, boot, tenant, project, key_id, labels['client_request_id'] AS nonce, stream,
    model_requested, toString(outcome) AS outcome, ifNull(outcome_detail, '') AS outcome_detail,
    toString(usage_source) AS usage_source, toString(usage_quality) AS usage_quality, ifNull(status, 0) AS status,
    if(input_text IS NULL AND input_cached IS NULL, NULL, ifNull(input_text, 0) + ifNull(input_cached, 0)) AS input,
    if(output_text IS NULL AND output_reasoning IS NULL, NULL, ifNull(output_text, 0) + ifNull(output_reasoning, 0)) AS output,
    toString(billable) AS billable, count
FROM usage_events FINAL ORDER BY usage_events.event_id";

/// The set of events.
pub(crate) async fn events(client: &Client) -> Result<Vec<StoredEvent>, StoreError> {
    rows(client, EVENTS).await
}

/// The trail: by place in the log the leaf hash of the record, in hex, and how many copies there are.
pub(crate) type Trail = BTreeMap<u64, (String, u64)>;

/// What `audit_log` has of the log. Copies that differ are two entries of the answer, and so a panic.
pub(crate) async fn trail(client: &Client) -> Result<Trail, StoreError> {
    let sql = "SELECT offset, lower(hex(leaf)) AS leaf, count() AS copies FROM audit_log GROUP BY offset, leaf";
    let mut trail = Trail::new();
    for row in rows::<TrailRow>(client, sql).await? {
        let offset = row.offset;
        let before = trail.insert(offset, (row.leaf, row.copies));
        assert!(before.is_none(), "two records at place {offset} of the log");
    }
    Ok(trail)
}

/// The first place of the log that no written batch covers. A batch's cut is the last that is written of it.
pub(crate) async fn written_end(client: &Client) -> Result<u64, StoreError> {
    let sql = "SELECT if(count() = 0, 0, max(last) + 1) AS end FROM cuts";
    let ends = rows::<WrittenEnd>(client, sql).await?;
    Ok(ends.iter().map(|row| row.end).sum())
}

#[derive(Deserialize)]
struct WrittenEnd {
    #[serde(deserialize_with = "number")]
    end: u64,
}

#[derive(Deserialize)]
struct TrailRow {
    #[serde(deserialize_with = "number")]
    offset: u64,
    leaf: String,
    #[serde(deserialize_with = "number")]
    copies: u64,
}

async fn rows<T: DeserializeOwned>(client: &Client, sql: &str) -> Result<Vec<T>, StoreError> {
    let bytes = client.query_bytes(sql, "JSONEachRow").await?;
    let rows = serde_json::Deserializer::from_slice(&bytes).into_iter::<T>();
    let rows: Result<_, _> = rows.collect();
    Ok(rows.expect("the store answers with the rows that were asked for"))
}

/// ClickHouse may put numbers of 64 bits in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number<T> {
    Bare(T),
    Quoted(String),
}

fn unquoted<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    number: Number<T>,
) -> Result<T, D::Error> {
    match number {
        Number::Bare(number) => Ok(number),
        Number::Quoted(text) => text
            .parse()
            .map_err(|_| serde::de::Error::custom(format!("`{text}` is no number"))),
    }
}

fn number<'de, D: Deserializer<'de>, T: Deserialize<'de> + std::str::FromStr>(
    deserializer: D,
) -> Result<T, D::Error> {
    unquoted::<D, T>(Number::deserialize(deserializer)?)
}

fn maybe_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<Number<i64>>::deserialize(deserializer)?
        .map(unquoted::<D, i64>)
        .transpose()
}
