//! How an answer ends and what it says, against what the record must then say.

use schemas::Unit;

use super::*;

pub(crate) use super::fixtures::{admission, facts_of, open_event};

/// A case: how it ended, the provider's status, the usage it reported, what we counted.
struct Case {
    ending: Ending,
    status: Option<u16>,
    usage: Option<&'static str>,
    counted: &'static [(Unit, i64)],
    found: fn(&mut Findings),
    call: fn(&mut Call),
}

const USAGE: &str = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#;

const BOTH: &[(Unit, i64)] = &[(Unit::InputText, 9), (Unit::OutputText, 4)];

impl Case {
    fn new(ending: Ending, status: u16, usage: Option<&'static str>) -> Self {
        let status = (status > 0).then_some(status);
        Self {
            ending,
            status,
            usage,
            counted: &[],
            found: |_| {},
            call: |_| {},
        }
    }

    fn conclude(&self) -> UsageEvent {
        let mut call = Call {
            started: Some(Micros(1_000_200)),
            head: self.status.map(|_| Micros(1_001_000)),
            status: self.status,
            reached: true,
            ..Call::default()
        };
        (self.call)(&mut call);
        let mut found = Findings::default();
        found.usage = self.usage.map(|u| u.as_bytes().to_vec());
        (self.found)(&mut found);
        let facts = Facts {
            ending: self.ending,
            dialect: Dialect::OpenAi,
            upstream_model: "gpt-4o",
            now: Micros(1_005_000),
            app_status: self.status,
            has_text: true,
            ..facts_of(&call, &found)
        };
        let mut counted = Units::default();
        for (unit, count) in self.counted {
            counted.set(*unit, *count).unwrap();
        }
        conclude(open_event(), &facts, &counted)
    }

    fn says(&self) -> (Outcome, UsageSource, UsageQuality, Billable) {
        let event = self.conclude();
        assert_eq!(event.check(), Ok(()));
        (
            event.outcome,
            event.usage_source,
            event.usage_quality,
            event.billable,
        )
    }
}

#[test]
fn a_whole_answer_with_figures() {
    let case = Case::new(Ending::Completed, 200, Some(USAGE));
    assert_eq!(
        case.says(),
        (
            Outcome::Completed,
            UsageSource::Provider,
            UsageQuality::Ok,
            Billable::Yes
        )
    );
    let event = case.conclude();
    assert_eq!(
        serde_json::to_string(&event.lines[0].units).unwrap(),
        r#"{"input_text":10,"output_text":5}"#
    );
    assert_eq!(event.usage_raw.as_deref(), Some(USAGE));
    assert_eq!(
        (event.upstream_us, event.gateway_us),
        (Some(4_800), Some(200))
    );
}

#[test]
fn a_whole_answer_without_figures_is_counted_and_says_so() {
    let mut case = Case::new(Ending::Completed, 200, None);
    case.counted = BOTH;
    assert_eq!(
        case.says(),
        (
            Outcome::Completed,
            UsageSource::Estimated,
            UsageQuality::Missing,
            Billable::Yes
        )
    );
    case.counted = &[(Unit::InputText, 9)];
    assert_eq!(case.says().1, UsageSource::Partial);
    case.usage = Some(r#"{"prompt_tokens":10}"#);
    case.counted = &[(Unit::OutputText, 4)];
    assert_eq!(
        case.says(),
        (
            Outcome::Completed,
            UsageSource::Partial,
            UsageQuality::Ok,
            Billable::Yes
        )
    );
}

#[test]
fn a_count_beside_pictures_is_partial() {
    let (call, found) = (answered(), Findings::default());
    let mut counted = Units::default();
    counted.set(Unit::InputText, 9).unwrap();
    counted.set(Unit::OutputText, 4).unwrap();
    for (counted_whole, source) in [
        (true, UsageSource::Estimated),
        (false, UsageSource::Partial),
    ] {
        let facts = Facts {
            has_text: true,
            counted_whole,
            ..facts_of(&call, &found)
        };
        let event = conclude(open_event(), &facts, &counted);
        assert_eq!(event.usage_source, source);
    }
}

#[test]
fn a_reported_zero_is_not_replaced_by_a_count() {
    let mut case = Case::new(
        Ending::Completed,
        200,
        Some(r#"{"prompt_tokens":0,"completion_tokens":0}"#),
    );
    case.counted = BOTH;
    let units = &case.conclude().lines[0].units;
    assert_eq!(
        (units.get(Unit::InputText), units.get(Unit::OutputText)),
        (Some(0), Some(0))
    );
}

#[test]
fn who_hangs_up_is_recorded_with_how_the_figures_were_got() {
    let drained = Case::new(Ending::Drained, 200, Some(USAGE));
    assert_eq!(
        drained.says(),
        (
            Outcome::ClientAborted,
            UsageSource::Drained,
            UsageQuality::Ok,
            Billable::Yes
        )
    );
    let mut cancelled = Case::new(Ending::Cancelled("client_gone"), 200, None);
    cancelled.counted = BOTH;
    assert_eq!(
        cancelled.says(),
        (
            Outcome::ClientAborted,
            UsageSource::Estimated,
            UsageQuality::Missing,
            Billable::Yes
        )
    );
    assert_eq!(
        cancelled.conclude().outcome_detail.unwrap().as_str(),
        "client_gone"
    );
    let mut before = Case::new(Ending::NeverCalled, 0, None);
    before.call = |call| *call = Call::default();
    assert_eq!(
        before.says(),
        (
            Outcome::ClientAborted,
            UsageSource::None,
            UsageQuality::Ok,
            Billable::No
        )
    );
    let unanswered = Case::new(Ending::Cancelled("client_gone"), 0, None);
    assert_eq!(
        unanswered.says(),
        (
            Outcome::ClientAborted,
            UsageSource::None,
            UsageQuality::Missing,
            Billable::Unclear
        )
    );
}

#[test]
fn what_a_failure_costs_is_the_providers_rule() {
    for status in [400, 401, 404, 429, 500, 502, 503, 302] {
        let case = Case::new(Ending::Completed, status, None);
        let (outcome, source, quality, billable) = case.says();
        assert_eq!(
            (outcome, source, quality),
            (Outcome::UpstreamError, UsageSource::None, UsageQuality::Ok)
        );
        let expected = if (400..500).contains(&status) {
            Billable::No
        } else {
            Billable::Unclear
        };
        assert_eq!(billable, expected, "{status}");
        assert_eq!(
            case.conclude().outcome_detail.unwrap().as_str(),
            format!("upstream_status_{status}")
        );
    }
    assert_eq!(
        Case::new(Ending::Completed, 408, None).says().3,
        Billable::Unclear
    );
    let mut too_long = Case::new(Ending::Completed, 400, None);
    too_long.found = |found| {
        found.error = true;
        found.error_code = Some(b"context_length_exceeded".to_vec());
    };
    assert_eq!(too_long.says().3, Billable::Unclear);
    let mut filtered = Case::new(Ending::Completed, 400, None);
    filtered.found = |found| {
        found.error = true;
        found.error_code = Some(b"content_filter".to_vec());
    };
    assert_eq!(
        filtered.says(),
        (
            Outcome::Filtered,
            UsageSource::None,
            UsageQuality::Ok,
            Billable::Unclear
        )
    );
    let mut event = Case::new(Ending::Completed, 200, None);
    event.found = |found| found.error = true;
    assert_eq!(
        (event.says().0, event.says().3),
        (Outcome::UpstreamError, Billable::Unclear)
    );
}

#[test]
fn what_breaks_off_or_takes_too_long_is_never_billed_silently() {
    let mut broken = Case::new(Ending::Broken("upstream_reset"), 200, None);
    broken.counted = BOTH;
    assert_eq!(
        broken.says(),
        (
            Outcome::UpstreamError,
            UsageSource::Estimated,
            UsageQuality::Missing,
            Billable::Unclear
        )
    );
    let timeout = Case::new(Ending::TimedOut("first_byte_timeout"), 0, None);
    assert_eq!(
        timeout.says(),
        (
            Outcome::Timeout,
            UsageSource::None,
            UsageQuality::Missing,
            Billable::Unclear
        )
    );
    let mut unreachable = Case::new(Ending::Broken("upstream_unreachable"), 0, None);
    unreachable.call = |call| call.reached = false;
    assert_eq!(
        unreachable.says(),
        (
            Outcome::UpstreamError,
            UsageSource::None,
            UsageQuality::Ok,
            Billable::No
        )
    );
}

fn answered() -> Call {
    Call {
        status: Some(200),
        ..Call::default()
    }
}

#[test]
fn a_deployments_name_is_not_a_models() {
    let (call, found) = (answered(), Findings::default());
    let facts = facts_of(&call, &found);
    for (named, model) in [
        (None, "gpt-4o"),
        (Some("our-deployment"), "gpt-4o"),
        (Some("gpt-4o-2024-11-20"), "gpt-4o-2024-11-20"),
    ] {
        assert_eq!(facts.priced(named), model);
    }
}

/// What the exposure of an answer without figures is priced by; so is that of its attempt.
#[test]
fn a_record_names_the_model_that_is_priced_whether_the_answer_does_or_not() {
    let mut call = answered();
    call.started = Some(Micros(1_000_200));
    for (named, model) in [
        (None, "gpt-4o"),
        (Some("our-deployment"), "gpt-4o"),
        (Some("gpt-4o-2024-11-20"), "gpt-4o-2024-11-20"),
    ] {
        let mut found = Findings::default();
        found.model = named.map(|name| name.as_bytes().to_vec());
        let event = conclude(open_event(), &facts_of(&call, &found), &Units::default());
        let model = Some(Text::cut(model));
        assert_eq!(event.priced_as, model);
        let attempt = &event.attempts[0];
        assert_eq!(
            (&attempt.priced_as, attempt.billable),
            (&model, Some(event.billable))
        );
        assert_eq!(
            (&attempt.provider, attempt.capacity),
            (&event.provider, event.capacity)
        );
    }
}

#[test]
fn nothing_is_counted_of_what_was_not_read() {
    let call = answered();
    let wanted = |set: fn(&mut Findings)| {
        let mut found = Findings::default();
        set(&mut found);
        let wanted = facts_of(&call, &found).wanted();
        (wanted.input, wanted.output)
    };
    assert_eq!(wanted(|_| {}), (true, true));
    assert_eq!(
        wanted(|found| found.unexpected = Some(ENCODED)),
        (true, false)
    );
    assert_eq!(
        wanted(|found| found.unexpected = Some(NOT_JSON)),
        (false, false)
    );
    assert_eq!(wanted(|found| found.error = true), (false, false));
}

#[test]
fn texts_do_not_pass_in_what_the_provider_said_about_usage() {
    let case = Case::new(
        Ending::Completed,
        200,
        Some(
            r#"{"prompt_tokens":1,"completion_tokens":1,"note":"a sentence with spaces","tier":"default"}"#,
        ),
    );
    let raw = case.conclude().usage_raw.unwrap();
    assert!(
        !raw.contains("sentence") && raw.contains("default"),
        "{raw}"
    );
}

#[test]
fn figures_that_cannot_be_kept_are_unmapped() {
    let usage = |zeros: usize| {
        let zeros = vec!["0"; zeros].join(",");
        format!(r#"{{"prompt_tokens":100,"completion_tokens":1,"x":[{zeros}]}}"#)
    };
    let told = |found: &Findings| {
        let call = Call {
            status: Some(200),
            reached: true,
            ..Call::default()
        };
        let facts = Facts {
            dialect: Dialect::OpenAi,
            ..facts_of(&call, found)
        };
        let event = conclude(open_event(), &facts, &Units::default());
        (event.usage_quality, event.usage_raw)
    };
    let mut found = Findings::default();
    found.usage = Some(usage(2_000).into_bytes());
    assert_eq!(told(&found), (UsageQuality::Ok, Some(usage(2_000))));
    found.usage = Some(usage(2_100).into_bytes());
    assert_eq!(told(&found), (UsageQuality::Unmapped, None));
    // Each alone could be kept, or one of them could not at all.
    found.usage = Some(usage(1_500).into_bytes());
    let zeros = vec!["0"; 1_500].join(",");
    found.tool_usage = Some(format!(r#"{{"x":[{zeros}]}}"#).into_bytes());
    assert_eq!(told(&found), (UsageQuality::Unmapped, None));
    found.tool_usage = Some(b"{\"x\":".to_vec());
    let (quality, raw) = told(&found);
    assert!(quality != UsageQuality::Ok && raw.is_none(), "{quality}");
    // What a tool used is kept, also where the answer has no figures of its own.
    (found.usage, found.tool_usage) = (None, Some(b"{}".to_vec()));
    assert_eq!(told(&found).1.as_deref(), Some("{}"));
}

#[test]
fn several_models_are_several_lines_and_what_the_provider_charges_is_kept_apart() {
    let mut found = Findings::default();
    found.model = Some(b"gpt-5.6-sol".to_vec());
    found.usage = Some(br#"{"input_tokens":20,"output_tokens":3,"cost":0.00125}"#.to_vec());
    found.tool_usage = Some(br#"{"image_gen":{"input_tokens":5,"output_tokens":9}}"#.to_vec());
    found.tool_model = Some(b"gpt-image-2".to_vec());
    let call = Call {
        started: Some(Micros(1_000_200)),
        status: Some(200),
        reached: true,
        ..Call::default()
    };
    let facts = Facts {
        dialect: Dialect::OpenRouter,
        api: Api::Responses,
        has_text: true,
        ..facts_of(&call, &found)
    };
    let event = conclude(open_event(), &facts, &Units::default());
    assert_eq!(event.check(), Ok(()));
    let lines: Vec<_> = event
        .lines
        .iter()
        .map(|line| (line.model.as_str(), line.units.iter().collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        lines,
        [
            (
                "gpt-5.6-sol",
                vec![(Unit::InputText, 20), (Unit::OutputText, 3)]
            ),
            (
                "gpt-image-2",
                vec![(Unit::InputText, 5), (Unit::OutputImage, 9)]
            ),
        ]
    );
    assert_eq!(event.provider_cost.unwrap().as_str(), "0.00125");
    assert_eq!(event.provider_cost_currency.unwrap().as_str(), "USD");
    let raw: serde_json::Value = serde_json::from_str(&event.usage_raw.unwrap()).unwrap();
    assert_eq!(raw["usage"]["cost"], 0.00125);
    assert_eq!(raw["tool_usage"]["image_gen"]["output_tokens"], 9);
}

#[test]
fn only_a_request_whose_admission_missed_its_promise_is_marked() {
    let is_marked = |ending| Case::new(ending, 0, None).conclude().durability_degraded;
    assert!(is_marked(Ending::NotRecorded));
    let others = [Ending::Completed, Ending::Drained, Ending::NeverCalled];
    assert!(!others.into_iter().any(is_marked));
}

#[test]
fn pictures_sound_and_moderations_are_never_counted_by_a_tokenizer() {
    for api in [Api::Images, Api::Audio, Api::Moderations] {
        let call = Call {
            status: Some(200),
            reached: true,
            ..Call::default()
        };
        let found = Findings::default();
        let facts = Facts {
            api,
            ..facts_of(&call, &found)
        };
        assert!(!facts.wanted().any(), "{api}");
    }
}
