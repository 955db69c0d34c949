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

/// Between two starts of a producer that are known there may be counts that are not: whoever counted them may have lived in the
/// period, and nothing says what it did. The producer need not have said anything in the period itself.
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
    producers.retain(|name, _| producer.is_none_or(|wanted| wanted == name));
    let unknown = producers.iter().flat_map(|(producer, starts)| {
        let pairs = starts.iter().zip(starts.iter().skip(1));
        pairs.filter_map(|((before, earlier), (after, later))| {
            let between = before + 1..*after;
            let may_be_of_period = earlier.last < moment.end && later.first >= moment.start;
            // One with records of the period, and no claim, is held up already.
            let has_records = scopes.iter().any(|scope| {
                let count = counter(&scope.boot);
                scope.producer == *producer && count.is_some_and(|count| between.contains(&count))
            });
            let is_unknown = !between.is_empty() && may_be_of_period && !has_records;
            is_unknown.then(|| held_up(producer, between))
        })
    });
    Ok(unknown.collect())
}

fn held_up(producer: &str, between: std::ops::Range<u64>) -> HeldUp {
    let (first, last) = (between.start, between.end - 1);
    let which = if first == last {
        format!("its start {first} is")
    } else {
        format!("its starts {first} to {last} are")
    };
    HeldUp {
        producer: producer.to_owned(),
        boot: String::new(),
        why: format!(
            "{which} not known: others before and after are, and nothing says what was done in between"
        ),
    }
}

fn counter(boot: &str) -> Option<u64> {
    boot.parse::<Boot>().ok().map(|boot| boot.counter)
}
