//! Starts that must have been, for a producer counts them, and of which nobody has said anything.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::Boot;
use serde::Deserialize;
use store::Client;

use super::claims::{Moment, Scope};
use super::model::HeldUp;
use crate::BillingError;
use crate::sql::json_rows;

const TIMEOUT: Duration = Duration::from_secs(55);

/// What is claimed of a start: from when to when it was heard.
#[derive(Clone, Debug, Deserialize)]
struct Heard {
    p: String,
    b: String,
    first: i64,
    last: i64,
}

/// Before a start of a producer that is known, after another or after none, there may be counts that are not: whoever counted them may
/// have lived in the period, and nothing says what it did. The producer need not have said anything in the period itself. Before the
/// first start of the producer that the store heard of first of all nothing is missed: the counts before it may be of the time before
/// the store.
pub(super) async fn unknown_starts(
    client: &Client,
    moment: Moment,
    producer: Option<&str>,
    scopes: &[Scope],
) -> Result<Vec<HeldUp>, BillingError> {
    const SQL: &str = "SELECT toString(producer_log.producer) AS p, toString(producer_log.boot) AS b, \
        toUnixTimestamp64Micro(min(clock)) AS first, \
        toUnixTimestamp64Micro(if(countIf(by_whom = '') = 0, min(clock), maxIf(clock, by_whom = ''))) AS last \
        FROM producer_log WHERE kind NOT IN ('silent', 'declared_lost') GROUP BY p, b ORDER BY p, b";
    let mut producers = BTreeMap::<String, BTreeMap<u64, Heard>>::new();
    for heard in json_rows::<Heard>(client, SQL, TIMEOUT).await? {
        if let Some(count) = counter(&heard.b) {
            let starts = producers.entry(heard.p.clone()).or_default();
            starts.insert(count, heard);
        }
    }
    // What was before the oldest claim of anybody is of no period of this store.
    let heard = producers.values().flat_map(BTreeMap::values);
    let oldest = heard.map(|heard| heard.first).min().unwrap_or_default();
    producers.retain(|name, _| producer.is_none_or(|wanted| wanted == name));
    let unknown = producers.iter().flat_map(|(producer, starts)| {
        let before = std::iter::once((0, oldest));
        let before = before.chain(starts.iter().map(|(count, heard)| (*count, heard.last)));
        before
            .zip(starts)
            .filter_map(|((before, last), (after, later))| {
                let between = before + 1..*after;
                let is_first = before == 0 && later.first <= oldest;
                let may_be_of_period =
                    !is_first && last < moment.end && later.first >= moment.start;
                // One with records of the period, and no claim, is held up already.
                let has_records = scopes.iter().any(|scope| {
                    let count = counter(&scope.boot);
                    scope.producer == *producer
                        && count.is_some_and(|count| between.contains(&count))
                });
                let is_unknown = !between.is_empty() && may_be_of_period && !has_records;
                is_unknown.then(|| held_up(producer, before, between))
            })
    });
    Ok(unknown.collect())
}

fn held_up(producer: &str, before: u64, between: std::ops::Range<u64>) -> HeldUp {
    let (first, last) = (between.start, between.end - 1);
    let which = if first == last {
        format!("its start {first} is")
    } else {
        format!("its starts {first} to {last} are")
    };
    let why = if before == 0 {
        "the first that is known counts on from them, and nothing says what was done before it"
    } else {
        "others before and after are, and nothing says what was done in between"
    };
    HeldUp {
        producer: producer.to_owned(),
        boot: String::new(),
        why: format!("{which} not known: {why}"),
    }
}

fn counter(boot: &str) -> Option<u64> {
    boot.parse::<Boot>().ok().map(|boot| boot.counter)
}
