//! The load generator against the simulator: what it counts is what was served.

use anyhow::Result;
use serde_json::json;
use simulator::load::{
    ClientLine, HangUp, Load, LoadError, LoadReport, LoadRequest, LoadSettings, Outcome, Pace,
    Stop, Watch,
};
use simulator::{Count, End, Record, Simulator};

use crate::common::{answers, answers_at_least, start};

fn settings(simulator: &Simulator, requests: u64) -> LoadSettings {
    LoadSettings {
        url: format!("{}/chat/completions", simulator.base_url()),
        api_key: Some("sk-load".to_owned()),
        connections: 8,
        stop: Stop::Requests(requests),
        keep_lines: true,
        timeout_ms: 20_000,
        ..LoadSettings::default()
    }
}

fn start_bytes() -> Simulator {
    let simulator = start();
    simulator
        .control()
        .update(|s| s.count = Count::Bytes)
        .expect("a good setting");
    simulator
}

async fn run(settings: LoadSettings) -> Result<(LoadReport, Vec<ClientLine>)> {
    let run = Load::new(settings).run().await?;
    Ok((run.report, run.lines))
}

#[tokio::test]
async fn a_closed_loop_counts_what_was_served() -> Result<()> {
    let simulator = start_bytes();
    let (report, lines) = run(settings(&simulator, 500)).await?;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(
        (
            report.requests,
            report.complete,
            report.with_usage,
            report.latency_us.count
        ),
        (500, 500, 500, 500)
    );
    let summary = simulator.truth().summary();
    assert_eq!((summary.requests, summary.finished), (500, 500));
    assert_eq!(
        (report.prompt_tokens, report.completion_tokens),
        (summary.prompt_tokens, summary.completion_tokens)
    );
    let mut sent: Vec<_> = lines.iter().map(|line| line.nonce.as_str()).collect();
    let answers = answers(&simulator);
    let mut served: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.nonce.as_deref())
        .collect();
    sent.sort_unstable();
    served.sort_unstable();
    assert_eq!(sent, served, "each nonce once");
    Ok(())
}

#[tokio::test]
async fn streams_are_read_to_their_events_and_usage() -> Result<()> {
    let simulator = start_bytes();
    let (report, lines) = run(LoadSettings {
        stream: true,
        include_usage: true,
        max_tokens: 10,
        ..settings(&simulator, 50)
    })
    .await?;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(
        (
            report.events,
            report.completion_tokens,
            report.first_content_us.count
        ),
        (50 * 13, 500, 50)
    );
    assert!(
        lines
            .iter()
            .all(|line| line.completion_tokens == Some(10) && line.events == 13)
    );
    Ok(())
}

#[tokio::test]
async fn an_open_loop_sends_every_turn_and_counts_from_its_due_time() -> Result<()> {
    let simulator = start_bytes();
    simulator.control().update(|s| s.latency_ms = 20)?;
    // One connection at 20 ms an answer can do 50 a second; 500 are due, so the last one waits for some 1.8 s.
    let open = LoadSettings {
        connections: 1,
        pace: Pace::Rate(500.0),
        ..settings(&simulator, 100)
    };
    let (report, _) = run(open).await?;
    assert_eq!((report.complete, report.unsent), (100, 0));
    let (from_due, from_sent) = (report.latency_us, report.service_us);
    assert!(
        from_due.max > 1_500_000,
        "what was due waited, and that counts: {from_due:?}"
    );
    assert!(
        from_sent.p50 < from_due.p50 / 4,
        "each was answered much sooner: {from_sent:?}"
    );
    // Histograms round to three digits.
    assert!(report.send_lag_us.max + from_sent.max >= from_due.max / 100 * 99);
    Ok(())
}

#[tokio::test]
async fn an_open_loop_that_falls_too_far_behind_says_so() -> Result<()> {
    let simulator = start_bytes();
    simulator.control().update(|s| s.latency_ms = 50)?;
    let open = LoadSettings {
        connections: 1,
        pace: Pace::Rate(1_000.0),
        drain_ms: 0,
        ..settings(&simulator, 200)
    };
    let (report, _) = run(open).await?;
    assert!(report.unsent > 0 && !report.is_clean());
    assert_eq!(report.unsent + report.requests, 200);
    Ok(())
}

#[tokio::test]
async fn a_run_by_time_ends_and_leaves_the_warm_up_out() -> Result<()> {
    let simulator = start_bytes();
    let (stop, warmup_ms) = (Stop::Millis(500), 200);
    let (report, lines) = run(LoadSettings {
        stop,
        warmup_ms,
        ..settings(&simulator, 0)
    })
    .await?;
    assert!(report.is_clean(), "{report:?}");
    assert!(
        report.requests < lines.len() as u64,
        "the log has the warm-up, the figures do not"
    );
    assert_eq!(simulator.truth().summary().requests, lines.len() as u64);
    Ok(())
}

#[tokio::test]
async fn every_fault_has_its_kind() -> Result<()> {
    let simulator = start();
    let template = settings(&simulator, 7);
    let orders = [
        "",
        "status=500",
        "error_event=1",
        "reset_mid=1",
        "no_done",
        "reset_head",
        "html502",
    ];
    let base = LoadSettings {
        stream: true,
        connections: 1,
        ..template
    };
    let make = base.clone();
    let load = Load::new(base).with_requests(move |index| {
        let order = Some(orders[usize::try_from(index).unwrap()].to_owned());
        LoadSettings {
            order,
            ..make.clone()
        }
        .request(index)
    });
    let seen: Vec<_> = load
        .run()
        .await?
        .lines
        .into_iter()
        .map(|line| (line.status, line.outcome))
        .collect();
    let expected = [
        (200, Outcome::Complete),
        (500, Outcome::HttpError),
        (200, Outcome::ErrorEvent),
        (200, Outcome::Cut),
        (200, Outcome::Cut),
        (0, Outcome::NoAnswer),
        (502, Outcome::HttpError),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        simulator.truth().summary().requests,
        7,
        "nothing is sent twice"
    );
    Ok(())
}

#[tokio::test]
async fn no_client_waits_for_ever() -> Result<()> {
    let simulator = start();
    let order = Some("stall_head=600000".to_owned());
    let (_, lines) = run(LoadSettings {
        order,
        timeout_ms: 100,
        ..settings(&simulator, 2)
    })
    .await?;
    assert!(
        lines.iter().all(|line| line.outcome == Outcome::Timeout),
        "{lines:?}"
    );
    let answers = answers_at_least(&simulator, 2).await;
    assert!(answers.iter().all(|answer| answer.end == End::StallGone));
    Ok(())
}

#[tokio::test]
async fn clients_hang_up_where_they_are_told() -> Result<()> {
    let simulator = start();
    let places = [
        HangUp::DuringUpload,
        HangUp::AfterSend,
        HangUp::AfterHead,
        HangUp::AfterEvents(4),
        HangUp::AfterUsage,
        HangUp::AfterDone,
    ];
    let base = LoadSettings {
        connections: 1,
        stream: true,
        include_usage: true,
        order: Some("latency=20,chunk_delay=5".to_owned()),
        ..settings(&simulator, 6)
    };
    let make = base.clone();
    let load = Load::new(base).with_requests(move |index| {
        let hang_up = Some(places[usize::try_from(index).unwrap()]);
        LoadRequest {
            hang_up,
            ..make.request(index)
        }
    });
    let lines = load.run().await?.lines;
    assert!(
        lines.iter().all(|line| line.outcome == Outcome::HungUp),
        "{lines:?}"
    );
    assert_eq!(lines[3].events, 4);
    assert!(lines[3].completion_tokens.is_none() && lines[4].completion_tokens.is_some());
    let answers = answers_at_least(&simulator, 6).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.end == End::ClientGone)
            .count(),
        4
    );
    assert!(
        answers
            .iter()
            .filter(|answer| answer.usage_sent)
            .all(|answer| answer.end == End::Complete)
    );
    Ok(())
}

#[tokio::test]
async fn the_client_log_has_a_line_a_request() -> Result<()> {
    let simulator = start_bytes();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("client.ndjson");
    let (_, kept) = run(LoadSettings {
        client_log: Some(path.clone()),
        ..settings(&simulator, 20)
    })
    .await?;
    let text = std::fs::read_to_string(path)?;
    let mut lines: Vec<ClientLine> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let mut kept = kept;
    lines.sort_by(|a, b| a.nonce.cmp(&b.nonce));
    kept.sort_by(|a, b| a.nonce.cmp(&b.nonce));
    assert_eq!((lines.len(), &lines), (20, &kept));
    Ok(())
}

#[tokio::test]
async fn cpu_time_is_shared_out_by_thread_names() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("sim-worker")
        .enable_all()
        .build()?;
    let simulator = {
        let _entered = runtime.enter();
        start_bytes()
    };
    let watch = Watch {
        pid: std::process::id(),
        groups: vec!["sim-".to_owned(), "none-".to_owned()],
    };
    let (report, _) = run(LoadSettings {
        watch: Some(watch),
        ..settings(&simulator, 2_000)
    })
    .await?;
    let cpu = report.cpu.as_ref().expect("a watched process");
    assert!(
        cpu.groups_us["sim-"] > 0 && cpu.groups_us["none-"] == 0,
        "{cpu:?}"
    );
    assert!(report.cpu_us_per_request["sim-"] > 0.0 && cpu.rss_peak_kib >= cpu.rss_kib);
    runtime.shutdown_background();
    Ok(())
}

#[tokio::test]
async fn settings_that_make_no_sense_are_named() -> Result<()> {
    let simulator = start();
    let good = settings(&simulator, 1);
    for (bad, named) in [
        (
            LoadSettings {
                connections: 0,
                ..good.clone()
            },
            "connections",
        ),
        (
            LoadSettings {
                pace: Pace::Rate(0.0),
                ..good.clone()
            },
            "pace",
        ),
        (
            LoadSettings {
                url: "https://example.com/".to_owned(),
                ..good.clone()
            },
            "http://",
        ),
    ] {
        let error: LoadError = Load::new(bad).run().await.expect_err("a bad setting");
        assert!(error.to_string().contains(named), "{error}");
    }
    let (report, lines) = run(LoadSettings {
        url: "http://127.0.0.1:1/".to_owned(),
        ..good
    })
    .await?;
    assert_eq!(
        (lines[0].outcome, report.errors["not_connected"]),
        (Outcome::NotConnected, 1)
    );
    Ok(())
}

#[tokio::test]
async fn a_generator_may_give_each_request_a_key_and_body_of_its_own() -> Result<()> {
    let simulator = start();
    let load = Load::new(settings(&simulator, 12)).with_requests(|index| LoadRequest {
        nonce: format!("own-{index}"),
        api_key: Some(format!("sk-{}", index % 3)),
        body: json!({"model": "gpt-4o", "max_tokens": index, "messages": [{"role": "user", "content": "x"}]}).to_string().into_bytes(),
        hang_up: None,
    });
    let report = load.run().await?.report;
    assert_eq!(
        (report.complete, report.completion_tokens),
        (12, (0..12).sum())
    );
    assert_eq!(simulator.truth().summary().lines.len(), 3);
    assert!(simulator.truth().since(0).iter().all(|line| {
        match line {
            Record::Request(request) => request
                .nonce
                .as_deref()
                .is_some_and(|nonce| nonce.starts_with("own-")),
            Record::Answer(_) => true,
        }
    }));
    Ok(())
}
