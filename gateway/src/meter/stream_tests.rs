//! What passes of a stream, and what is found in it, at any cutting.

use super::*;
use proptest::prelude::*;

const ASKED: &str = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\r\n\r\ndata: {\"choices\":[],\r\ndata: \"usage\":null,\"x\":1}\r\n\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
const DIRECT: &str = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: {\"choices\":[]\r\ndata: ,\"x\":1}\r\n\r\ndata: [DONE]\n\n";

fn run(parts: &[&[u8]], usage_for: UsageFor) -> (Vec<u8>, Findings, TextTally) {
    let mut meter = StreamMeter::new(usage_for);
    let (mut found, mut tally) = (Findings::default(), TextTally::default());
    let mut out = Vec::new();
    for part in parts {
        let chunk = Bytes::copy_from_slice(part);
        for bytes in meter.feed(&chunk, &mut found, &mut tally) {
            out.extend_from_slice(&bytes);
        }
    }
    for bytes in meter.finish(&mut found) {
        out.extend_from_slice(&bytes);
    }
    (out, found, tally)
}

#[test]
fn a_client_that_asked_gets_every_byte() {
    let (out, found, tally) = run(&[ASKED.as_bytes()], UsageFor::Client);
    assert_eq!(out, ASKED.as_bytes());
    assert!(found.done);
    assert_eq!(
        found.usage.unwrap(),
        br#"{"prompt_tokens":3,"completion_tokens":1}"#
    );
    assert_eq!(found.finish_reason.unwrap(), b"stop");
    assert_eq!(tally.text().0, "hi");
}

#[test]
fn an_event_above_the_bound_passes_whole() {
    let big = format!(
        "data: {{\"choices\":[{{\"x\":\"{}\"}}],\"usage\":null}}\n\n",
        "y".repeat(2 * MAX_HELD_BYTES)
    );
    let stream = format!("{big}{ASKED}");
    let parts: Vec<&[u8]> = stream.as_bytes().chunks(60_000).collect();
    let (out, found, _) = run(&parts, UsageFor::UsOnly);
    assert!(
        out == format!("{big}{DIRECT}").as_bytes(),
        "the large event or what follows was changed"
    );
    assert!(found.done);
}

#[test]
fn a_stream_without_an_end_still_tells_its_usage() {
    let (out, found, _) = run(
        &[b"data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":3}}"],
        UsageFor::UsOnly,
    );
    assert_eq!(out, b"data: {\"choices\":[{}]}");
    assert_eq!(found.usage.unwrap(), br#"{"prompt_tokens":3}"#);
    assert!(!found.done);
}

/// The text that a stream generated, and what was found.
fn generated(stream: &str) -> (String, Findings) {
    let (mut found, mut tally) = (Findings::default(), TextTally::default());
    let mut meter = StreamMeter::new(UsageFor::Client);
    meter.feed(
        &Bytes::copy_from_slice(stream.as_bytes()),
        &mut found,
        &mut tally,
    );
    meter.finish(&mut found);
    (tally.text().0, found)
}

#[test]
fn a_streamed_response_counts_its_pieces_and_not_what_repeats_them() {
    let stream = r#"data: {"type":"response.output_item.added","item":{"type":"function_call","name":"f","arguments":""}}

data: {"type":"response.function_call_arguments.delta","delta":"{\"a\":"}

event: response.function_call_arguments.delta
data: {"delta":"1}","type":"response.function_call_arguments.delta"}

data: {"type":"response.function_call_arguments.done","arguments":"{\"a\":1}"}

data: {"type":"response.output_item.done","item":{"type":"function_call","name":"f","arguments":"{\"a\":1}"}}

event: response.reasoning_summary_text.delta
data: {"delta":"no","type":"response.reasoning_summary_text.delta"}

data: {"type":"response.reasoning_text.delta","delta":"think"}

data: {"type":"response.output_text.delta","delta":"hi"}

data: {"type":"response.refusal.delta","delta":" no"}

data: {"type":"response.output_text.done","text":"hi"}

data: {"type":"response.content_part.done","part":{"type":"output_text","text":"hi"}}

data: {"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}}

"#;
    assert_eq!(generated(stream).0, r#"f{"a":1}thinkhi no"#);
}

#[test]
fn a_call_is_counted_as_it_ends_and_once() {
    let item = r#"{"type":"web_search_call","status":"completed"}"#;
    let begun = format!("data: {{\"item\":{item},\"type\":\"response.output_item.added\"}}\n\n");
    let done = format!("data: {{\"item\":{item},\"type\":\"response.output_item.done\"}}\n\n");
    let over = format!(
        "data: {{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\",\"output\":[{item}]}}}}\n\n"
    );
    for (stream, searches) in [
        (begun.clone(), 0),
        (format!("{begun}{done}"), 1),
        (format!("{begun}{done}{done}"), 2),
        (format!("{begun}{done}{done}{over}"), 1),
    ] {
        assert_eq!(
            generated(&stream).1.tool_calls().web_searches,
            searches,
            "{stream}"
        );
    }
}

#[test]
fn an_error_may_be_told_by_the_name_of_an_event_or_a_field() {
    for stream in [
        "event: error\ndata: {\"message\":\"m\"}\n\n",
        "error: {\"code\":500}\n\n",
        "data: {\"detail\":\"m\"}\n\n",
    ] {
        assert!(generated(stream).1.error, "{stream}");
    }
    assert!(!generated("event: errors\ndata: {}\n\n").1.error);
}

proptest! {
    #[test]
    fn whoever_did_not_ask_gets_what_a_direct_call_gives(cuts in prop::collection::vec(0..ASKED.len(), 0..20)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (mut parts, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([ASKED.len()]) {
            parts.push(&ASKED.as_bytes()[from..cut]);
            from = cut;
        }
        let (out, found, _) = run(&parts, UsageFor::UsOnly);
        prop_assert_eq!(String::from_utf8(out).unwrap(), DIRECT);
        prop_assert!(found.done);
        prop_assert_eq!(found.usage.unwrap(), br#"{"prompt_tokens":3,"completion_tokens":1}"#);
        let (out, _, _) = run(&parts, UsageFor::Client);
        prop_assert_eq!(String::from_utf8(out).unwrap(), ASKED);
    }
}

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
                    UsageFor::UsOnly => format!("data: [DONE]\n\n{trailing}"),
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
