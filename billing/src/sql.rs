//! What the queries of this crate share.

use std::time::Duration;

use schemas::Micros;
use serde::de::DeserializeOwned;
use store::Client;

use crate::BillingError;

/// A literal of the type of `received`.
pub(crate) fn instant(at: Micros) -> String {
    format!("fromUnixTimestamp64Micro(toInt64({}), 'UTC')", at.0)
}

/// A literal text, whatever it holds.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Whether a dead letter of `audit_log` is one still: a record that was mended and put back is an event, which says of which place.
pub(crate) const IS_OPEN_LETTER: &str = "concat('replay of ', toString(audit_log.topic), '/', toString(partition), '/', toString(offset)) \
    GLOBAL NOT IN (SELECT reason FROM audit_log WHERE fate = 'event' AND startsWith(reason, 'replay of '))";

/// An answer of one JSON value a line.
pub(crate) fn lines<T: DeserializeOwned>(answer: &[u8]) -> Result<Vec<T>, BillingError> {
    let lines = serde_json::Deserializer::from_slice(answer).into_iter();
    lines
        .map(|line| line.map_err(|error| BillingError::Answer(error.to_string())))
        .collect()
}

/// The rows of a query taken as it stands, by the names of their columns.
pub(crate) async fn json_rows<T: DeserializeOwned>(
    client: &Client,
    sql: &str,
    timeout: Duration,
) -> Result<Vec<T>, BillingError> {
    let answer = client
        .statement(sql)
        .timeout(timeout)
        .setting("output_format_json_quote_64bit_integers", "0")
        .setting("do_not_merge_across_partitions_select_final", "1")
        .bytes("JSONEachRow")
        .await?;
    lines(&answer)
}
