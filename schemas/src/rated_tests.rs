//! What an event is rated by: its text and counts, and what does not fit.

use super::*;
use crate::event::Attempt;
use crate::units::Units;
use crate::{Decoded, RecordKind, decode};

const FULL: &[u8] = include_bytes!("../golden/usage-full.v1.json");

fn full() -> UsageEvent {
    match decode(RecordKind::Usage, FULL) {
        Decoded::Event(event) => *event,
        other => panic!("{other:?}"),
    }
}

fn of_one_line() -> UsageEvent {
    let mut event = full();
    event.lines.truncate(1);
    event.attempts.clear();
    event.lines[0].units = units(&[
        (Unit::InputText, 12),
        (Unit::InputCached, 0),
        (Unit::OutputText, 7),
    ]);
    event
}

fn units(counts: &[(Unit, i64)]) -> Units {
    let mut units = Units::default();
    for (unit, count) in counts {
        units.set(*unit, *count).unwrap();
    }
    units
}

#[test]
fn a_text_says_what_decides_the_price_and_the_counts_are_of_its_units() {
    let mut event = of_one_line();
    event.outcome = Outcome::Completed;
    event.billable = Billable::Yes;
    event.usage_source = UsageSource::Provider;
    let rated = rated(&event).unwrap();
    assert_eq!((rated.input, rated.counts), (12, [12, 7, 0, 0, 0, 0, 0, 0]));
    let text = rated.key.text();
    assert_eq!(RatedAs::parse(&text).unwrap(), rated.key);
    let line = &event.lines[0];
    assert_eq!(rated.key.model, line.model.as_str());
    assert!(
        text.ends_with(
            r#""has_units":true,"names_model":true,"used":["input_text","output_text"]}"#
        ),
        "{text}"
    );
    // Nothing of the request itself: many have one text.
    for private in [&event.request_id, &event.tenant, &event.key_id] {
        assert!(!text.contains(private.as_str()), "{text}");
    }
}

#[test]
fn what_is_not_known_is_bounded_once_for_the_request_and_once_for_each_doubtful_call() {
    let mut event = of_one_line();
    event.outcome = Outcome::Unknown;
    event.lines[0].units = units(&[(Unit::InputText, 12), (Unit::OutputText, 7)]);
    event.estimated_units = units(&[(Unit::InputText, 10), (Unit::OutputText, 100)]);
    let call = full().attempts.remove(0);
    let doubtful = |model: &str| Attempt {
        billable: Some(Billable::Unclear),
        priced_as: Some(Text::cut(model)),
        ..call.clone()
    };
    event.attempts = vec![doubtful("m"), doubtful("m"), doubtful("last")];
    let rated = rated(&event).unwrap();
    assert_eq!((rated.key.doubtful_calls, rated.key.called.len()), (2, 1));
    assert!(rated.key.is_reserved);
    assert_eq!(rated.key.estimated, [Unit::InputText, Unit::OutputText]);
    // Of the input more was counted than reserved, of the output less.
    assert_eq!(rated.counts, [12, 7, 2 * 10 + 12, 3 * 100, 0, 0, 0, 0]);
}

#[test]
fn what_does_not_fit_has_no_text() {
    assert!(rated(&of_one_line()).is_some());
    let several_lines = UsageEvent {
        lines: vec![of_one_line().lines.remove(0), of_one_line().lines.remove(0)],
        ..of_one_line()
    };
    assert_eq!(rated(&several_lines), None);
    let all: Vec<_> = Unit::ALL.iter().map(|unit| (*unit, 1)).collect();
    for (counts, fits) in [
        (&all[..MAX_COUNTS], true),
        (&all[..=MAX_COUNTS], false),
        (&[(Unit::OutputText, i64::from(u32::MAX))], true),
        (&[(Unit::OutputText, i64::from(u32::MAX) + 1)], false),
        (
            &[
                (Unit::InputText, i64::from(u32::MAX)),
                (Unit::InputCached, 1),
            ],
            false,
        ),
    ] {
        let mut event = of_one_line();
        event.outcome = Outcome::Completed;
        event.billable = Billable::Yes;
        event.lines[0].units = units(counts);
        assert_eq!(rated(&event).is_some(), fits, "{counts:?}");
    }
    let many = UsageEvent {
        count: i64::from(u32::MAX) + 1,
        ..of_one_line()
    };
    assert_eq!(rated(&many), None);
}

#[test]
fn a_text_of_a_newer_version_is_refused_and_never_half_read() {
    let text = rated(&of_one_line()).unwrap().key.text();
    let newer = text.replacen('{', r#"{"mode":"batch","#, 1);
    assert!(RatedAs::parse(&newer).is_err());
}
