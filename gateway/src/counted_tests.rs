//! What is counted here goes to the answer's own model, and to no other; figures that cannot be the last are not taken for it.

use bytes::Bytes;
use schemas::Unit;

use super::tests::{facts_of, open_event};
use super::*;
use crate::meter::findings::TextTally;
use crate::meter::stream::{StreamMeter, UsageFor};

fn served() -> Call {
    Call {
        started: Some(Micros(1_000_200)),
        status: Some(200),
        reached: true,
        ..Call::default()
    }
}

fn units(counts: &[(Unit, i64)]) -> Units {
    let mut units = Units::default();
    for (unit, count) in counts {
        units.set(*unit, *count).unwrap();
    }
    units
}

fn lines(event: &UsageEvent) -> Vec<(&str, Vec<(Unit, i64)>)> {
    let line = |line: &'_ Line| line.units.iter().collect();
    event
        .lines
        .iter()
        .map(|each| (each.model.as_str(), line(each)))
        .collect()
}

/// What a stream of these events says.
fn streamed(events: &[&str]) -> Findings {
    let (mut found, mut tally) = (Findings::default(), TextTally::default());
    let mut reader = StreamMeter::new(UsageFor::Client);
    for event in events {
        let bytes = Bytes::from(format!("data: {event}\n\n"));
        reader.feed(&bytes, &mut found, &mut tally);
    }
    found
}

#[test]
fn text_is_not_counted_to_the_model_of_a_tool() {
    const DRAWN: &str = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"image_generation_call","id":"ig_1","status":"completed"}}"#;
    const CREATED: &str =
        r#"{"type":"response.created","response":{"model":"gpt-5","usage":null}}"#;
    let mut with_figures = streamed(&[CREATED]);
    with_figures.tool_usage =
        Some(br#"{"image_gen":{"input_tokens":5,"output_tokens":9}}"#.to_vec());
    let drawn = vec![(Unit::Images, 1)];
    let by_tokens = vec![(Unit::InputText, 5), (Unit::OutputImage, 9)];
    for (found, by_tool) in [
        (streamed(&[CREATED, DRAWN]), drawn),
        (with_figures, by_tokens),
    ] {
        let call = served();
        let facts = Facts {
            ending: Ending::Broken("upstream_reset"),
            dialect: Dialect::OpenAi,
            api: Api::Responses,
            is_stream: true,
            has_text: true,
            ..facts_of(&call, &found)
        };
        let wanted = facts.wanted();
        assert!(wanted.input && wanted.output);
        let counted = units(&[(Unit::InputText, 70), (Unit::OutputText, 8)]);
        let event = conclude(open_event(), &facts, &counted);
        assert_eq!(event.check(), Ok(()));
        let own = vec![(Unit::InputText, 70), (Unit::OutputText, 8)];
        assert_eq!(
            lines(&event),
            [("gpt-5", own), (model_of_tool(&event), by_tool)]
        );
        assert_eq!(event.usage_source, UsageSource::Partial);
        assert_eq!(event.usage_quality, UsageQuality::Missing);
    }
}

/// The name that the tool's line has.
fn model_of_tool(event: &UsageEvent) -> &str {
    let name = event.lines[1].model.as_str();
    assert!(name.contains("image"), "{name}");
    name
}

#[test]
fn no_output_told_before_there_was_any_is_not_the_last_word() {
    const BEGUN: &str = r#"{"model":"m","choices":[{"index":0,"delta":{"content":"hi"}}],"usage":{"prompt_tokens":900,"completion_tokens":0}}"#;
    let found = streamed(&[BEGUN]);
    let call = served();
    let counted = units(&[(Unit::OutputText, 8)]);
    for (ending, has_text, output) in [
        (Ending::Cancelled("drain_cap_time"), true, 8),
        (Ending::Broken("upstream_reset"), true, 8),
        // Nothing had come yet, or all of it.
        (Ending::Cancelled("drain_cap_time"), false, 0),
        (Ending::Completed, true, 0),
    ] {
        let facts = Facts {
            ending,
            dialect: Dialect::OpenAi,
            is_stream: true,
            has_text,
            ..facts_of(&call, &found)
        };
        let wanted = facts.wanted();
        assert!(!wanted.input);
        assert_eq!(wanted.output, output > 0, "{ending:?} {has_text}");
        let none = Units::default();
        let event = conclude(
            open_event(),
            &facts,
            if wanted.output { &counted } else { &none },
        );
        let own = vec![(Unit::InputText, 900), (Unit::OutputText, output)];
        assert_eq!(lines(&event), [("m", own)], "{ending:?} {has_text}");
        let is_partial = event.usage_source == UsageSource::Partial;
        assert_eq!(is_partial, ending != Ending::Completed, "{ending:?}");
    }
}

#[test]
fn what_the_last_of_several_choices_told_is_not_the_sum_of_all() {
    let finished = |index: u8, output: u8| {
        format!(
            r#"{{"model":"m","choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":5,"completion_tokens":{output}}}}}"#
        )
    };
    let (first, second) = (finished(0, 40), finished(1, 41));
    let sum = r#"{"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":81}}"#;
    let call = served();
    for (events, source) in [
        (vec![&*first, &*second], UsageSource::Partial),
        (vec![&*first, &*second, sum], UsageSource::Provider),
        (vec![&*first], UsageSource::Provider),
    ] {
        let found = streamed(&events);
        let facts = Facts {
            ending: Ending::Broken("upstream_reset"),
            dialect: Dialect::OpenAi,
            is_stream: true,
            has_text: true,
            ..facts_of(&call, &found)
        };
        let event = conclude(open_event(), &facts, &Units::default());
        assert_eq!(event.usage_source, source, "{events:?}");
    }
}
