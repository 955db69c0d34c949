//! Every start of every producer: what it claims, what of that the store has, and what it is. For operators; the proof of a
//! period is not made here.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::event::FIRST_PRODUCER_SEQ;
use schemas::producer::Standing;
use schemas::{Exposure, Micros, ProducerState, Units};
use serde::Serialize;
use store::Client;

use crate::BillingError;

/// All numbers that ever arrived are counted.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A start of a producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Start {
    /// Who.
    pub producer: String,
    /// Which start.
    pub boot: String,
    /// What it is.
    pub state: String,
    /// Its clock at the last heartbeat.
    pub last_heartbeat_us: Option<i64>,
    /// The last number that it claims, or that arrived.
    pub last_seq: Option<i64>,
    /// Numbers that are in the store.
    pub stored: i64,
    /// Numbers up to the last that are not; what is under way counts among them.
    pub missing: i64,
    /// The counters of the last heartbeat.
    pub admitted: Option<i64>,
    /// Of those, closed.
    pub settled: Option<i64>,
    /// Of those, running.
    pub open: Option<i64>,
    /// When the oldest of them was received.
    pub oldest_open_us: Option<i64>,
    /// What is reserved for them.
    pub reserved_units: BTreeMap<String, i64>,
    /// The place of the last heartbeat in its journal.
    pub heard_at: Option<i64>,
}

impl Start {
    /// Why it can not be declared lost, if so.
    #[must_use]
    pub fn why_not_lost(&self) -> Option<String> {
        let is = |state: ProducerState| self.state == state.as_str();
        if is(ProducerState::DeclaredLost) {
            return Some("it is declared lost already".to_owned());
        }
        if is(ProducerState::Closed) && self.missing == 0 {
            return Some("it ended in order and nothing of it is missing".to_owned());
        }
        let may_speak = !is(ProducerState::Silent) && !is(ProducerState::Closed);
        may_speak.then(|| {
            format!(
                "it is {}: stop it, or wait until a consumer calls it silent",
                self.state
            )
        })
    }

    /// What may be lost with it at most, as far as the log knows.
    #[must_use]
    pub fn exposure(&self) -> Exposure {
        let mut reserved_units = Units::default();
        for (unit, count) in &self.reserved_units {
            if let Ok(unit) = unit.parse() {
                // What a heartbeat says is never below 0.
                drop(reserved_units.set(unit, *count));
            }
        }
        let is_closed = self.state == ProducerState::Closed.as_str();
        Exposure {
            missing: self.missing,
            // One that ended in order has closed them, or a later start has.
            open: self.open.filter(|_| !is_closed).unwrap_or(0),
            reserved_units: if is_closed {
                Units::default()
            } else {
                reserved_units
            },
            known_until_us: self.last_heartbeat_us.map(Micros),
        }
    }
}

type Key = (String, String);
type Said = (String, String, i64, i64, i64, i64, u64, u64);
type Beat = (String, String, i64, i64, i64, i64, i64, String);
type Stored = (String, String, u64, i64);

/// All starts, in order.
pub async fn producers(client: &Client) -> Result<Vec<Start>, BillingError> {
    let said: Vec<Said> = ask(client, SAID).await?;
    let beats: Vec<Beat> = ask(client, BEATS).await?;
    let stored: Vec<Stored> = ask(client, STORED).await?;
    let mut starts: BTreeMap<Key, Start> = BTreeMap::new();
    for (producer, boot, last, heard, silent, lost, closed, draining) in said {
        let standing = Standing {
            heard: place(heard),
            silent: place(silent),
            lost: place(lost),
            is_draining: draining > 0,
            is_closed: closed > 0,
        };
        let start = entry(&mut starts, producer, boot);
        start.state = standing.state().to_string();
        start.last_seq = number(last);
        start.heard_at = standing.heard;
    }
    for (producer, boot, clock, admitted, settled, open, oldest, reserved) in beats {
        let start = entry(&mut starts, producer, boot);
        start.last_heartbeat_us = Some(clock);
        let told = |count: i64| Some(count).filter(|count| *count >= 0);
        start.admitted = told(admitted);
        start.settled = told(settled);
        start.open = told(open);
        start.oldest_open_us = (oldest >= 0).then_some(oldest);
        start.reserved_units = serde_json::from_str(&reserved)
            .map_err(|error| BillingError::Answer(error.to_string()))?;
    }
    for (producer, boot, count, last) in stored {
        let start = entry(&mut starts, producer, boot);
        start.stored = i64::try_from(count).unwrap_or(i64::MAX);
        start.last_seq = start.last_seq.max(number(last));
    }
    let mut starts: Vec<Start> = starts.into_values().collect();
    for start in &mut starts {
        let given = start
            .last_seq
            .map_or(0, |last| last - FIRST_PRODUCER_SEQ + 1);
        start.missing = given - start.stored;
    }
    Ok(starts)
}

/// The last number, the last heartbeat's place, those that a silence or a declared loss stands on; -2 where there is none.
const SAID: &str = "SELECT toString(producer) AS p, toString(boot) AS b, max(ifNull(last_producer_seq, -1)), \
        max(if(kind = 'heartbeat', ifNull(synced_position, -1), -2)), \
        max(if(kind = 'silent', ifNull(synced_position, -1), -2)), \
        max(if(kind = 'declared_lost', ifNull(synced_position, -1), -2)), \
        countIf(kind = 'closed'), countIf(kind = 'draining') \
    FROM producer_log GROUP BY p, b";

const BEATS: &str = "SELECT p, b, argMax(at, place), argMax(a, place), argMax(s, place), argMax(o, place), argMax(old, place), \
        argMax(units, place) \
    FROM (SELECT toString(producer) AS p, toString(boot) AS b, toUnixTimestamp64Micro(clock) AS at, ifNull(synced_position, -1) AS place, \
            ifNull(admitted, -1) AS a, ifNull(settled, -1) AS s, ifNull(open, -1) AS o, \
            ifNull(toUnixTimestamp64Micro(oldest_open), -1) AS old, toJSONString(CAST(reserved_units, 'Map(String, Int64)')) AS units \
        FROM producer_log WHERE kind = 'heartbeat') \
    GROUP BY p, b";

/// Counted in a bitmap, which stays small however many numbers there are.
const STORED: &str = "SELECT toString(producer) AS p, toString(boot) AS b, groupBitmap(toUInt64(assumeNotNull(producer_seq))), \
        max(assumeNotNull(producer_seq)) \
    FROM audit_log WHERE fate = 'event' AND producer_seq >= 0 GROUP BY p, b";

async fn ask<T>(client: &Client, sql: &str) -> Result<Vec<T>, BillingError>
where
    T: store::RowOwned + store::RowRead,
{
    Ok(client
        .statement(sql)
        .setting("output_format_json_quote_64bit_integers", "0")
        .timeout(TIMEOUT)
        .fetch_all()
        .await?)
}

fn entry(starts: &mut BTreeMap<Key, Start>, producer: String, boot: String) -> &mut Start {
    let key = (producer.clone(), boot.clone());
    starts.entry(key).or_insert_with(|| Start {
        producer,
        boot,
        // Records came, and no word of their producer: it is older than heartbeats in the store, or its word is under way.
        state: "unheard".to_owned(),
        last_heartbeat_us: None,
        last_seq: None,
        stored: 0,
        missing: 0,
        admitted: None,
        settled: None,
        open: None,
        oldest_open_us: None,
        reserved_units: BTreeMap::new(),
        heard_at: None,
    })
}

fn place(said: i64) -> Option<i64> {
    (said > -2).then_some(said)
}

fn number(last: i64) -> Option<i64> {
    (last >= FIRST_PRODUCER_SEQ).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(state: ProducerState, missing: i64) -> Start {
        let mut starts = BTreeMap::new();
        let start = entry(&mut starts, "gw".to_owned(), "1-0".to_owned());
        start.state = state.to_string();
        start.missing = missing;
        start.open = Some(2);
        start.reserved_units.insert("output_text".to_owned(), 7);
        start.clone()
    }

    #[test]
    fn only_who_is_silent_or_left_a_hole_can_be_declared_lost() {
        for state in [
            ProducerState::Registered,
            ProducerState::Live,
            ProducerState::Draining,
            ProducerState::DeclaredLost,
        ] {
            assert!(start(state, 3).why_not_lost().is_some(), "{state}");
        }
        assert!(start(ProducerState::Closed, 0).why_not_lost().is_some());
        assert_eq!(start(ProducerState::Closed, 1).why_not_lost(), None);
        assert_eq!(start(ProducerState::Silent, 0).why_not_lost(), None);
    }

    #[test]
    fn exposure_counts_the_open_ones_only_of_who_did_not_end() {
        let silent = start(ProducerState::Silent, 3).exposure();
        assert_eq!((silent.missing, silent.open), (3, 2));
        assert_eq!(
            silent.reserved_units.get(schemas::Unit::OutputText),
            Some(7)
        );
        let closed = start(ProducerState::Closed, 3).exposure();
        assert_eq!((closed.missing, closed.open), (3, 0));
        assert!(closed.reserved_units.is_empty());
    }
}
