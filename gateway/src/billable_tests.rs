//! What a provider charges, by its own rules.

use super::tests::{facts_of, open_event};
use super::*;

#[test]
fn hanging_up_does_not_turn_a_failed_answer_into_a_good_one() {
    let billable = |status: u16, found: fn(&mut Findings), call: fn(&mut Call)| {
        let mut seen = Call {
            status: Some(status),
            reached: true,
            ..Call::default()
        };
        call(&mut seen);
        let mut said = Findings::default();
        found(&mut said);
        let facts = Facts {
            ending: Ending::Drained,
            dialect: Dialect::OpenAi,
            has_text: true,
            ..facts_of(&seen, &said)
        };
        conclude(open_event(), &facts, &Units::default()).billable
    };
    assert_eq!(billable(200, |_| {}, |_| {}), Billable::Yes);
    for status in [500, 502, 503] {
        assert_eq!(
            billable(status, |_| {}, |_| {}),
            Billable::Unclear,
            "{status}"
        );
    }
    assert_eq!(billable(429, |_| {}, |_| {}), Billable::No);
    assert_eq!(
        billable(200, |found| found.error = true, |_| {}),
        Billable::Unclear
    );
    let html = |found: &mut Findings| found.unexpected = Some(NOT_JSON);
    assert_eq!(billable(200, html, |_| {}), Billable::Unclear);
    assert_eq!(
        billable(200, |found| found.finish_reason = None, |_| {}),
        Billable::Yes,
        "there is text"
    );
}

#[test]
fn what_a_provider_says_is_free_is_free_with_it_alone() {
    let call = |status| Call {
        status: Some(status),
        reached: true,
        ..Call::default()
    };
    let mut error = Findings::default();
    error.error = true;
    error.finish_reason = Some(b"error".to_vec());
    let judged = |dialect, status, found: &Findings| {
        let call = call(status);
        let facts = Facts {
            dialect,
            ..facts_of(&call, found)
        };
        conclude(open_event(), &facts, &Units::default()).billable
    };
    let nothing = Findings::default();
    assert_eq!(judged(Dialect::Google, 500, &nothing), Billable::No);
    assert_eq!(judged(Dialect::OpenAi, 500, &nothing), Billable::Unclear);
    assert_eq!(judged(Dialect::OpenRouter, 200, &error), Billable::No);
    assert_eq!(judged(Dialect::OpenAi, 200, &error), Billable::Unclear);
    assert_eq!(judged(Dialect::OpenAi, 200, &nothing), Billable::Unclear);
}
