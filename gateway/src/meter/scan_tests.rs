//! The scan keeps what metering asks for, at any cutting, and nothing else.

use super::*;
use proptest::prelude::*;

fn scan(parts: &[&[u8]]) -> (Scan, Findings, TextTally) {
    let (mut scan, mut found, mut tally) =
        (Scan::default(), Findings::default(), TextTally::default());
    for part in parts {
        scan.feed(part, &mut found, &mut tally);
    }
    scan.finish(&mut found);
    (scan, found, tally)
}

const CHUNK: &str = r#"{"id":"c","model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":"a \"usage\": {1} b"},"finish_reason":"stop"}], "usage" : {"prompt_tokens":3,"d":{"x":[1,2]}} ,"service_tier":"default"}"#;

#[test]
fn finds_what_metering_asks_for() {
    let (scan, found, tally) = scan(&[CHUNK.as_bytes()]);
    assert_eq!(
        found.usage.unwrap().trim_ascii(),
        br#"{"prompt_tokens":3,"d":{"x":[1,2]}}"#
    );
    assert_eq!(found.model.unwrap(), b"gpt-4o");
    assert_eq!(found.service_tier.unwrap(), b"default");
    assert_eq!(found.finish_reason.unwrap(), b"stop");
    assert_eq!(tally.text().0, r#"a "usage": {1} b"#);
    let place = scan.usage_place().unwrap();
    assert_eq!(
        &CHUNK[place.key_start..place.value_end],
        r#""usage" : {"prompt_tokens":3,"d":{"x":[1,2]}}"#
    );
    assert_eq!(
        &CHUNK[place.comma_before.unwrap()..=place.comma_before.unwrap()],
        ","
    );
    assert!(!scan.is_only_usage());
}

#[test]
fn usage_elsewhere_is_not_usage() {
    let (_, found, _) =
        scan(&[br#"{"x":{"usage":{"a":1}},"choices":[{"usage":{"b":2}}],"y":"usage"}"#]);
    assert_eq!(found.usage, None);
}

#[test]
fn null_overwrites_nothing_and_is_told_apart() {
    let (scan, found, _) = scan(&[br#"{"choices":[],"usage":null}"#]);
    assert_eq!(found.usage, None);
    assert!(scan.usage_place().unwrap().is_null);
    assert!(!scan.is_only_usage());
}

#[test]
fn a_chunk_with_only_usage_is_known_and_one_with_more_is_not() {
    assert!(scan(&[br#"{"id":"x","object":"o","created":1,"model":"m","choices":[],"usage":{"a":1},"service_tier":null}"#]).0.is_only_usage());
    assert!(
        !scan(&[br#"{"choices":[],"usage":{"a":1},"prompt_filter_results":[{}]}"#])
            .0
            .is_only_usage()
    );
    assert!(
        !scan(&[br#"{"choices":[{}],"usage":{"a":1}}"#])
            .0
            .is_only_usage()
    );
}

#[test]
fn an_error_is_found_with_its_code() {
    let (_, found, _) =
        scan(&[br#"{"error":{"message":"m","code":"content_filter","inner":{"code":"x"}}}"#]);
    assert!(found.error);
    assert_eq!(found.error_code.unwrap(), b"content_filter");
    assert!(!scan(&[br#"{"error":null}"#]).1.error);
}

#[test]
fn names_written_with_escapes_are_what_they_say() {
    let (_, found, _) = scan(&[br#"{"model":"meta-llama\/Llama\u002d3","service_tier":"a\"b"}"#]);
    assert_eq!(found.model.unwrap(), b"meta-llama/Llama-3");
    assert_eq!(found.service_tier.unwrap(), b"a\"b");
    let (_, found, _) = scan(&[br#"{"model":"bad\ud800","service_tier":"default"}"#]);
    assert_eq!(found.model, None);
}

#[test]
fn a_document_that_is_cut_off_is_not_whole() {
    assert!(scan(&[CHUNK.as_bytes()]).0.is_whole());
    assert!(scan(&[b""]).0.is_whole());
    for end in 1..CHUNK.len() {
        assert!(!scan(&[&CHUNK.as_bytes()[..end]]).0.is_whole(), "{end}");
    }
}

#[test]
fn no_error_is_no_error() {
    for none in ["null", "false", "0"] {
        assert!(
            !scan(&[format!(r#"{{"error":{none},"choices":[]}}"#).as_bytes()])
                .1
                .error,
            "{none}"
        );
    }
    assert!(scan(&[br#"{"error":"overloaded"}"#]).1.error);
}

#[test]
fn huge_usage_is_too_long_not_absent() {
    let text = format!(r#"{{"usage":{{"a":"{}"}}}}"#, "x".repeat(20_000));
    let (_, found, _) = scan(&[text.as_bytes()]);
    assert!(found.usage_too_long);
}

#[test]
fn deep_nesting_is_passed_over() {
    let deep = format!(
        r#"{{"x":{}{},"usage":{{"a":1}}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    assert_eq!(scan(&[deep.as_bytes()]).1.usage.unwrap(), br#"{"a":1}"#);
}

proptest! {
    #[test]
    fn any_cutting_gives_the_result_of_the_whole(cuts in prop::collection::vec(0..CHUNK.len(), 0..12)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (mut parts, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([CHUNK.len()]) {
            parts.push(&CHUNK.as_bytes()[from..cut]);
            from = cut;
        }
        let (whole, cut) = (scan(&[CHUNK.as_bytes()]), scan(&parts));
        prop_assert_eq!(whole.0.usage_place(), cut.0.usage_place());
        prop_assert_eq!(whole.1.usage, cut.1.usage);
        prop_assert_eq!(whole.1.model, cut.1.model);
        prop_assert_eq!(whole.1.finish_reason, cut.1.finish_reason);
        prop_assert_eq!(whole.2.text().0, cut.2.text().0);
    }

    #[test]
    fn nothing_panics_on_noise(noise in prop::collection::vec(prop::sample::select(&b"{}[]\",:\\ nul1usage"[..]), 0..200)) {
        scan(&[&noise]);
    }
}
