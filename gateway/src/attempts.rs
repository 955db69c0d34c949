//! The calls that a record lists: the one that it tells of, and those before it that failed. Pure.
//!
//! A call that failed is judged by the same rules as a last one, and its own `billable` says whether its provider bills
//! it. What it told of usage stands beside it and on no bill.

use schemas::name::Text;
use schemas::{Attempt, Billable, Outcome, Units, UsageEvent};

use crate::conclude::{Facts, billable, outcome};
use crate::meter::dialect::Reading;

/// The record speaks of its last call. An app that goes away before the next one leaves one that failed.
pub fn last_billable(facts: &Facts<'_>, outcome: Outcome) -> Billable {
    let last = facts
        .earlier
        .last()
        .filter(|_| facts.call.started.is_none());
    let of_failed = last.and_then(|failed| failed.billable);
    of_failed.unwrap_or_else(|| billable(facts, outcome))
}

/// Time in calls: the pauses between them are ours.
pub fn upstream_us(facts: &Facts<'_>) -> Option<i64> {
    let of = |attempt: &Attempt| attempt.ended_us.since(attempt.started_us);
    let last = facts.call.started.map(|started| facts.now.since(started));
    let all = facts.earlier.iter().map(of).chain(last);
    all.reduce(i64::saturating_add)
}

/// The calls of a request, the record's own last.
pub fn attempts(
    open: &UsageEvent,
    facts: &Facts<'_>,
    judged: (Outcome, Billable),
    priced_as: &Text,
) -> Vec<Attempt> {
    let last = attempt(open, facts, judged, Some(priced_as));
    let mut attempts = Vec::with_capacity(facts.earlier.len() + usize::from(last.is_some()));
    attempts.extend_from_slice(facts.earlier);
    attempts.extend(last);
    attempts
}

fn attempt(
    open: &UsageEvent,
    facts: &Facts<'_>,
    (outcome, billable): (Outcome, Billable),
    priced_as: Option<&Text>,
) -> Option<Attempt> {
    Some(Attempt {
        deployment: open.deployment.clone().unwrap_or_default(),
        provider: open.provider.clone(),
        capacity: open.capacity,
        priced_as: priced_as.cloned(),
        started_us: facts.call.started?,
        first_byte_us: facts.call.head,
        ended_us: facts.now,
        status: facts.call.status,
        outcome,
        billable: Some(billable),
        units: None,
        provider_request_id: facts.call.provider_request_id.clone(),
        throttle: facts.call.throttle.clone(),
    })
}

/// A call that failed and is made again, by the same rules as a last one. What it told of usage stands beside it and on
/// no bill: the app gets nothing of its answer.
#[must_use]
pub fn failed_attempt(open: &UsageEvent, facts: &Facts<'_>) -> Option<Attempt> {
    let outcome = outcome(facts);
    let judged = (outcome, billable(facts, outcome));
    let failed = attempt(open, facts, judged, open.priced_as.as_ref())?;
    Some(Attempt {
        units: told(facts.reading()),
        ..failed
    })
}

/// The units of all lines; `None` where nothing was told, or more than a count can hold.
fn told(reading: &Reading<'_>) -> Option<Units> {
    let mut told = Units::default();
    for (unit, count) in reading.lines.iter().flat_map(|line| line.units.iter()) {
        let sum = told.get(unit).unwrap_or(0).checked_add(count)?;
        told.set(unit, sum).ok()?;
    }
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conclude::tests::{facts_of, open_event};
    use crate::conclude::{Call, Ending, conclude};
    use crate::meter::dialect::Dialect;
    use crate::meter::findings::Findings;
    use schemas::{Micros, Unit, UsageSource};

    const USAGE: &[u8] = br#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#;

    fn call(started: i64, status: Option<u16>) -> Call {
        Call {
            started: Some(Micros(started)),
            status,
            reached: true,
            ..Call::default()
        }
    }

    fn failed(
        started: i64,
        ended: i64,
        ending: Ending,
        status: Option<u16>,
        usage: bool,
    ) -> Attempt {
        let mut found = Findings::default();
        found.usage = usage.then(|| USAGE.to_vec());
        let call = call(started, status);
        let facts = Facts {
            ending,
            now: Micros(ended),
            dialect: Dialect::OpenAi,
            ..facts_of(&call, &found)
        };
        failed_attempt(&open_event(), &facts).unwrap()
    }

    #[test]
    fn a_failed_call_is_judged_by_the_rules_of_a_last_one() {
        for (ending, status, outcome, billable) in [
            (
                Ending::Completed,
                Some(429),
                Outcome::UpstreamError,
                Billable::No,
            ),
            (
                Ending::Completed,
                Some(503),
                Outcome::UpstreamError,
                Billable::Unclear,
            ),
            (
                Ending::Completed,
                Some(408),
                Outcome::UpstreamError,
                Billable::Unclear,
            ),
            (
                Ending::Broken("upstream_reset"),
                None,
                Outcome::UpstreamError,
                Billable::Unclear,
            ),
            (
                Ending::TimedOut("first_byte_timeout"),
                None,
                Outcome::Timeout,
                Billable::Unclear,
            ),
        ] {
            let failed = failed(1, 2, ending, status, false);
            assert_eq!(
                (failed.outcome, failed.billable),
                (outcome, Some(billable)),
                "{ending:?}"
            );
            assert_eq!(failed.units, None);
        }
        let (call, found) = (
            Call {
                reached: false,
                ..call(1, None)
            },
            Findings::default(),
        );
        let facts = Facts {
            ending: Ending::Broken("upstream_unreachable"),
            ..facts_of(&call, &found)
        };
        let unsent = failed_attempt(&open_event(), &facts).unwrap();
        assert_eq!(unsent.billable, Some(Billable::No), "nothing was sent");
    }

    #[test]
    fn one_record_has_all_calls_and_its_figures_are_the_last_ones() {
        let earlier = [
            failed(1_000_100, 1_000_150, Ending::Completed, Some(429), false),
            failed(1_000_200, 1_000_270, Ending::Completed, Some(503), true),
        ];
        let told = earlier[1].units.as_ref().unwrap();
        assert_eq!(
            (told.get(Unit::InputText), told.get(Unit::OutputText)),
            (Some(10), Some(5))
        );
        let mut found = Findings::default();
        found.usage = Some(USAGE.to_vec());
        let last = call(1_000_500, Some(200));
        let facts = Facts {
            earlier: &earlier,
            now: Micros(1_000_900),
            dialect: Dialect::OpenAi,
            ..facts_of(&last, &found)
        };
        let event = conclude(open_event(), &facts, &Units::default());
        assert_eq!(event.attempts.len(), 3);
        assert_eq!(event.attempts[..2], earlier);
        assert_eq!(
            (event.attempts[2].status, event.attempts[2].units.clone()),
            (Some(200), None)
        );
        assert_eq!(
            (event.outcome, event.billable),
            (Outcome::Completed, Billable::Yes)
        );
        assert_eq!(event.lines.len(), 1);
        assert_eq!(event.lines[0].units.get(Unit::InputText), Some(10), "once");
        assert_eq!(event.upstream_us, Some(50 + 70 + 400));
        assert_eq!(event.gateway_us, Some(900 - 520), "the pauses are ours");
    }

    #[test]
    fn an_app_that_leaves_between_two_calls_leaves_what_the_last_one_may_cost() {
        for (status, billable) in [(429, Billable::No), (503, Billable::Unclear)] {
            let earlier = [failed(
                1_000_100,
                1_000_150,
                Ending::Completed,
                Some(status),
                false,
            )];
            let (none, found) = (Call::default(), Findings::default());
            let facts = Facts {
                ending: Ending::Cancelled("client_gone"),
                earlier: &earlier,
                now: Micros(1_000_900),
                app_status: None,
                ..facts_of(&none, &found)
            };
            let event = conclude(open_event(), &facts, &Units::default());
            assert_eq!(event.attempts, earlier);
            assert_eq!(
                (event.outcome, event.billable),
                (Outcome::ClientAborted, billable)
            );
            assert_eq!(
                (event.usage_source, event.upstream_us),
                (UsageSource::None, Some(50))
            );
        }
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_time_negative() {
        let earlier = [failed(
            1_000_100,
            1_000_150,
            Ending::Completed,
            Some(503),
            false,
        )];
        let (last, found) = (call(1_000_500, Some(200)), Findings::default());
        let facts = Facts {
            earlier: &earlier,
            now: Micros(400_000),
            ..facts_of(&last, &found)
        };
        let event = conclude(open_event(), &facts, &Units::default());
        assert_eq!((event.upstream_us, event.gateway_us), (Some(50), Some(0)));
        assert_eq!(event.completed_us, Micros(400_000), "a time is data");
        assert_eq!(event.check(), Ok(()));
    }
}
