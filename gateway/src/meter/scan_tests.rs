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
    let [place] = scan.usage_places() else {
        panic!("one place")
    };
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
    assert!(scan.usage_places()[0].is_null);
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
        prop_assert_eq!(whole.0.usage_places(), cut.0.usage_places());
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

/// The texts of a document, as they are counted.
fn generated(document: &str) -> String {
    scan(&[document.as_bytes()]).2.text().0
}

#[test]
fn the_texts_of_a_response_are_its_messages_arguments_and_thinking() {
    let document = r#"{"object":"response","status":"completed","instructions":"no","output":[
        {"type":"reasoning","summary":[{"text":"no"}],"content":[{"type":"reasoning_text","text":"think "}]},
        {"type":"function_call","name":"f","arguments":"{\"a\":1}","output":"no"},
        {"type":"message","content":[{"type":"output_text","text":" hi ","annotations":[{"text":"no","title":"no"}]},
            {"type":"refusal","refusal":"won't"}]},
        {"type":"custom_tool_call","name":"g","input":" in"}]}"#;
    assert_eq!(generated(document), r#"think f{"a":1} hi won'tg in"#);
}

#[test]
fn the_texts_of_a_chat_are_counted_once_under_whatever_name() {
    for (message, text) in [
        (r#"{"content":"hi","refusal":null}"#, "hi"),
        (r#"{"content":null,"refusal":"no"}"#, "no"),
        (r#"{"reasoning_content":"think","content":"hi"}"#, "thinkhi"),
        (
            r#"{"reasoning":"think","reasoning_content":"think"}"#,
            "think",
        ),
        (
            r#"{"reasoning":"think","reasoning_details":[{"type":"reasoning.text","text":"think"}]}"#,
            "think",
        ),
        (
            r#"{"reasoning":null,"reasoning_details":[{"text":"a"},{"text":"b"}]}"#,
            "ab",
        ),
        (
            r#"{"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
            "f{}",
        ),
        (
            r#"{"tool_calls":[{"custom":{"name":"f","input":"in"}}]}"#,
            "fin",
        ),
        (r#"{"function_call":{"name":"f","arguments":"{}"}}"#, "f{}"),
        (
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"u"}]}"#,
            "tu",
        ),
        (
            r#"{"audio":{"id":"a","data":"no","transcript":"said"}}"#,
            "said",
        ),
        (
            r#"{"content":"hi","executed_tools":[{"name":"no","arguments":"no"}],"annotations":[{"url_citation":{"content":"no"}}]}"#,
            "hi",
        ),
    ] {
        for place in ["message", "delta"] {
            let document = format!(r#"{{"choices":[{{"{place}":{message}}}]}}"#);
            assert_eq!(generated(&document), text, "{document}");
        }
    }
    assert_eq!(
        generated(r#"{"choices":[{"text":"hi"},{"text":"!"}]}"#),
        "hi!"
    );
}

#[test]
fn a_message_after_its_pieces_repeats_them() {
    let chunk = r#"{"choices":[{"delta":{"content":"hi"},"message":{"content":"hi"}}]}"#;
    assert_eq!(generated(chunk), "hi");
    let chunk =
        r#"{"object":"chat.completion.chunk","choices":[{"text":"hi","delta":{"content":"hi"}}]}"#;
    assert_eq!(generated(chunk), "hi");
}

#[test]
fn errors_without_an_envelope_are_errors() {
    for (document, code, kind) in [
        (r#"{"detail":"Invalid"}"#, None, None),
        (r#"{"detail":[{"loc":["body"],"msg":"m"}]}"#, None, None),
        (r#"{"errors":[{"message":"m"}]}"#, None, None),
        (
            r#"{"code":"invalid","error":"text"}"#,
            Some("invalid"),
            None,
        ),
        (
            r#"{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}"#,
            Some("400"),
            Some("BadRequestError"),
        ),
        (
            r#"{"message":"m","type":"too_many","code":"queue"}"#,
            Some("queue"),
            Some("too_many"),
        ),
        (
            r#"{"error":"m","error_type":"validation"}"#,
            None,
            Some("validation"),
        ),
        (
            r#"[{"error":{"code":400,"message":"m"}}]"#,
            Some("400"),
            None,
        ),
        (
            r#"{"code":"server_error","message":"m","type":"error"}"#,
            Some("server_error"),
            None,
        ),
        (r#"{"choices":[{"error":{"code":502}}]}"#, None, None),
        (
            r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            None,
            None,
        ),
    ] {
        let found = scan(&[document.as_bytes()]).1;
        assert!(found.error, "{document}");
        assert_eq!(
            found.error_code.as_deref(),
            code.map(str::as_bytes),
            "{document}"
        );
        assert_eq!(
            found.error_type.as_deref(),
            kind.map(str::as_bytes),
            "{document}"
        );
    }
    for document in [
        r#"{"message":"m","choices":[]}"#,
        r#"{"detail":null,"errors":null,"code":0}"#,
        r#"{"object":"list","data":[],"message":"m"}"#,
        r#"{"choices":[{"content_filter_result":{"error":{"code":"content_filter_error"}}}]}"#,
    ] {
        assert!(!scan(&[document.as_bytes()]).1.error, "{document}");
    }
}

#[test]
fn marks_and_fillers_around_a_document_are_passed_over() {
    let marked = [b"\xef\xbb\xbf\0".as_slice(), CHUNK.as_bytes(), b"\0\0"].concat();
    let parts: Vec<&[u8]> = marked.chunks(1).collect();
    for (_, found, _) in [scan(&[&marked]), scan(&parts)] {
        assert_eq!(found.model.unwrap(), b"gpt-4o");
        assert!(found.usage.is_some());
    }
}

#[test]
fn the_last_of_two_usages_counts_and_an_empty_one_is_none() {
    let usage = |document: &str| scan(&[document.as_bytes()]).1.usage.unwrap();
    assert_eq!(usage(r#"{"usage":{"a":1},"usage":{"a":2}}"#), br#"{"a":2}"#);
    assert_eq!(usage(r#"{"usage":{"a":1},"usage":{ }}"#), br#"{"a":1}"#);
    assert_eq!(usage(r#"{"usage":{}}"#), b"{}");
}

#[test]
fn an_error_that_says_nothing_is_none_beside_an_answer() {
    let is_error = |document: &str| {
        let parts: Vec<&[u8]> = document.as_bytes().chunks(1).collect();
        let cut = scan(&parts).1.error;
        assert_eq!(scan(&[document.as_bytes()]).1.error, cut, "{document}");
        cut
    };
    for empty in [
        "{}",
        "\"\"",
        "[]",
        "null",
        "false",
        "0",
        r#"{"message":null}"#,
        r#"{"message":"","code":0,"param":[],"inner":{"a":false}}"#,
    ] {
        let beside = format!(r#"{{"error":{empty},"choices":[{{"index":0}}],"usage":{{}}}}"#);
        assert!(!is_error(&beside), "{beside}");
        let wrapped = format!(r#"{{"type":"t","response":{{"error":{empty},"output":[]}}}}"#);
        assert!(!is_error(&wrapped), "{wrapped}");
        let inside = format!(r#"{{"choices":[{{"error":{empty}}}],"x_groq":{{"error":{empty}}}}}"#);
        assert!(!is_error(&inside), "{inside}");
    }
    for real in [
        r#""m""#,
        r#"{"message":"m"}"#,
        r#"{"code":500}"#,
        r#"[{"a":{"b":true}}]"#,
        r#"["m"]"#,
    ] {
        let beside = format!(r#"{{"choices":[{{"index":0}}],"error":{real},"usage":{{}}}}"#);
        assert!(is_error(&beside), "{beside}");
        let inside = format!(r#"{{"choices":[{{"error":{real}}}]}}"#);
        assert!(is_error(&inside), "{inside}");
    }
    // Alone it is all that was answered; what follows it is not in it.
    assert!(is_error(r#"{"error":{}}"#));
    assert!(!is_error(
        r#"{"error":{},"usage":{"a":5},"choices":["x"],"n":7}"#
    ));
}

#[test]
fn the_name_of_a_model_is_cut_between_characters_and_is_no_other() {
    for (name, kept) in [
        ("m".repeat(256), "m".repeat(256)),
        ("m".repeat(257), "m".repeat(253) + "…"),
        ("ä".repeat(200), "ä".repeat(126) + "…"),
        (r"\ud83d\ude00".repeat(40), "😀".repeat(21) + "…"),
        (r"\\".repeat(200), r"\".repeat(126) + "…"),
    ] {
        let document = format!(r#"{{"model":"{name}"}}"#);
        for size in [1, 3, 1_000] {
            let parts: Vec<&[u8]> = document.as_bytes().chunks(size).collect();
            let found = scan(&parts).1;
            assert_eq!(String::from_utf8(found.model.unwrap()).unwrap(), kept);
        }
    }
}

#[test]
fn what_follows_a_document_is_told() {
    for (text, has_more) in [
        ("{\"a\":[{}]} \r\n", false),
        ("\u{feff}{}\0\0", false),
        ("[1]", false),
        ("", false),
        ("{}{}", true),
        ("{\"a\":1}\n{\"a\":2}", true),
        ("{} x", true),
        ("[],", true),
        ("1 2", true),
    ] {
        let parts: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(scan(&[text.as_bytes()]).0.has_more(), has_more, "{text}");
        assert_eq!(scan(&parts).0.has_more(), has_more, "{text}");
    }
}
