//! Images and audio: shapes, counts and the truth about them.

use serde_json::json;

use crate::asked::Asked;
use crate::common::{answers, events, start, units};

#[tokio::test]
async fn newer_pictures_are_counted_by_tokens_and_older_by_piece() {
    let simulator = start();
    let body = json!({"model": "gpt-image-1", "prompt": "hello world", "n": 2, "quality": "low", "size": "1024x1536"});
    let answer = Asked::json("/images/generations", &body)
        .value(&simulator, "")
        .await;
    assert!(
        answer["data"]
            .as_array()
            .is_some_and(|data| data.len() == 2 && data[0]["b64_json"].is_string())
    );
    let usage = json!({"input_tokens": 2, "output_tokens": 816, "total_tokens": 818,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 2}});
    assert_eq!(answer["usage"], usage);
    assert_eq!(
        units(&simulator),
        json!({"input_text": 2, "output_image": 816})
    );

    let body =
        json!({"model": "dall-e-3", "prompt": "hello world", "quality": "hd", "size": "1792x1024"});
    let answer = Asked::json("/images/generations", &body)
        .value(&simulator, "")
        .await;
    assert!(answer["data"][0]["url"].is_string() && answer.get("usage").is_none());
    assert_eq!(units(&simulator), json!({"images": 1}));
}

#[tokio::test]
async fn an_edit_counts_the_pictures_that_come_in() {
    let simulator = start();
    let fields = [
        ("model", "gpt-image-1"),
        ("prompt", "hello world"),
        ("image[]", "another"),
    ];
    let asked = Asked::form("/images/edits", &fields, ("image[]", b"\x89PNG\r\n--cu"));
    let answer = asked.value(&simulator, "").await;
    assert_eq!(
        answer["usage"]["input_tokens_details"],
        json!({"image_tokens": 646, "text_tokens": 2})
    );
    assert_eq!(
        units(&simulator),
        json!({"input_text": 2, "input_image": 646, "output_image": 1056})
    );
}

#[tokio::test]
async fn a_picture_is_shown_while_it_is_painted() {
    let simulator = start();
    let body = json!({"model": "gpt-image-1", "prompt": "a", "stream": true, "partial_images": 2});
    let stream = Asked::json("/images/generations", &body)
        .text(&simulator, "")
        .await;
    assert!(
        stream.starts_with("event: image_generation.partial_image\n") && !stream.contains("[DONE]")
    );
    let events = events(&stream);
    let indexes: Vec<_> = events
        .iter()
        .map(|event| &event["partial_image_index"])
        .collect();
    assert_eq!(indexes, [&json!(0), &json!(1), &json!(null)]);
    assert_eq!(events[2]["type"], "image_generation.completed");
    assert_eq!(events[2]["usage"]["output_tokens"], 1_056 + 200);
    assert_eq!(
        units(&simulator),
        json!({"input_text": 1, "output_image": 1_256})
    );
    let fields = [
        ("model", "gpt-image-1"),
        ("prompt", "a"),
        ("stream", "true"),
    ];
    let stream = Asked::form("/images/edits", &fields, ("image", b"x"))
        .text(&simulator, "")
        .await;
    assert!(
        stream.starts_with("event: image_edit.completed\n"),
        "{stream}"
    );
}

#[tokio::test]
async fn a_transcript_is_counted_by_tokens_or_by_seconds() {
    let simulator = start();
    let fields = [("model", "gpt-4o-transcribe"), ("prompt", "hello world")];
    let asked = Asked::form("/audio/transcriptions", &fields, ("file", &vec![0; 64_000]));
    let answer = asked.value(&simulator, "").await;
    let usage = json!({"type": "tokens", "input_tokens": 22, "output_tokens": 32, "total_tokens": 54,
        "input_token_details": {"audio_tokens": 20, "text_tokens": 2}});
    assert_eq!(answer["usage"], usage, "two seconds");
    assert_eq!(
        units(&simulator),
        json!({"input_text": 2, "input_audio": 20, "output_text": 32})
    );

    let asked = Asked::form(
        "/audio/transcriptions",
        &[("model", "whisper-1")],
        ("file", b"x"),
    );
    let answer = asked.value(&simulator, "audio_ms=36001").await;
    assert_eq!(answer["usage"], json!({"type": "duration", "seconds": 37}));
    assert_eq!(units(&simulator), json!({"audio_ms": 37_000}));
}

#[tokio::test]
async fn a_transcript_has_all_its_formats() {
    let simulator = start();
    for (format, begin, kind) in [
        ("text", " ", "text/plain; charset=utf-8"),
        (
            "srt",
            "1\n00:00:00,000 --> 01:01:01,500\n",
            "text/plain; charset=utf-8",
        ),
        (
            "vtt",
            "WEBVTT\n\n00:00:00.000 --> 01:01:01.500\n",
            "text/plain; charset=utf-8",
        ),
        (
            "verbose_json",
            "{\"task\":\"translate\",\"language\":\"english\",\"duration\":3661.500",
            "application/json",
        ),
    ] {
        let fields = [("model", "whisper-1"), ("response_format", format)];
        let asked = Asked::form("/audio/translations", &fields, ("file", b"x"));
        let response = asked
            .post(&simulator.base_url(), "n", "audio_ms=3661500")
            .await
            .expect("an answer");
        assert_eq!(response.headers()["content-type"], kind);
        let text = response.text().await.expect("a body");
        assert!(text.starts_with(begin), "{format}: {text}");
        let told = serde_json::from_str::<serde_json::Value>(&text)
            .is_ok_and(|json| json["usage"]["seconds"] == 3_662);
        assert_eq!(told, format == "verbose_json");
        assert_eq!(
            answers(&simulator).pop().expect("an answer").usage_sent,
            told
        );
        assert_eq!(units(&simulator), json!({"audio_ms": 3_662_000}));
    }
}

#[tokio::test]
async fn a_transcript_grows_in_a_stream_where_the_model_has_them() {
    let simulator = start();
    let fields = |model| [("model", model), ("stream", "true")];
    let asked = Asked::form(
        "/audio/transcriptions",
        &fields("gpt-4o-transcribe"),
        ("file", &[0; 3_200]),
    );
    let events = events(&asked.text(&simulator, "tokens_per_chunk=16").await);
    let (done, deltas) = events.split_last().expect("events");
    assert_eq!(deltas.len(), 2);
    let text: String = deltas
        .iter()
        .filter_map(|delta| delta["delta"].as_str())
        .collect();
    assert_eq!(
        (&done["type"], &done["text"]),
        (&json!("transcript.text.done"), &json!(text))
    );
    assert_eq!(done["usage"]["output_tokens"], 32);
    let older = Asked::form(
        "/audio/transcriptions",
        &fields("whisper-1"),
        ("file", b"x"),
    );
    assert!(
        older.value(&simulator, "").await["text"].is_string(),
        "ignored"
    );
}

#[tokio::test]
async fn speech_is_bytes_or_events() {
    let simulator = start();
    let body = json!({"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "hello world", "response_format": "wav"});
    let asked = Asked::json("/audio/speech", &body);
    let response = asked
        .post(&simulator.base_url(), "n", "")
        .await
        .expect("an answer");
    assert_eq!(response.headers()["content-type"], "audio/wav");
    assert_eq!(response.headers().get("content-length"), None);
    // 11 characters, 60 ms each, 4 bytes a millisecond.
    assert_eq!(response.bytes().await.expect("a body").len(), 11 * 60 * 4);
    assert_eq!(
        units(&simulator),
        json!({"input_text": 2, "output_audio": 14})
    );
    assert!(!answers(&simulator)[0].usage_sent);

    let mut body = body;
    body["stream_format"] = json!("sse");
    let events = events(
        &Asked::json("/audio/speech", &body)
            .text(&simulator, "")
            .await,
    );
    assert_eq!(events[0]["type"], "speech.audio.delta");
    assert_eq!(
        events[1]["usage"],
        json!({"input_tokens": 2, "output_tokens": 14, "total_tokens": 16})
    );

    let older = json!({"model": "tts-1", "voice": "alloy", "input": "hëllo"});
    Asked::json("/audio/speech", &older)
        .text_or_sound(&simulator, "")
        .await;
    assert_eq!(units(&simulator), json!({"characters": 5}));
}

#[tokio::test]
async fn big_media_have_about_the_size_that_was_ordered() {
    let simulator = start();
    let speech = json!({"model": "tts-1", "voice": "alloy", "input": "a"});
    let picture = json!({"model": "gpt-image-1", "prompt": "a"});
    for asked in [
        Asked::json("/audio/speech", &speech),
        Asked::json("/images/generations", &picture),
    ] {
        let len = asked.text_or_sound(&simulator, "big=10000000").await.len();
        assert!(
            (9_900_000..10_100_000).contains(&len),
            "{} {len}",
            asked.path
        );
    }
}
