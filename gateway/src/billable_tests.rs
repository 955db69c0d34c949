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

fn seen(status: u16) -> Call {
    Call {
        status: Some(status),
        reached: true,
        ..Call::default()
    }
}

#[test]
fn what_a_filter_stopped_may_be_charged_whoever_hung_up() {
    let mut refused = Findings::default();
    refused.error = true;
    refused.error_code = Some(b"content_filter".to_vec());
    let mut stopped = Findings::default();
    stopped.finish_reason = Some(b"content_filter".to_vec());
    for (status, found) in [(400, &refused), (200, &stopped)] {
        let call = seen(status);
        for (ending, outcome) in [
            (Ending::Completed, Outcome::Filtered),
            (Ending::Drained, Outcome::ClientAborted),
            (Ending::Cancelled("drain_cap_time"), Outcome::ClientAborted),
        ] {
            let facts = Facts {
                ending,
                ..facts_of(&call, found)
            };
            let event = conclude(open_event(), &facts, &Units::default());
            assert_eq!(
                (event.outcome, event.billable),
                (outcome, Billable::Unclear),
                "{status} {ending:?}"
            );
        }
    }
}

#[test]
fn an_answer_with_nothing_in_it_may_be_free_whoever_hung_up() {
    let (call, nothing) = (seen(200), Findings::default());
    for (ending, api, billable) in [
        (Ending::Completed, Api::Chat, Billable::Unclear),
        (Ending::Drained, Api::Chat, Billable::Unclear),
        (Ending::Completed, Api::Audio, Billable::Unclear),
        // Nobody counted what was read on.
        (Ending::Drained, Api::Audio, Billable::Yes),
        // Something would have come.
        (
            Ending::Cancelled("drain_cap_time"),
            Api::Chat,
            Billable::Yes,
        ),
    ] {
        let facts = Facts {
            ending,
            api,
            ..facts_of(&call, &nothing)
        };
        let event = conclude(open_event(), &facts, &Units::default());
        assert_eq!(event.billable, billable, "{ending:?} {api:?}");
    }
}

/// Many providers tell usage with every chunk: until the last, it is that of the moment.
#[test]
fn figures_of_a_stream_that_was_cut_are_partial() {
    let call = seen(200);
    let found = |finish: Option<&str>, error| {
        let mut found = Findings::default();
        found.usage = Some(
            br#"{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"cost":{"total_cost":0}}"#
                .to_vec(),
        );
        found.finish_reason = finish.map(|reason| reason.as_bytes().to_vec());
        found.error = error;
        found
    };
    let (moment, last, error) = (
        found(None, false),
        found(Some("stop"), false),
        found(None, true),
    );
    let cancelled = Ending::Cancelled("drain_cap_time");
    for (ending, stream, found, source) in [
        (cancelled, true, &moment, UsageSource::Partial),
        (
            Ending::Broken("upstream_reset"),
            true,
            &moment,
            UsageSource::Partial,
        ),
        (
            Ending::TimedOut("between_chunks_timeout"),
            true,
            &moment,
            UsageSource::Partial,
        ),
        (Ending::Completed, true, &error, UsageSource::Partial),
        (Ending::Completed, true, &moment, UsageSource::Provider),
        (Ending::Drained, true, &moment, UsageSource::Drained),
        (cancelled, true, &last, UsageSource::Provider),
        (cancelled, false, &moment, UsageSource::Provider),
    ] {
        let facts = Facts {
            ending,
            dialect: Dialect::OpenAi,
            is_stream: stream,
            has_text: true,
            ..facts_of(&call, found)
        };
        let event = conclude(open_event(), &facts, &Units::default());
        assert_eq!(event.usage_source, source, "{ending:?} {stream}");
        assert_eq!(event.lines[0].units.total(Side::Output), Some(2));
    }
}
