//! What holds for every API: faults, errors, carriers of orders, the truth.

use serde_json::json;
use simulator::{Api, Config, End, Record, Simulator};

use crate::asked::{Asked, chat, completion, picture, plain, response, speech, streams};
use crate::common::{answers, answers_at_least, client, start};

#[tokio::test]
async fn every_answer_is_in_the_truth_with_its_api_and_whole() {
    let simulator = start();
    let all: Vec<_> = plain().into_iter().chain(streams()).collect();
    for (api, asked) in &all {
        let body = asked.post(&simulator.base_url(), asked.path, "").await;
        let body = body
            .expect("an answer")
            .bytes()
            .await
            .expect("a whole body");
        assert!(!body.is_empty());
        let answer = answers(&simulator).pop().expect("an answer");
        assert_eq!(
            (answer.api, answer.status, answer.end),
            (*api, 200, End::Complete)
        );
        assert_eq!(answer.nonce.as_deref(), Some(asked.path));
        assert_eq!(
            answer.completion_tokens, answer.completion_tokens_sent,
            "{asked:?}"
        );
    }
    for (_, asked) in streams() {
        asked.text(&simulator, "").await;
        assert!(
            answers(&simulator).pop().expect("an answer").usage_sent,
            "{}",
            asked.path
        );
        asked.text(&simulator, "no_usage").await;
        assert!(
            !answers(&simulator).pop().expect("an answer").usage_sent,
            "{}",
            asked.path
        );
    }
}

#[tokio::test]
async fn every_api_breaks_where_it_is_ordered() {
    let simulator = start();
    let mut count = 0;
    for (api, asked) in plain().into_iter().chain(streams()) {
        for order in ["reset_head", "reset_mid=1", "reset_before_usage"] {
            let response = asked.post(&simulator.base_url(), "n", order).await;
            let read = match response {
                Ok(response) => response.bytes().await,
                Err(error) => Err(error),
            };
            assert!(read.is_err(), "{api:?} {order}");
            count += 1;
            let truth = answers_at_least(&simulator, count)
                .await
                .pop()
                .expect("an answer");
            assert_eq!(
                (truth.end, truth.usage_sent),
                (End::Reset, false),
                "{api:?} {order}"
            );
        }
        for order in [
            "stall_head=20",
            "stall_mid=1:20",
            "stall_before_usage=20",
            "latency=5",
        ] {
            asked.text_or_sound(&simulator, order).await;
            count += 1;
        }
    }
    assert_eq!(answers(&simulator).len(), count);
}

#[tokio::test]
async fn every_stream_can_end_in_an_error_event() {
    let simulator = start();
    for (api, asked) in streams() {
        let got = asked.text(&simulator, "error_event=1").await;
        let last = got.trim_end().rsplit("\n\n").next().expect("an event");
        assert!(last.contains("\"server_error\""), "{last}");
        assert_eq!(last.starts_with("event: error\n"), api == Api::Responses);
        assert_eq!(
            answers(&simulator).pop().expect("an answer").end,
            End::Error
        );
    }
}

#[tokio::test]
async fn every_stream_is_framed_as_ordered() {
    let simulator = start();
    for (_, asked) in streams() {
        let usual = asked.text(&simulator, "").await;
        let framed = asked
            .text(
                &simulator,
                "crlf,no_final_blank,write_bytes=3,framing=close",
            )
            .await;
        assert!(
            framed.ends_with("}\r\n") || framed.ends_with("data: [DONE]\r\n"),
            "{}",
            asked.path
        );
        assert_eq!(framed.matches('\n').count(), framed.matches("\r\n").count());
        let same = |text: &str| text.replace('\r', "").trim_end().len();
        assert_eq!(same(&framed), same(&usual), "{}", asked.path);
    }
}

#[tokio::test]
async fn an_order_travels_in_headers_bodies_and_forms() {
    let simulator = start();
    let user = json!({"user": "sim:status=418,nonce=mine"});
    for asked in [
        chat(user.clone()),
        completion(user.clone()),
        response(user.clone()),
        picture(user.clone()),
        speech(user),
    ] {
        let response = asked
            .post(&simulator.base_url(), "n", "")
            .await
            .expect("an answer");
        assert_eq!(response.status(), 418, "{}", asked.path);
    }
    let fields = [
        ("model", "whisper-1"),
        ("user", "sim:status=418,nonce=mine"),
    ];
    let form = Asked::form("/audio/translations", &fields, ("file", b"x"));
    let response = form
        .post(&simulator.base_url(), "n", "")
        .await
        .expect("an answer");
    assert_eq!(response.status(), 418);
    assert!(
        answers(&simulator)
            .iter()
            .all(|answer| answer.nonce.as_deref() == Some("mine"))
    );

    let both = response_with_metadata("status=409");
    let got = both
        .post(&simulator.base_url(), "n", "status=418,latency=1")
        .await
        .expect("an answer");
    assert_eq!(got.status(), 409, "metadata is before headers");
    let bad = plain()[1]
        .1
        .post(&simulator.base_url(), "n", "explode")
        .await
        .expect("an answer");
    assert_eq!(bad.status(), 400);
}

fn response_with_metadata(order: &str) -> Asked {
    response(json!({"metadata": {"sim": order}}))
}

#[tokio::test]
async fn limits_and_keys_hold_for_every_api() {
    let simulator = Simulator::start(Config {
        api_keys: vec!["sk-other".to_owned()],
        ..Config::default()
    })
    .expect("a free port");
    for (_, asked) in plain() {
        let response = asked
            .post(&simulator.base_url(), "n", "")
            .await
            .expect("an answer");
        assert_eq!(response.status(), 401, "{}", asked.path);
    }
    let simulator = start();
    simulator
        .control()
        .update(|s| s.rpm_limit = 1)
        .expect("good settings");
    let statuses = async |asked: &Asked| {
        let response = asked
            .post(&simulator.base_url(), "n", "")
            .await
            .expect("an answer");
        response.status().as_u16()
    };
    let all = plain();
    assert_eq!(statuses(&all[2].1).await, 200);
    assert_eq!(statuses(&all[5].1).await, 429);
}

#[tokio::test]
async fn a_call_of_the_models_is_fated_and_in_the_truth_too() {
    let simulator = start();
    let get = async |path: &str, order: &str| {
        let url = format!("{}{path}", simulator.base_url());
        client().get(url).header("x-sim", order).send().await
    };
    assert_eq!(
        get("/models", "status=429")
            .await
            .expect("an answer")
            .status(),
        429
    );
    assert!(get("/models/gpt-4o", "reset_head").await.is_err());
    let _whole = get("/models/gpt-4o", "")
        .await
        .expect("an answer")
        .bytes()
        .await;
    let truth = answers(&simulator);
    assert_eq!(
        truth.iter().map(|answer| answer.status).collect::<Vec<_>>(),
        [429, 0, 200]
    );
    assert!(
        truth
            .iter()
            .all(|answer| answer.api == Api::Models && answer.lines.is_empty())
    );
    let Record::Request(last) = &simulator.truth().since(4)[0] else {
        panic!("a request comes first")
    };
    assert_eq!(last.model.as_deref(), Some("gpt-4o"));
}
