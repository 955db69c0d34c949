//! Starts of which there are records in a period, and no claim that says which numbers belong to it. Their records around the
//! period say it: from after the last number that was received before it, to before the next that was received after it.

use std::time::Duration;

use serde::Deserialize;
use store::Client;

use super::claims::{Moment, Scope};
use super::model::State;
use crate::BillingError;
use crate::sql::{instant, json_rows, quoted};
use schemas::Micros;

const TIMEOUT: Duration = Duration::from_secs(55);

#[derive(Deserialize)]
struct Row {
    p: String,
    b: String,
    /// Of the period.
    greatest: i64,
    claims: u64,
    /// The greatest number below, received before the period; -1 for none.
    below: i64,
    /// The least number above, received after the period; -1 for none.
    above: i64,
}

/// The scopes of starts that are not `claimed`. A number that is missing between two days may belong to either and is in both;
/// none is in none.
pub(super) async fn scopes(
    client: &Client,
    moment: Moment,
    producer: Option<&str>,
    claimed: &[Scope],
) -> Result<Vec<Scope>, BillingError> {
    let known = |row: &Row| {
        let mut claimed = claimed.iter();
        claimed.any(|scope| scope.producer == row.p && scope.boot == row.b)
    };
    // The records of all other times are looked through only where that is needed.
    let inside = inside(moment, producer);
    let rows: Vec<Row> = json_rows(client, &alone(&inside), TIMEOUT).await?;
    if rows.iter().all(known) {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = json_rows(client, &with_neighbours(&inside, moment), TIMEOUT).await?;
    let unknown = rows.into_iter().filter(|row| !known(row));
    Ok(unknown.map(scope).collect())
}

fn inside(moment: Moment, producer: Option<&str>) -> String {
    let only = producer.map_or_else(String::new, |name| {
        format!(" AND audit_log.producer = {}", quoted(name))
    });
    format!(
        "(SELECT toString(audit_log.producer) AS p, toString(audit_log.boot) AS b, \
            toInt64(min(assumeNotNull(producer_seq))) AS least, toInt64(max(assumeNotNull(producer_seq))) AS greatest FROM audit_log \
            WHERE received >= {} AND received < {} AND fate = 'event'{only} GROUP BY p, b)",
        instant(Micros(moment.start)),
        instant(Micros(moment.end))
    )
}

fn alone(inside: &str) -> String {
    format!(
        "SELECT p, b, greatest, toUInt64(0) AS claims, toInt64(-1) AS below, toInt64(-1) AS above FROM {inside}"
    )
}

fn with_neighbours(inside: &str, moment: Moment) -> String {
    format!(
        "SELECT p, b, any(records.greatest) AS greatest, any(n_claims) AS claims, \
            ifNull(maxOrNullIf(seq, at < {start} AND seq < records.least), -1) AS below, \
            ifNull(minOrNullIf(seq, at >= {end} AND seq > records.greatest), -1) AS above \
        FROM (SELECT toString(producer) AS p, toString(boot) AS b, toInt64(assumeNotNull(producer_seq)) AS seq, \
            toUnixTimestamp64Micro(received) AS at FROM audit_log WHERE fate = 'event') AS others \
        INNER JOIN (SELECT * FROM {inside} AS inside LEFT JOIN \
            (SELECT toString(producer_log.producer) AS p, toString(producer_log.boot) AS b, count() AS n_claims FROM producer_log \
            WHERE kind NOT IN ('silent', 'declared_lost') GROUP BY p, b) AS said USING (p, b)) AS records USING (p, b) \
        GROUP BY p, b ORDER BY p, b",
        start = moment.start,
        end = moment.end
    )
}

fn scope(row: Row) -> Scope {
    let above = (row.above >= 0).then_some(row.above - 1);
    Scope {
        held_up: (row.claims == 0)
            .then(|| "there are records of it, and it has claimed nothing".to_owned()),
        state: if row.claims == 0 {
            State::Unclaimed
        } else {
            State::Open
        },
        producer: row.p,
        boot: row.b,
        first: row.below + 1,
        last: above.unwrap_or(row.greatest),
        is_open: false,
        due: i64::MAX,
        before: None,
        after: None,
        lost: None,
        last_claim_us: None,
        newest: -1,
    }
}

/// Whether the store has a record or a word of a producer.
pub(super) async fn is_known(client: &Client, producer: &str) -> Result<bool, BillingError> {
    #[derive(Deserialize)]
    struct Known {
        rows: u64,
    }
    let name = quoted(producer);
    for table in ["producer_log", "audit_log"] {
        let sql = format!(
            "SELECT count() AS rows FROM (SELECT 1 FROM {table} WHERE producer = {name} LIMIT 1)"
        );
        let known: Vec<Known> = json_rows(client, &sql, TIMEOUT).await?;
        if known.iter().any(|known| known.rows > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
