//! Where a stream ends, and that nothing counts after it.

use super::tests::{generated, run};
use super::{Findings, MAX_HELD_BYTES, MAX_LINES, StreamMeter, TextTally, UsageFor};
use bytes::Bytes;
use proptest::prelude::*;

/// A stream that says that it is over, and what follows that.
fn ended_with(trailing: &str) -> String {
    format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":3}}}}\n\ndata: [DONE]\n\n{trailing}"
    )
}

const TRAILING: [&str; 5] = [
    "data: {\"model\":\"m\",\"usage\":{\"prompt_tokens\":90}}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"more\"}}],\"usage\":{\"prompt_tokens\":90}}\r\r",
    "event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\ndata: [DONE]\n\n",
    "error: 1\n\n{\"usage\":",
    "data: {\"usage\":{\"prompt_tokens\":90",
];

/// Lines that make no event: nothing of them is kept once they are too many.
#[test]
fn an_event_of_too_many_lines_passes_whole_and_is_forgotten() {
    let lines = b"data:x\n".repeat(30_000);
    for size in [1, 7, 4_096] {
        let mut meter = StreamMeter::new(UsageFor::UsOnly);
        let (mut found, mut tally) = (Findings::default(), TextTally::default());
        let mut passed = Vec::new();
        for part in lines.chunks(size) {
            let passing = meter.feed(&Bytes::copy_from_slice(part), &mut found, &mut tally);
            passed.extend_from_slice(&passing.concat());
            let hold = meter.hold.as_ref().unwrap();
            assert!(hold.segments.len() <= MAX_LINES && hold.bytes.len() <= MAX_HELD_BYTES);
            assert!(!hold.gave_up || hold.document.capacity() == 0 && hold.segments.is_empty());
        }
        passed.extend_from_slice(&meter.finish(&mut found).concat());
        assert!(passed == lines, "cut by {size}");
    }
}

#[test]
fn after_the_end_nothing_counts_at_any_cutting() {
    for trailing in TRAILING {
        let stream = ended_with(trailing);
        for usage_for in [UsageFor::Client, UsageFor::UsOnly] {
            for at in 0..stream.len() {
                let parts = [&stream.as_bytes()[..at], &stream.as_bytes()[at..]];
                let (out, found, tally) = run(&parts, usage_for);
                let passes = match usage_for {
                    UsageFor::Client => stream.clone(),
                    UsageFor::UsOnly | UsageFor::UsApart | UsageFor::UsApartAndNulls => {
                        format!("data: [DONE]\n\n{trailing}")
                    }
                };
                assert_eq!(String::from_utf8(out).unwrap(), passes, "cut at {at}");
                assert_eq!(found.usage.as_deref(), Some(&b"{\"prompt_tokens\":3}"[..]));
                assert!(found.done && !found.error && found.model.is_none());
                assert_eq!(tally.bytes(), 0, "{trailing} cut at {at}");
            }
        }
    }
}

proptest! {
    #[test]
    fn after_the_end_nothing_counts_however_it_comes(
        which in 0..TRAILING.len(),
        cuts in prop::collection::vec(0..200_usize, 0..12),
        usage_for in prop::sample::select(vec![UsageFor::Client, UsageFor::UsOnly]),
    ) {
        let stream = ended_with(TRAILING[which]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(stream.len())).collect();
        cuts.sort_unstable();
        let (mut parts, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([stream.len()]) {
            parts.push(&stream.as_bytes()[from..cut]);
            from = cut;
        }
        let (out, found, tally) = run(&parts, usage_for);
        let end = format!("data: [DONE]\n\n{}", TRAILING[which]);
        let ends_so = out.ends_with(end.as_bytes());
        prop_assert!(ends_so);
        prop_assert_eq!(found.usage.as_deref(), Some(&b"{\"prompt_tokens\":3}"[..]));
        prop_assert!(!found.error && tally.bytes() == 0);
    }
}

#[test]
fn a_stream_of_two_choices_is_over_when_both_are() {
    let chunk = |index: u8, reason: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let begun = chunk(0, "null") + &chunk(1, "null");
    let is_finished = |stream: &str| generated(stream).1.is_finished();
    assert!(!is_finished(&begun));
    let one = begun + &chunk(0, "\"stop\"");
    assert!(!is_finished(&one));
    assert!(!is_finished(&(one.clone() + &chunk(1, "\"\""))));
    assert!(is_finished(&(one.clone() + &chunk(1, "\"length\""))));
    assert!(is_finished(&(one.clone() + "data: [DONE]\n\n")));
    // Its place among its members makes no difference, and without an index there is one.
    assert!(is_finished(
        &(one + "data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":1}]}\n\n")
    ));
    assert!(is_finished(
        "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n"
    ));
    assert!(!is_finished(
        "data: {\"choices\":[{\"index\":1,\"delta\":{}},{\"index\":0,\"finish_reason\":\"stop\"}]}"
    ));
}
