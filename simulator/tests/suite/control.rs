//! Changing behaviour at runtime, fates, keys, the truth's own routes, start and end.

use std::collections::BTreeMap;

use crate::common::{answers, answers_at_least, body, chat, client, json, start, text};
use anyhow::Result;
use serde_json::{Value, json};
use simulator::{Config, End, Record, Settings, Simulator, Summary};

async fn post_control(simulator: &Simulator, change: &str) -> (u16, Value) {
    let url = format!("http://{}/control", simulator.addr());
    let response = client()
        .post(url)
        .body(change.to_owned())
        .send()
        .await
        .expect("an answer");
    (
        response.status().as_u16(),
        response.json().await.expect("JSON"),
    )
}

async fn get(simulator: &Simulator, path: &str) -> String {
    let url = format!("http://{}{path}", simulator.addr());
    client()
        .get(url)
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body")
}

#[tokio::test]
async fn settings_change_in_part_and_at_once() {
    let simulator = start();
    let (status, settings) = post_control(
        &simulator,
        "{\"latency_ms\": 1, \"tokens_per_chunk\": 5, \"count\": \"bytes\"}",
    )
    .await;
    assert_eq!(
        (status, &settings["tokens_per_chunk"], &settings["seed"]),
        (200, &json!(5), &json!(1))
    );
    assert_eq!(
        serde_json::from_str::<Settings>(&get(&simulator, "/control").await).unwrap(),
        *simulator.control().get()
    );
}

#[tokio::test]
async fn a_bad_change_is_refused_by_name_and_changes_nothing() {
    let simulator = start();
    for (change, named) in [
        ("{\"latency_ms\": 5, \"latencyms\": 1}", "latencyms"),
        ("{\"latency_ms\": \"soon\"}", "latency_ms"),
        ("{\"latency_ms\": -1}", "latency_ms"),
        ("{\"p_429\": 1.5}", "p_429"),
        ("{\"p_429\": 0.6, \"p_500\": 0.6}", "probabilities"),
        ("{\"tokens_per_chunk\": 0}", "tokens_per_chunk"),
        ("{\"models\": {\"m\": {\"size\": 1}}}", "models"),
        ("[]", "object"),
    ] {
        let (status, answer) = post_control(&simulator, change).await;
        assert_eq!(status, 400, "{change}");
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(named),
            "{change}: {answer}"
        );
    }
    assert_eq!(*simulator.control().get(), Settings::default());
}

/// What became of each of 400 nonces under a mix of faults.
async fn fates(seed: u64) -> BTreeMap<String, (u16, End)> {
    let simulator = start();
    simulator
        .control()
        .update(|s| {
            s.seed = seed;
            (s.p_429, s.p_500, s.p_503, s.p_502_html) = (0.2, 0.1, 0.1, 0.1);
            (s.p_reset_before_head, s.p_reset_mid, s.p_error_event) = (0.1, 0.1, 0.1);
        })
        .expect("good settings");
    for number in 0..400 {
        if let Ok(answer) = chat(
            &simulator,
            &body(&format!("n{number}"), "", json!({"stream": true})),
        )
        .await
        {
            let _broken_or_whole = answer.bytes().await;
        }
    }
    let answers = answers_at_least(&simulator, 400).await.into_iter();
    answers
        .map(|answer| {
            (
                answer.nonce.expect("a nonce").to_string(),
                (answer.status, answer.end),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_fate_is_decided_by_seed_and_nonce() {
    let (first, again, other) = (fates(7).await, fates(7).await, fates(8).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    let count = |status, end| {
        first
            .values()
            .filter(|fate| **fate == (status, end))
            .count()
    };
    for (status, end, expected) in [
        (429, End::Complete, 80),
        (0, End::Reset, 40),
        (200, End::Reset, 40),
        (200, End::Error, 40),
        (200, End::Complete, 80),
    ] {
        let seen = count(status, end);
        assert!(
            seen > expected / 2 && seen < expected * 2,
            "{status} {end:?}: {seen}, expected about {expected}"
        );
    }
}

#[tokio::test]
async fn only_known_keys_are_let_in_and_no_key_is_shown() -> Result<()> {
    let config = Config {
        api_keys: vec!["sk-right-canary".to_owned()],
        ..Config::default()
    };
    assert!(!format!("{config:?}").contains("canary"));
    let simulator = Simulator::start(config)?;
    let url = format!("{}/chat/completions", simulator.base_url());
    let post = || client().post(&url).json(&body("n", "", json!({})));
    assert_eq!(post().send().await?.status(), 401);
    let wrong = post().bearer_auth("sk-wrong-canary").send().await?;
    assert_eq!(wrong.status(), 401);
    assert!(!wrong.text().await?.contains("canary"));
    assert_eq!(
        post().bearer_auth("sk-right-canary").send().await?.status(),
        200
    );
    assert_eq!(
        post()
            .header("api-key", "sk-right-canary")
            .send()
            .await?
            .status(),
        200
    );
    assert_eq!(
        client()
            .get(format!("{}/models", simulator.base_url()))
            .send()
            .await?
            .status(),
        401
    );
    let keys: Vec<_> = answers(&simulator)
        .into_iter()
        .map(|answer| answer.api_key_sha256_8)
        .collect();
    assert!(keys[0].is_none() && keys[1].is_some() && keys[1] != keys[2] && keys[2] == keys[3]);
    assert!(!get(&simulator, "/truth").await.contains("canary"));
    Ok(())
}

#[tokio::test]
async fn the_truth_can_be_read_from_a_line_on_added_up_and_reset() -> Result<()> {
    let simulator = start();
    for model in ["gpt-4o", "gpt-4o", "gpt-4"] {
        json(
            &simulator,
            &body("n", "", json!({"model": model, "max_tokens": 5})),
        )
        .await;
    }
    text(
        &simulator,
        &body("n", "status=500", json!({"model": "gpt-4"})),
    )
    .await;
    let lines = get(&simulator, "/truth?since=6").await;
    let lines: Vec<Record> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(lines, simulator.truth().since(6));
    assert_eq!(lines.len(), 2);
    let summary: Summary = serde_json::from_str(&get(&simulator, "/truth/summary").await)?;
    assert_eq!(
        (summary.requests, summary.finished, summary.unfinished),
        (4, 3, 1)
    );
    assert_eq!((summary.prompt_tokens, summary.completion_tokens), (27, 15));
    let gpt4 = summary
        .lines
        .iter()
        .find(|line| line.model.as_deref() == Some("gpt-4"))
        .unwrap();
    assert_eq!(
        (gpt4.requests, gpt4.finished, gpt4.completion_tokens),
        (2, 1, 5)
    );
    client()
        .post(format!("http://{}/truth/reset", simulator.addr()))
        .send()
        .await?;
    assert_eq!(get(&simulator, "/truth").await, "");
    json(&simulator, &body("n", "", json!({}))).await;
    assert_eq!(simulator.truth().since(0)[0].seq(), 9, "numbers go on");
    Ok(())
}

#[tokio::test]
async fn the_truth_file_has_the_same_lines_and_memory_is_bounded() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("truth.ndjson");
    let config = Config {
        truth_file: Some(path.clone()),
        settings: Settings {
            truth_keep: 3,
            ..Settings::default()
        },
        ..Config::default()
    };
    let simulator = Simulator::start(config)?;
    for number in 0..4 {
        json(&simulator, &body(&format!("n{number}"), "", json!({}))).await;
    }
    let file = std::fs::read_to_string(&path)?;
    let lines: Vec<Record> = file
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(
        lines.iter().map(Record::seq).collect::<Vec<_>>(),
        (1..=8).collect::<Vec<_>>()
    );
    assert_eq!(simulator.truth().since(0), lines[5..]);
    assert_eq!(simulator.truth().summary().dropped_lines, 5);
    Ok(())
}

#[tokio::test]
async fn the_nonce_may_come_in_a_header_and_the_body_wins() -> Result<()> {
    let simulator = start();
    let url = format!("{}/chat/completions", simulator.base_url());
    let mut plain = body("in-body", "", json!({}));
    let post = |body: &Value| {
        client()
            .post(&url)
            .header("x-client-request-id", "in-header")
            .json(body)
    };
    post(&plain).send().await?.text().await?;
    plain.as_object_mut().unwrap().remove("metadata");
    post(&plain).send().await?.text().await?;
    let nonces: Vec<_> = answers(&simulator)
        .into_iter()
        .map(|answer| answer.nonce.unwrap())
        .collect();
    assert_eq!(
        nonces.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
        ["in-body", "in-header"]
    );
    Ok(())
}

#[tokio::test]
async fn headers_are_kept_only_when_asked_and_only_the_last() -> Result<()> {
    let simulator = start();
    json(&simulator, &body("n", "", json!({}))).await;
    assert_eq!(get(&simulator, "/seen").await, "[]");
    simulator.control().update(|s| s.seen_requests = 2)?;
    for number in 0..3 {
        let url = format!("{}/chat/completions", simulator.base_url());
        client()
            .post(url)
            .header("x-mark", number.to_string())
            .json(&body("n", "", json!({})))
            .send()
            .await?
            .text()
            .await?;
    }
    let seen = simulator.seen();
    let marks: Vec<_> = seen
        .iter()
        .flat_map(|s| &s.headers)
        .filter(|(name, _)| name == "x-mark")
        .map(|(_, v)| v.as_str())
        .collect();
    assert_eq!(marks, ["1", "2"]);
    Ok(())
}

#[tokio::test]
async fn it_listens_on_loopback_unless_told() {
    let config = Config {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Config::default()
    };
    let refused = Simulator::start(config).expect_err("not loopback");
    assert!(refused.to_string().contains("allow_remote"));
}

#[tokio::test]
async fn shutdown_finishes_what_runs_and_cuts_what_does_not_end() -> Result<()> {
    let simulator = Simulator::start(Config {
        shutdown_grace_ms: 1_000,
        ..Config::default()
    })?;
    let (addr, truth) = (simulator.addr(), simulator.truth());
    let mut quick = chat(
        &simulator,
        &body(
            "quick",
            "chunk_delay=5",
            json!({"stream": true, "max_tokens": 5}),
        ),
    )
    .await?;
    let mut endless = chat(
        &simulator,
        &body("endless", "stall_mid=1:600000", json!({"stream": true})),
    )
    .await?;
    quick.chunk().await?;
    endless.chunk().await?;
    simulator.shutdown().await;
    let mut ends: Vec<_> = truth
        .since(0)
        .into_iter()
        .filter_map(|line| match line {
            Record::Answer(answer) => Some((answer.nonce.unwrap().to_string(), answer.end)),
            Record::Request(_) => None,
        })
        .collect();
    ends.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        ends,
        [
            ("endless".to_owned(), End::StallGone),
            ("quick".to_owned(), End::Complete)
        ]
    );
    let again = Simulator::start(Config {
        listen: addr,
        ..Config::default()
    })?;
    assert_eq!(again.addr(), addr, "the port is free again at once");
    Ok(())
}

#[tokio::test]
async fn limits_hold_for_each_key_and_say_how_long_to_wait() -> Result<()> {
    let simulator = start();
    simulator.control().update(|s| s.rpm_limit = 2)?;
    let url = format!("{}/chat/completions", simulator.base_url());
    let post = async |key: &str| {
        let asked = body("n", "", json!({"max_tokens": 11}));
        client()
            .post(&url)
            .bearer_auth(key)
            .json(&asked)
            .send()
            .await
    };
    assert_eq!(
        post("a").await?.headers()["x-ratelimit-remaining-requests"],
        "1"
    );
    assert_eq!(
        post("a").await?.headers()["x-ratelimit-limit-requests"],
        "2"
    );
    let refused = post("a").await?;
    assert_eq!(refused.status(), 429);
    let wait_ms: u64 = refused.headers()["retry-after-ms"].to_str()?.parse()?;
    assert!((1..=30_000).contains(&wait_ms), "{wait_ms}");
    assert_eq!(refused.json::<Value>().await?["error"]["type"], "requests");
    assert_eq!(
        post("b").await?.status(),
        200,
        "another key has limits of its own"
    );

    simulator
        .control()
        .update(|s| (s.rpm_limit, s.tpm_limit) = (0, 50))?;
    // 9 of the prompt and 11 of the answer, twice.
    assert_eq!(
        post("a").await?.headers()["x-ratelimit-remaining-tokens"],
        "30"
    );
    assert_eq!(post("a").await?.status(), 200);
    let refused = post("a").await?;
    assert_eq!(
        (
            refused.status().as_u16(),
            &refused.json::<Value>().await?["error"]["type"]
        ),
        (429, &json!("tokens"))
    );
    assert_eq!(
        answers(&simulator)
            .iter()
            .filter(|answer| answer.status == 429)
            .count(),
        2
    );
    Ok(())
}
