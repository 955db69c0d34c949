//! The faults, each ordered by its request: what the client sees and what the truth says.

use crate::common::{
    answers, answers_at_least, body, chat, client, content, events, json, start, text,
};
use anyhow::Result;
use serde_json::json;
use simulator::{AnswerRecord, End, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn stream() -> serde_json::Value {
    json!({"stream": true, "stream_options": {"include_usage": true}, "max_tokens": 20})
}

/// Sends raw bytes and reads whatever comes until the connection ends, with the error that ended it.
async fn raw(simulator: &Simulator, request: &[u8]) -> (Vec<u8>, Option<std::io::ErrorKind>) {
    let mut socket = tokio::net::TcpStream::connect(simulator.addr())
        .await
        .expect("a connection");
    socket.write_all(request).await.expect("a request sent");
    let mut got = Vec::new();
    loop {
        match socket.read_buf(&mut got).await {
            Ok(0) => return (got, None),
            Ok(_) => {}
            Err(error) => return (got, Some(error.kind())),
        }
    }
}

fn post(body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn raw_order(
    order: &str,
    more: serde_json::Value,
) -> (String, Option<std::io::ErrorKind>, AnswerRecord) {
    let simulator = start();
    let (got, error) = raw(&simulator, &post(&body("n", order, more))).await;
    let answer = answers_at_least(&simulator, 1).await.remove(0);
    (String::from_utf8(got).expect("text"), error, answer)
}

#[tokio::test]
async fn a_reset_in_the_body_is_a_real_one_after_the_ordered_events() {
    let (got, error, answer) = raw_order("reset_mid=3", stream()).await;
    assert_eq!(error, Some(std::io::ErrorKind::ConnectionReset));
    assert_eq!(
        got.matches("data: ").count(),
        1 + 3,
        "the role and three words"
    );
    assert_eq!(
        (answer.end, answer.status, answer.completion_tokens_sent),
        (End::Reset, 200, 3)
    );
    assert!(!answer.usage_sent);
}

#[tokio::test]
async fn a_reset_before_the_head_leaves_nothing() {
    let (got, error, answer) = raw_order("reset_head", json!({})).await;
    assert_eq!(
        (got.as_str(), error),
        ("", Some(std::io::ErrorKind::ConnectionReset))
    );
    assert_eq!((answer.end, answer.status), (End::Reset, 0));
}

#[tokio::test]
async fn a_reset_before_usage_comes_after_everything_else() {
    let (got, error, answer) = raw_order("reset_before_usage", stream()).await;
    assert_eq!(error, Some(std::io::ErrorKind::ConnectionReset));
    assert!(
        got.contains("\"finish_reason\":\"length\"")
            && !got.contains("prompt_tokens")
            && !got.contains("[DONE]")
    );
    assert_eq!(
        (answer.end, answer.completion_tokens_sent, answer.usage_sent),
        (End::Reset, 20, false)
    );
    let (got, _, answer) = raw_order("reset_before_usage", json!({"max_tokens": 20})).await;
    assert!(got.contains("finish_reason") && !got.contains("usage"));
    assert_eq!(
        (answer.end, answer.completion_tokens_sent, answer.usage_sent),
        (End::Reset, 20, false)
    );
}

#[tokio::test]
async fn a_plain_answer_is_reset_at_its_half() {
    let (got, error, answer) = raw_order("reset_mid=1", json!({"max_tokens": 2_000})).await;
    let (head, half) = got.split_once("\r\n\r\n").expect("a head");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length");
    let half_length = length.parse::<usize>().expect("a number") / 2;
    assert!(
        half.len() <= half_length && half.len() + 16 > half_length,
        "{} of {length}",
        half.len()
    );
    assert_eq!(
        (answer.end, error),
        (End::Reset, Some(std::io::ErrorKind::ConnectionReset))
    );
    let words = half
        .split_once("\"content\":\"")
        .expect("the text has begun")
        .1;
    assert_eq!(
        answer.completion_tokens_sent,
        words.matches(' ').count() as u64
    );
}

#[tokio::test]
async fn statuses_have_the_providers_errors_and_waits() -> Result<()> {
    let simulator = start();
    for (order, kind) in [
        ("status=429,retry_after=1500", "tokens"),
        ("status=500", "server_error"),
        ("status=400", "invalid_request_error"),
    ] {
        let response = chat(&simulator, &body("n", order, stream())).await?;
        let status = response.status().as_u16();
        assert!(order.contains(&status.to_string()));
        if status == 429 {
            assert_eq!(
                (
                    response.headers()["retry-after"].as_bytes(),
                    response.headers()["retry-after-ms"].as_bytes()
                ),
                (&b"2"[..], &b"1500"[..])
            );
            assert_eq!(response.headers()["x-ratelimit-remaining-tokens"], "0");
        }
        assert_eq!(
            response.json::<serde_json::Value>().await?["error"]["type"],
            kind
        );
    }
    let statuses: Vec<_> = answers(&simulator)
        .iter()
        .map(|answer| (answer.status, answer.end))
        .collect();
    assert_eq!(
        statuses,
        [
            (429, End::Complete),
            (500, End::Complete),
            (400, End::Complete)
        ]
    );
    Ok(())
}

#[tokio::test]
async fn html_comes_where_json_should() -> Result<()> {
    let simulator = start();
    for (order, status) in [("html502", 502), ("html200", 200)] {
        let response = chat(&simulator, &body("n", order, stream())).await?;
        assert_eq!(response.status(), status);
        assert!(
            response.headers()["content-type"]
                .to_str()?
                .starts_with("text/html")
        );
        assert!(response.text().await?.contains("<html>"));
    }
    Ok(())
}

#[tokio::test]
async fn an_error_event_ends_a_stream_that_began_well() {
    let simulator = start();
    let got = text(&simulator, &body("n", "error_event=2", stream())).await;
    let events = events(&got);
    assert_eq!((events.len(), got.contains("[DONE]")), (1 + 2 + 1, false));
    assert_eq!(events[3]["error"]["type"], "server_error");
    assert_eq!(answers(&simulator)[0].end, End::Error);
}

#[tokio::test]
async fn usage_can_be_missing() {
    let simulator = start();
    let plain = json(&simulator, &body("n", "no_usage", json!({}))).await;
    assert!(plain.get("usage").is_none() && plain["choices"][0]["finish_reason"] == "stop");
    for order in ["no_usage", "no_stream_usage"] {
        let got = text(&simulator, &body("n", order, stream())).await;
        assert!(!got.contains("prompt_tokens") && got.ends_with("data: [DONE]\n\n"));
    }
    assert!(json(&simulator, &body("n", "no_stream_usage", json!({}))).await["usage"].is_object());
    assert_eq!(
        answers(&simulator)
            .iter()
            .map(|a| a.usage_sent)
            .collect::<Vec<_>>(),
        [false, false, false, true]
    );
}

#[tokio::test]
async fn usage_can_lie_while_the_truth_does_not() {
    let simulator = start();
    let mut seen = Vec::new();
    for lie in [
        "negative", "fraction", "text", "huge", "sum", "extra", "cached", "null",
    ] {
        seen.push(
            json(
                &simulator,
                &body("n", &format!("usage={lie}"), json!({"max_tokens": 5})),
            )
            .await["usage"]
                .take(),
        );
    }
    assert_eq!(seen[0]["completion_tokens"], -7);
    assert_eq!(seen[1]["completion_tokens"], 5.5);
    assert_eq!(seen[2]["completion_tokens"], "5");
    assert!(seen[3]["completion_tokens"].as_u64().is_none());
    assert_eq!(seen[4]["total_tokens"], 15);
    assert_eq!(seen[5]["quantum_tokens"], 5);
    assert_eq!(seen[6]["prompt_tokens_details"]["cached_tokens"], 10);
    assert!(seen[7].is_null());
    assert!(
        answers(&simulator)
            .iter()
            .all(|answer| answer.completion_tokens == 5)
    );
}

#[tokio::test]
async fn a_stream_can_be_answered_by_json() -> Result<()> {
    let simulator = start();
    let response = chat(&simulator, &body("n", "json_for_stream", stream())).await?;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        response.json::<serde_json::Value>().await?["object"],
        "chat.completion"
    );
    Ok(())
}

#[tokio::test]
async fn framing_changes_bytes_and_not_content() {
    let simulator = start();
    let usual = text(&simulator, &body("n", "", stream())).await;
    let framed = text(
        &simulator,
        &body("n", "crlf,ping=5,no_final_blank", stream()),
    )
    .await;
    assert_eq!(framed.matches(": ping\r\n\r\n").count(), 4);
    assert!(
        framed.ends_with("data: [DONE]\r\n")
            && framed.matches('\n').count() == framed.matches("\r\n").count()
    );
    let endless = text(&simulator, &body("n", "no_done", stream())).await;
    assert!(!endless.contains("[DONE]") && endless.ends_with("}\n\n"));
    for other in [framed, endless] {
        assert_eq!(content(&events(&other)), content(&events(&usual)));
    }
}

#[tokio::test]
async fn writes_of_any_size_carry_the_same_answer() {
    let simulator = start();
    let usual = content(&events(&text(&simulator, &body("n", "", stream())).await));
    for order in [
        "write_bytes=1",
        "write_bytes=7",
        "coalesce",
        "tokens_per_chunk=3",
        "coalesce,write_bytes=100",
    ] {
        assert_eq!(
            content(&events(
                &text(&simulator, &body("n", order, stream())).await
            )),
            usual,
            "{order}"
        );
    }
    assert!(
        answers(&simulator)
            .iter()
            .all(|answer| answer.end == End::Complete && answer.completion_tokens_sent == 20)
    );
}

#[tokio::test]
async fn a_client_that_leaves_is_in_the_truth() -> Result<()> {
    let simulator = start();
    let mut response = chat(&simulator, &body("n", "stall_mid=2:600000", stream())).await?;
    response.chunk().await?;
    drop(response);
    let answer = answers_at_least(&simulator, 1).await.remove(0);
    assert_eq!(
        (answer.end, answer.completion_tokens_sent),
        (End::StallGone, 2)
    );
    let mut response = chat(&simulator, &body("n", "chunk_delay=600000", stream())).await?;
    response.chunk().await?;
    drop(response);
    let answer = answers_at_least(&simulator, 2).await.remove(1);
    assert_eq!(
        (answer.end, answer.completion_tokens, answer.usage_sent),
        (End::ClientGone, 20, false)
    );
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_in_the_truth() {
    let simulator = start();
    for (place, (order, end)) in [
        ("stall_head=600000", End::StallGone),
        ("latency=600000", End::ClientGone),
    ]
    .into_iter()
    .enumerate()
    {
        let mut socket = tokio::net::TcpStream::connect(simulator.addr())
            .await
            .expect("a connection");
        socket
            .write_all(&post(&body("n", order, json!({}))))
            .await
            .expect("a request sent");
        while simulator.truth().since(0).len() <= 2 * place {
            tokio::task::yield_now().await;
        }
        drop(socket);
        let answer = answers_at_least(&simulator, place + 1).await.remove(place);
        assert_eq!((answer.end, answer.status), (end, 0));
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_upload_is_in_the_truth() {
    let simulator = start();
    let whole = post(&body("n", "", json!({})));
    let mut socket = tokio::net::TcpStream::connect(simulator.addr())
        .await
        .expect("a connection");
    socket
        .write_all(&whole[..whole.len() - 10])
        .await
        .expect("most of a request sent");
    drop(socket);
    let answer = answers_at_least(&simulator, 1).await.remove(0);
    assert_eq!(
        (answer.end, answer.status, answer.model),
        (End::ClientGone, 0, None)
    );
}

#[tokio::test]
async fn stalls_end_and_the_answer_goes_on() {
    let simulator = start();
    for order in [
        "stall_mid=2:30",
        "stall_head=30",
        "stall_before_usage=30",
        "latency=30",
        "chunk_delay=2",
    ] {
        let got = text(&simulator, &body("n", order, stream())).await;
        assert!(got.ends_with("data: [DONE]\n\n"), "{order}");
    }
    assert!(
        answers(&simulator)
            .iter()
            .all(|answer| answer.end == End::Complete && answer.usage_sent)
    );
}

#[tokio::test]
async fn big_answers_have_about_the_size_that_was_ordered() {
    let simulator = start();
    for more in [json!({}), json!({"stream": true})] {
        let len = text(&simulator, &body("n", "big=10485760", more))
            .await
            .len();
        assert!((10_000_000..12_000_000).contains(&len), "{len}");
    }
    assert!(
        answers(&simulator)
            .iter()
            .all(|answer| answer.completion_tokens == answer.completion_tokens_sent)
    );
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_providers_shape() -> Result<()> {
    let simulator = start();
    for (bad, status) in [
        ("{", 400),
        ("{\"model\":\"gpt-4o\"}", 400),
        ("{\"messages\":[]}", 400),
        ("{\"model\":\"gpt-4o\",\"messages\":[]}", 400),
        ("{\"model\":1,\"messages\":[]}", 400),
        (
            "{\"model\":\"gpt-4o\",\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            400,
        ),
        (
            "{\"model\":\"nobody\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            404,
        ),
        (
            "{\"model\":\"gpt-4o\",\"n\":0,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            400,
        ),
        (
            "{\"model\":\"gpt-4o\",\"stream_options\":{},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            400,
        ),
        (
            "{\"model\":\"gpt-4o\",\"metadata\":{\"sim\":\"explode\"},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            400,
        ),
        (
            "{\"model\":\"gpt-4o\",\"metadata\":{\"sim\":\"reset_mid=x\"},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            400,
        ),
    ] {
        let url = format!("{}/chat/completions", simulator.base_url());
        let response = client().post(url).body(bad).send().await?;
        assert_eq!(response.status(), status, "{bad}");
        assert_eq!(
            response.json::<serde_json::Value>().await?["error"]["type"],
            "invalid_request_error",
            "{bad}"
        );
    }
    assert_eq!(answers(&simulator).len(), 11);
    Ok(())
}

#[tokio::test]
async fn unknown_parameters_and_tools_are_accepted() {
    let simulator = start();
    let more = json!({"tools": [{"type": "function", "function": {"name": "f"}}], "temperature": 0.5, "novel": {"x": [1]}});
    assert_eq!(
        json(&simulator, &body("n", "", more)).await["object"],
        "chat.completion"
    );
}
