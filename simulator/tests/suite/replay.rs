//! Recorded answers: byte for byte, in every framing, at every cutting.

use base64::Engine as _;
use serde_json::{Value, json};
use simulator::{End, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::asked::Asked;
use crate::common::{answers, answers_at_least, client, start};

async fn keep(simulator: &Simulator, upload: &Value) -> (u16, Value) {
    let url = format!("http://{}/replay", simulator.addr());
    let response = client()
        .post(url)
        .json(upload)
        .send()
        .await
        .expect("an answer");
    (
        response.status().as_u16(),
        response.json().await.expect("JSON"),
    )
}

fn chat() -> Asked {
    let messages = json!([{"role": "user", "content": "hello world"}]);
    Asked::json(
        "/chat/completions",
        &json!({"model": "a-model-of-theirs", "messages": messages}),
    )
}

/// What comes on the wire for an order, up to the end of the connection.
async fn wire(simulator: &Simulator, order: &str) -> Vec<u8> {
    let mut socket = tokio::net::TcpStream::connect(simulator.addr())
        .await
        .expect("a connection");
    let body = chat().body;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-sim: {order}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket
        .write_all(head.as_bytes())
        .await
        .expect("a head sent");
    socket.write_all(&body).await.expect("a body sent");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("an end");
    answer
}

#[tokio::test]
async fn an_answer_is_played_byte_for_byte() {
    let simulator = start();
    let body: Vec<u8> = (0..=255).collect();
    let upload = json!({"status": 207, "content_type": "text/x-own", "headers": {"x-theirs": "yes"},
        "body_base64": base64::engine::general_purpose::STANDARD.encode(&body)});
    let (status, kept) = keep(&simulator, &upload).await;
    assert_eq!((status, &kept["bytes"]), (200, &json!(256)));
    let order = format!("replay={}", kept["id"]);
    let response = chat()
        .post(&simulator.base_url(), "n", &order)
        .await
        .expect("an answer");
    assert_eq!(response.status(), 207);
    let names: Vec<_> = response
        .headers()
        .keys()
        .map(reqwest::header::HeaderName::as_str)
        .collect();
    assert_eq!(names.len(), 4, "{names:?}: type, its own, date, framing");
    assert_eq!(response.headers()["content-type"], "text/x-own");
    assert_eq!(response.headers()["x-theirs"], "yes");
    assert_eq!(response.bytes().await.expect("a body"), body);
    let truth = answers(&simulator).pop().expect("an answer");
    assert_eq!(
        (truth.status, truth.end, truth.replay),
        (207, End::Complete, kept["id"].as_u64())
    );
    assert!(truth.lines.is_empty() && truth.prompt_tokens == 0);
}

#[tokio::test]
async fn every_framing_and_cutting_carries_the_same_body() {
    let simulator = start();
    let body = "data: {\"größe\":1}\r\n\r\ndata: [DONE]\n\n";
    let (_, kept) = keep(&simulator, &json!({"body": body, "pieces": [7, 1]})).await;
    for framing in ["length", "chunked", "close"] {
        for cut in ["cut=1", "cut=5", "cut_at=9", "cut_drawn=3", "latency=0"] {
            let order = format!("replay={},framing={framing},{cut}", kept["id"]);
            let response = chat()
                .post(&simulator.base_url(), "n", &order)
                .await
                .expect("an answer");
            let length = response.headers().get("content-length").is_some();
            assert_eq!(length, framing == "length", "{order}");
            assert_eq!(
                response.text().await.expect("a whole body"),
                body,
                "{order}"
            );
        }
    }
}

#[tokio::test]
async fn pieces_are_writes_of_their_own() {
    let simulator = start();
    let (_, kept) = keep(&simulator, &json!({"body": "0123456789", "pieces": [2, 3]})).await;
    let id = &kept["id"];
    let chunked = wire(&simulator, &format!("replay={id}")).await;
    assert!(chunked.ends_with(b"\r\n\r\n2\r\n01\r\n3\r\n234\r\n5\r\n56789\r\n0\r\n\r\n"));
    let close = String::from_utf8(wire(&simulator, &format!("replay={id},framing=close")).await)
        .expect("text");
    assert!(
        close.starts_with("HTTP/1.0 200 OK\r\n") && close.ends_with("\r\n\r\n0123456789"),
        "{close}"
    );
    assert!(!close.contains("transfer-encoding") && !close.contains("content-length"));
    let whole =
        String::from_utf8(wire(&simulator, &format!("replay={id},framing=length,cut=1")).await)
            .expect("text");
    assert!(whole.contains("content-length: 10\r\n") && whole.ends_with("\r\n\r\n0123456789"));
}

#[tokio::test]
async fn a_piece_comes_before_the_next_is_due() {
    let simulator = start();
    let upload =
        json!({"body": "firstsecond", "pieces": [5], "gap_ms": 600_000, "framing": "length"});
    let (_, kept) = keep(&simulator, &upload).await;
    let order = format!("replay={}", kept["id"]);
    let mut response = chat()
        .post(&simulator.base_url(), "n", &order)
        .await
        .expect("an answer");
    assert_eq!(
        response.chunk().await.expect("a piece").as_deref(),
        Some(&b"first"[..])
    );
    drop(response);
    assert_eq!(
        answers_at_least(&simulator, 1).await[0].end,
        End::ClientGone
    );
}

#[tokio::test]
async fn an_answer_can_break_off_and_can_be_empty() {
    let simulator = start();
    let (_, broken) = keep(&simulator, &json!({"body": "data: {", "reset": true})).await;
    let order = format!("replay={}", broken["id"]);
    let response = chat()
        .post(&simulator.base_url(), "n", &order)
        .await
        .expect("an answer");
    assert!(response.bytes().await.is_err());
    assert_eq!(answers_at_least(&simulator, 1).await[0].end, End::Reset);
    let (_, empty) = keep(&simulator, &json!({"body": "", "status": 503})).await;
    let order = format!("replay={}", empty["id"]);
    let response = chat()
        .post(&simulator.base_url(), "n", &order)
        .await
        .expect("an answer");
    assert_eq!(
        (
            response.status().as_u16(),
            response.bytes().await.expect("a body").len()
        ),
        (503, 0)
    );
    assert_eq!(answers_at_least(&simulator, 2).await[1].end, End::Complete);
}

#[tokio::test]
async fn queues_are_played_once_for_their_nonce_or_key() {
    let simulator = start();
    for body in ["one", "two"] {
        keep(&simulator, &json!({"body": body, "nonce": "mine"})).await;
    }
    // The first 8 hex digits of the SHA-256 of `sk-test`.
    keep(
        &simulator,
        &json!({"body": "three", "api_key_sha256_8": key_digest()}),
    )
    .await;
    let mut got = Vec::new();
    for nonce in ["mine", "mine", "mine", "mine"] {
        let response = chat()
            .post(&simulator.base_url(), nonce, "")
            .await
            .expect("an answer");
        let status = response.status().as_u16();
        got.push((status, response.text().await.expect("a body")));
    }
    let played: Vec<_> = got[..3].iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(played, ["one", "two", "three"]);
    assert_eq!(got[3].0, 404, "nothing is left, and nobody has the model");
}

fn key_digest() -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(b"sk-test"))[..8].to_owned()
}

#[tokio::test]
async fn what_cannot_be_played_is_refused_and_memory_is_bounded() {
    let simulator = start();
    for upload in [
        json!({}),
        json!({"body": "a", "body_base64": "YQ=="}),
        json!({"body_base64": "?"}),
        json!({"body": "a", "status": 101}),
        json!({"body": "a", "status": 204}),
        json!({"body": "a", "headers": {"Content-Length": "1"}}),
        json!({"body": "a", "headers": {"x": "a\nb"}}),
        json!({"body": "a", "framing": "pigeon"}),
        json!({"body": "a", "cuts": [1]}),
    ] {
        let (status, answer) = keep(&simulator, &upload).await;
        assert_eq!(status, 400, "{upload}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .is_some_and(|text| text.contains("recorded answer")),
            "{answer}"
        );
    }
    let big = json!({"body": "x".repeat(40 * 1024 * 1024)});
    assert_eq!(keep(&simulator, &big).await.0, 200);
    assert_eq!(keep(&simulator, &big).await.0, 400);
    let forget = client()
        .delete(format!("http://{}/replay", simulator.addr()))
        .send()
        .await;
    assert_eq!(forget.expect("an answer").status(), 200);
    assert_eq!(keep(&simulator, &big).await.1["id"], 2, "numbers go on");
    let gone = chat()
        .post(&simulator.base_url(), "n", "replay=1")
        .await
        .expect("an answer");
    assert_eq!(gone.status(), 404);
}
