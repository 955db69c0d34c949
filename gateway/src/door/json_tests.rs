//! What is read of a body, what is changed in it, what is refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::door::Changes;

fn read(text: &str) -> Result<Asked, DoorError> {
    read_as(Endpoint::Chat, text)
}

fn read_as(endpoint: Endpoint, text: &str) -> Result<Asked, DoorError> {
    read_json(endpoint, text.as_bytes(), 128)
}

/// The body that goes to the provider, with the model's name there and usage asked for.
fn sent_as(endpoint: Endpoint, given: &str, model: &str) -> String {
    let changes = Changes {
        model: Some(model),
        ask_usage: endpoint.has_stream_options(),
        counts: &[],
    };
    let asked = read_as(endpoint, given).unwrap();
    let body = asked.upstream_body(&Bytes::copy_from_slice(given.as_bytes()), &changes);
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn reads_what_is_needed() {
    let body = r#"{"messages":[],"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"n":2}"#;
    let asked = read(body).unwrap();
    assert_eq!(
        (asked.model.as_deref(), asked.stream, asked.asks_usage),
        (Some("gpt-4o"), true, true)
    );
    assert_eq!(
        (asked.count(Bound::OutputTokens), asked.count(Bound::N)),
        (Some(5), Some(2))
    );
    assert_eq!(sent_as(Endpoint::Chat, body, "gpt-4o"), body);
    let speech =
        r#"{"model":"tts-1","input":"f\u00fcnf \ud83d\ude00","voice":"x","stream_format":"sse"}"#;
    let asked = read_as(Endpoint::Speech, speech).unwrap();
    assert_eq!((asked.characters, asked.stream), (Some(6), true));
}

#[test]
fn a_list_of_prompts_is_counted() {
    for (prompt, expected) in [
        (r#""hello""#, 1),
        ("null", 1),
        ("[1, 2, 3]", 1),
        (r#"[ "a", "b" ]"#, 2),
        ("[[1,2],[3],[4]]", 3),
        ("[]", 0),
    ] {
        let body = format!(r#"{{"model":"a","prompt":{prompt}}}"#);
        let asked = read_as(Endpoint::Completions, &body).unwrap();
        assert_eq!(asked.prompts, expected, "{prompt}");
    }
    let twice = read_as(
        Endpoint::Completions,
        r#"{"model":"a","prompt":"a","Prompt":["b","c"]}"#,
    );
    assert_eq!(twice.unwrap_err().code(), "ambiguous_parameter");
}

#[test]
fn only_what_must_change_changes() {
    for (given, sent) in [
        (
            r#"{"model":"a","messages":[],"stream":true}"#,
            r#"{"model":"b","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{ "messages" : [] , "stream":true, "model":"a", "stream_options": { "x":1 } }"#,
            r#"{ "messages" : [] , "stream":true, "model":"b", "stream_options": {"include_usage":true, "x":1 } }"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":false},"messages":[],"model":"a"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"b"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":null,"messages":[],"model":"a"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"b"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{},"messages":[],"model":"a"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"b"}"#,
        ),
        (
            r#"{"stream":false,"messages":[],"model":"a"}"#,
            r#"{"stream":false,"messages":[],"model":"b"}"#,
        ),
        (r#"{"messages":[]}"#, r#"{"messages":[],"model":"b"}"#),
        (
            r#"{"messages":[],"model":null, "stream":true }"#,
            r#"{"messages":[],"model":"b", "stream":true ,"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        assert_eq!(sent_as(Endpoint::Chat, given, "b"), sent, "{given}");
    }
    // Only chats and completions know the option.
    let body = r#"{"model":"a","input":"x","stream":true}"#;
    assert_eq!(sent_as(Endpoint::Responses, body, "a"), body);
    assert_eq!(
        sent_as(Endpoint::Moderations, "{}", "m"),
        r#"{"model":"m"}"#
    );
}

#[test]
fn counts_are_set_where_they_stand_or_added() {
    let given = r#"{"model":"a","messages":[],"max_tokens":900,"n":null}"#;
    let changes = Changes {
        model: None,
        ask_usage: true,
        counts: &[("max_tokens", 10), ("n", 1), ("max_completion_tokens", 10)],
    };
    let body = read(given)
        .unwrap()
        .upstream_body(&Bytes::from_static(given.as_bytes()), &changes);
    assert_eq!(
        body,
        r#"{"model":"a","messages":[],"max_tokens":10,"n":1,"max_completion_tokens":10}"#
            .as_bytes()
    );
}

#[test]
fn objects_at_the_provider_are_refused() {
    for body in [
        r#"{"model":"a","input":"x","previous_response_id":"resp_1"}"#,
        r#"{"model":"a","input":"x","conversation":{"id":"conv_1"}}"#,
        r#"{"model":"a","input":"x","conversation":"conv_1"}"#,
        r#"{"model":"a","input":"x","background":true}"#,
        r#"{"model":"a","input":[{"type":"item_reference","id":"msg_1"}]}"#,
        r#"{"model":"a","input":[{"type":"item\u005freference","id":"msg_1"}]}"#,
        r#"{"model":"a","input":[{"id":"msg_1"}]}"#,
    ] {
        let error = read_as(Endpoint::Responses, body).unwrap_err();
        assert_eq!(error.code(), "unsupported_unmetered", "{body}");
    }
    for body in [
        r#"{"model":"a","input":"x","previous_response_id":null,"conversation":null,"background":false}"#,
        r#"{"model":"a","input":[{"role":"user","content":"item_reference"},{"type":"reasoning","id":"rs_1","summary":[]}]}"#,
    ] {
        assert!(read_as(Endpoint::Responses, body).is_ok(), "{body}");
    }
    for (body, code) in [
        (
            r#"{"model":"a","input":"x","Background":true}"#,
            "ambiguous_parameter",
        ),
        (
            r#"{"model":"a","input":"x","background":"true"}"#,
            "invalid_type",
        ),
        (
            r#"{"model":"a","input":[{"type":"message","TYPE":"item_reference"}]}"#,
            "ambiguous_parameter",
        ),
        (
            r#"{"model":"a","input":[{"type":"message","type":"item_reference"}]}"#,
            "duplicate_parameter",
        ),
    ] {
        let error = read_as(Endpoint::Responses, body).unwrap_err();
        assert_eq!(error.code(), code, "{body}");
    }
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    for (body, code) in [
        (
            r#"{"model":"a","model":"b","messages":[]}"#,
            "duplicate_parameter",
        ),
        (
            r#"{"model":"a","messages":[],"n":1,"n":2}"#,
            "duplicate_parameter",
        ),
        (
            r#"{"model":"a","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}"#,
            "duplicate_parameter",
        ),
        (r#"{"\u006dodel":"a","messages":[]}"#, "escaped_parameter"),
        (
            r#"{"model":"a","messages":[],"MODEL":"b"}"#,
            "ambiguous_parameter",
        ),
        (
            r#"{"model":"a","messages":[],"stream_options":{"Include_Usage":false}}"#,
            "ambiguous_parameter",
        ),
        (r#"{"model":"a","messages":[]}{}"#, "invalid_json"),
        (r#"{"model":"a","messages":[]"#, "invalid_json"),
        (r#"[{"model":"a"}]"#, "invalid_json"),
        ("", "invalid_json"),
        (r#"{"model":"a"}"#, "missing_required_parameter"),
        (r#"{"model":7,"messages":[]}"#, "invalid_type"),
        (r#"{"model":"a","messages":{}}"#, "invalid_type"),
        (
            r#"{"model":"a","messages":[],"stream":"true"}"#,
            "invalid_type",
        ),
        (
            r#"{"model":"a","messages":[],"max_tokens":1.5}"#,
            "invalid_type",
        ),
        (
            r#"{"model":"a","messages":[],"max_tokens":-1}"#,
            "invalid_type",
        ),
        (
            r#"{"model":"a","messages":[],"stream_options":[]}"#,
            "invalid_type",
        ),
    ] {
        assert_eq!(read(body).unwrap_err().code(), code, "{body}");
    }
    let deep = format!(
        r#"{{"model":"a","messages":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_eq!(read(&deep).unwrap_err().code(), "json_too_deep");
    let not_utf8 = b"{\"model\":\"\xff\"}";
    let error = read_json(Endpoint::Chat, not_utf8, 128).unwrap_err();
    assert_eq!(error.code(), "invalid_json");
}

proptest! {
    #[test]
    fn nothing_panics_on_noise(noise in "[{}\\[\\]\",:\\\\ntrue0-9model]{0,80}") {
        let _answer = read(&noise);
    }
}

#[test]
fn many_names_are_looked_at_once_each_and_too_many_are_refused() {
    let body = |count: usize, last: &str| {
        let names = (0..count).map(|n| format!("\"n{n}\":0"));
        let members: Vec<String> = names.chain([last.to_owned()]).collect();
        format!("{{{}}}", members.join(","))
    };
    for count in [31, 32, 33, 1_000] {
        assert!(read(&body(count, "\"messages\":[]")).is_ok(), "{count}");
        let twice = read(&body(count, "\"n7\":0")).unwrap_err();
        assert_eq!(twice, DoorError::Duplicate("n7".into()), "{count}");
    }
    let many = read(&body(1_024, "\"messages\":[]")).unwrap_err();
    assert_eq!(many.code(), "json_too_many_members");
    // Hours, if each were compared with each.
    assert!(read(&body(300_000, "\"messages\":[]")).is_err());
}
