//! What of each API's requests is counted, and when that is not all.

use super::*;
use crate::vocabulary::Encoding;

fn input(api: Api, body: &str) -> Option<(i64, bool)> {
    let vocabulary = Encoding::O200k.vocabulary();
    count(vocabulary, api, body.as_bytes()).map(|input| (input.tokens, input.is_whole))
}

#[test]
fn each_api_has_its_texts_where_it_has_them() {
    for (api, body, expected) in [
        (Api::Completions, r#"{"prompt":"hello world"}"#, Some(2)),
        (
            Api::Completions,
            r#"{"prompt":["hello world","hello"]}"#,
            Some(3),
        ),
        (
            Api::Completions,
            r#"{"prompt":"hello world","suffix":"hello"}"#,
            Some(3),
        ),
        (Api::Embeddings, r#"{"input":[1,2,3]}"#, Some(3)),
        (Api::Embeddings, r#"{"input":[[1,2],[3]]}"#, Some(3)),
        (Api::Embeddings, r#"{"input":{}}"#, None),
        (Api::Embeddings, r#"{"input":["a",{}]}"#, None),
        (Api::Responses, r#"{"input":"hello world"}"#, Some(9)),
        (
            Api::Responses,
            r#"{"instructions":"hello","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hello world"}]}]}"#,
            Some(13),
        ),
        (Api::Moderations, r#"{"input":"hello"}"#, None),
        (Api::Chat, "{}", None),
    ] {
        let expected = expected.map(|tokens| (tokens, true));
        assert_eq!(input(api, body), expected, "{body}");
    }
}

/// What each addition counts beside a chat without it.
fn added(api: Api, without: &str, with: &str) -> (i64, bool) {
    let (before, is_whole) = input(api, without).unwrap();
    assert!(is_whole, "{without}");
    let (after, is_whole) = input(api, with).unwrap();
    (after - before, is_whole)
}

fn tokens_of(text: &str) -> i64 {
    text_tokens(Encoding::O200k.vocabulary(), text)
}

const SCHEMA: &str = r#"{"properties":{"city":{"type":"string"}},"type":"object"}"#;
const ARGUMENTS: &str = r#"{"city":"Geneva"}"#;

fn weather_tool() -> String {
    format!(r#"[{{"function":{{"name":"weather","parameters":{SCHEMA}}},"type":"function"}}]"#)
}

#[test]
fn tools_calls_and_schemas_of_a_chat_are_input_too() {
    let tool = weather_tool();
    let chat = |message: &str, more: &str| {
        format!(r#"{{"messages":[{{"role":"assistant","content":"hello"{message}}}]{more}}}"#)
    };
    let arguments = Value::from(ARGUMENTS);
    for (message, more, expected) in [
        ("", format!(r#","tools":{tool}"#), tokens_of(&tool)),
        ("", format!(r#","functions":{tool}"#), tokens_of(&tool)),
        (
            "",
            format!(r#","response_format":{{"type":"json_schema","json_schema":{SCHEMA}}}"#),
            tokens_of(SCHEMA),
        ),
        (
            "",
            r#","prediction":{"type":"content","content":"hello world"}"#.to_owned(),
            2,
        ),
        (
            &format!(
                r#","tool_calls":[{{"id":"c","type":"function","function":{{"name":"weather","arguments":{arguments}}}}}]"#
            ),
            String::new(),
            tokens_of("weather") + tokens_of(ARGUMENTS),
        ),
        (
            &format!(r#","function_call":{{"name":"weather","arguments":{arguments}}}"#),
            String::new(),
            tokens_of("weather") + tokens_of(ARGUMENTS),
        ),
        (
            r#","tool_calls":[{"id":"c","type":"custom","custom":{"name":"weather","input":"hello world"}}]"#,
            String::new(),
            3,
        ),
    ] {
        let with = chat(message, &more);
        assert_eq!(
            added(Api::Chat, &chat("", ""), &with),
            (expected, true),
            "{with}"
        );
    }
}

#[test]
fn tools_calls_and_schemas_of_a_response_are_input_too() {
    let tool = weather_tool();
    let arguments = Value::from(ARGUMENTS);
    let response = |item: &str, more: &str| {
        format!(r#"{{"input":[{{"role":"user","content":"hello"}}{item}]{more}}}"#)
    };
    for (item, more, expected) in [
        (String::new(), format!(r#","tools":{tool}"#), tokens_of(&tool)),
        (
            String::new(),
            format!(r#","text":{{"format":{{"type":"json_schema","schema":{SCHEMA}}}}}"#),
            tokens_of(SCHEMA),
        ),
        (
            format!(r#",{{"type":"function_call","call_id":"c","name":"weather","arguments":{arguments}}}"#),
            String::new(),
            TOKENS_PER_MESSAGE + TOKENS_PER_NAME + tokens_of("weather") + tokens_of(ARGUMENTS),
        ),
        (
            r#",{"type":"function_call_output","call_id":"c","output":"hello world"}"#.into(),
            String::new(),
            TOKENS_PER_MESSAGE + 2,
        ),
        (
            r#",{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"hello world"}]}"#.into(),
            String::new(),
            TOKENS_PER_MESSAGE + 2,
        ),
    ] {
        let with = response(&item, &more);
        assert_eq!(added(Api::Responses, &response("", ""), &with), (expected, true), "{with}");
    }
}

#[test]
fn what_no_tokenizer_sees_is_told() {
    for body in [
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://a.example/1.png"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}}]}]}"#,
        r#"{"messages":[{"role":"assistant","audio":{"id":"a"}}]}"#,
        r#"{"messages":[{"role":"user","content":"x"}],"web_search_options":{}}"#,
        r#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"web_search"}]}"#,
    ] {
        assert!(!input(Api::Chat, body).unwrap().1, "{body}");
    }
    for body in [
        r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://a.example/1.png"}]}]}"#,
        r#"{"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_file","file_data":"x"}]}]}"#,
        r#"{"input":[{"type":"reasoning","summary":[],"encrypted_content":"x"}]}"#,
        r#"{"input":[{"type":"web_search_call","id":"w","action":{}}]}"#,
        r#"{"input":"x","tools":[{"type":"file_search"}]}"#,
    ] {
        assert!(!input(Api::Responses, body).unwrap().1, "{body}");
    }
    for body in [
        r#"{"messages":[{"role":"assistant","content":null,"refusal":"no","annotations":[]},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]}"#,
        r#"{"messages":[{"role":"user","content":["x"]}],"web_search_options":null,"tools":null}"#,
    ] {
        assert!(input(Api::Chat, body).unwrap().1, "{body}");
    }
}

#[test]
fn a_chat_that_answers_with_more_than_text_is_not_counted_whole() {
    let with = |more: &str| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"hello"}}]{more}}}"#);
        input(Api::Chat, &body).unwrap().1
    };
    for more in ["", r#","audio":null"#, r#","modalities":["text"]"#] {
        assert!(with(more), "{more}");
    }
    for more in [
        r#","audio":{"voice":"alloy","format":"wav"}"#,
        r#","modalities":["text","audio"]"#,
        r#","modalities":["image"]"#,
        r#","modalities":[1]"#,
    ] {
        assert!(!with(more), "{more}");
    }
}
