//! Stopping: what runs is finished and recorded, within a bound; a second signal does not wait.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tests::{App, Ask, KEYS, MODELS, Setup, Stack, eventually, free_address, tollgate, within};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// A stream that is being given when this returns.
async fn begin_stream(stack: &Stack, ask: &Ask) -> reqwest::Response {
    let mut response = stack.app().begin(ask).await.expect("the stream begins");
    assert_eq!(response.status(), 200);
    let first = within("the first chunk", response.chunk()).await;
    assert!(first.expect("a chunk").is_some(), "the stream has content");
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_mid_stream_finishes_the_stream_and_its_record() {
    let mut stack = Stack::start(Setup::default()).await;
    drop(stack.settled().await);
    let ask = Ask::new("mid-stream")
        .streamed()
        .tokens(60)
        .ordering("chunk_delay=50");
    let response = begin_stream(&stack, &ask).await;
    stack.serving.signal(Signal::TERM);
    eventually(
        "the gateway is not ready, or its door is closed",
        async || {
            let ready = matches!(stack.readyz().await, Some((200, _)));
            (!ready).then_some(())
        },
    )
    .await;
    let mut tries = 0..;
    eventually("new connections are refused", async || {
        let refused = Ask::new(format!("too-late-{}", tries.next()?));
        stack.app().call(&refused).await.is_err().then_some(())
    })
    .await;
    let rest = response.bytes().await.expect("the stream is finished");
    assert!(rest.ends_with(b"data: [DONE]\n\n"), "to its last byte");
    assert!(stack.serving.end().await.success());
    let engine = stack.own_engine().await;
    let books = stack
        .books(&engine.client(store::User::Reader, store::DATABASE))
        .await;
    engine.stop().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    let event = books.event("mid-stream");
    assert_eq!(
        (event.outcome.as_str(), event.usage_source.as_str()),
        ("completed", "provider")
    );
    assert_eq!(event.output, Some(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_finished_before_the_end() {
    let mut stack = Stack::start(Setup::default()).await;
    let ask = Ask::new("drained")
        .streamed()
        .tokens(40)
        .ordering("chunk_delay=50");
    drop(begin_stream(&stack, &ask).await);
    eventually("the answer is read on", async || {
        (stack.metric("drains").await? == 1).then_some(())
    })
    .await;
    stack.terminate().await;
    let journal = stack.journal();
    assert_eq!(journal.open_admissions(), []);
    let event = &journal.events[0];
    assert_eq!(event.outcome, schemas::Outcome::ClientAborted);
    assert_eq!(event.usage_source, schemas::UsageSource::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_bound_what_runs_is_cut_and_recorded() {
    let mut stack = Stack::start(Setup {
        gateway: "stop_timeout_ms = 300".into(),
        ..Setup::default()
    })
    .await;
    let endless = |nonce: &str, model| {
        Ask::new(nonce)
            .streamed()
            .tokens(50)
            .model(model)
            .ordering("stall_mid=5:600000")
    };
    let streaming = begin_stream(&stack, &endless("streaming", MODELS[0])).await;
    drop(begin_stream(&stack, &endless("draining", MODELS[1]).key(KEYS[3])).await);
    eventually("the answer is read on", async || {
        (stack.metric("drains").await? == 1).then_some(())
    })
    .await;
    stack.terminate().await;
    assert!(streaming.bytes().await.is_err(), "the stream was cut");
    let journal = stack.journal();
    assert_eq!(journal.open_admissions(), []);
    assert_eq!(journal.doubled(), []);
    for event in &journal.events {
        assert_eq!(event.outcome, schemas::Outcome::ClientAborted);
        assert_eq!(event.usage_source, schemas::UsageSource::Estimated);
    }
    assert_eq!(journal.events.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_and_the_next_start_closes_what_was_open() {
    let mut stack = Stack::start(Setup::default()).await;
    let ask = Ask::new("forced")
        .streamed()
        .tokens(50)
        .ordering("stall_mid=5:600000");
    let streaming = begin_stream(&stack, &ask).await;
    stack.serving.signal(Signal::TERM);
    let mut tries = 0..;
    eventually("the first signal has been taken", async || {
        let refused = Ask::new(format!("too-late-{}", tries.next()?));
        stack.app().call(&refused).await.is_err().then_some(())
    })
    .await;
    stack.serving.signal(Signal::TERM);
    let status = stack.serving.end().await;
    assert_eq!(status.code(), Some(runtime::shutdown::FORCED_EXIT_CODE));
    assert!(streaming.bytes().await.is_err(), "the stream was cut");
    assert_eq!(stack.journal().open_admissions().len(), 1);
    stack.start_again(None);
    stack.ready().await;
    let books = stack.settled().await;
    assert_eq!(books.faults_of_the_log(), Vec::<String>::new());
    assert_eq!(books.event("forced").outcome, "unknown");
}

/// Calls that are refused, each by a known key, for a model that nobody serves.
async fn refused(stack: &Stack, calls: usize) {
    for number in 0..calls {
        let ask = Ask::new(format!("refused-{number}")).model("no-such-model");
        let answer = stack.app().begin(&ask).await.expect("an answer");
        assert_eq!(answer.status(), 404);
    }
}

/// How many requests each refusal in the journal stands for.
fn refusals(stack: &Stack) -> Vec<i64> {
    let journal = stack.journal();
    let refusals = journal.events.iter();
    let refusals = refusals.filter(|event| event.outcome == schemas::Outcome::RefusedInvalid);
    refusals.map(|event| event.count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_a_full_lane_of_refusals_loses_none() {
    let mut stack = Stack::start(Setup {
        refusals_mib: 1,
        audit_seconds: 3_600,
        ..Setup::default()
    })
    .await;
    let mut sent = 0;
    // A refusal of a known key is in the journal before its answer goes, unless its lane is full.
    while refusals(&stack).iter().sum::<i64>() == sent {
        refused(&stack, 100).await;
        sent += 100;
        assert!(sent < 100_000, "the lane never fills");
    }
    refused(&stack, 50).await;
    sent += 50;
    stack.terminate().await;
    let counts = refusals(&stack);
    assert_eq!(counts.iter().sum::<i64>(), sent);
    assert!(
        counts.iter().any(|count| *count >= 50),
        "what is folded is one record"
    );
    assert_eq!(stack.journal().gaps(), Vec::<String>::new());
}

/// The state that the producer wrote last.
fn last_state(stack: &Stack) -> String {
    let dir = stack.data_dir().join(schemas::fs_names::JOURNAL_DIR);
    let mut reader = journal::Reader::open_dir(&dir).expect("a journal can be read");
    let mut last = String::new();
    while let Some(item) = reader.read().expect("a journal can be read") {
        if let journal::Item::Frame(frame) = item
            && frame.kind == schemas::RecordKind::Producer as u8
        {
            let record: serde_json::Value =
                serde_json::from_slice(&frame.payload).expect("a record of the producer");
            record["state"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut last);
        }
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_at_any_door_holds_no_stop_up() {
    let (api, api_ops) = (free_address(), free_address());
    let mut stack = Stack::start(Setup {
        gateway: "stop_timeout_ms = 500".into(),
        sections: format!(
            "\n[billing]\nlisten = \"{api}\"\nops = \"{api_ops}\"\nstop_timeout_ms = 500\n"
        ),
        ..Setup::default()
    })
    .await;
    let mut held = Vec::new();
    for door in [stack.app_address(), stack.ops_address(), api, api_ops] {
        let mut socket = within("a door", TcpStream::connect(door))
            .await
            .expect("a door is open");
        socket.write_all(b"GET ").await.expect("bytes are taken");
        held.push(socket);
    }
    // They have come in: whoever connects after them is answered.
    drop(stack.readyz().await.expect("an answer"));
    stack.terminate().await;
    assert_eq!(last_state(&stack), "closed");
    drop(held);
}

/// A log in a file stands on a disk that can be full: no line of it can be written, and there is nobody to tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_ends_no_request_and_no_process() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (app, ops) = (free_address(), free_address());
    // Nobody listens there: each call is worth a warning.
    let setup = Setup {
        provider_url: Some(format!("http://{}/v1", free_address())),
        ..Setup::default()
    };
    let config = folder.path().join("tollgate.toml");
    std::fs::write(&config, setup.toml(app, ops, "")).expect("a configuration can be written");
    let full = OpenOptions::new().write(true).open("/dev/full");
    let mut command = Command::new(tollgate());
    command.args(["up", "--config"]).arg(&config);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(full.expect("a device that is always full"));
    let mut child = command.spawn().expect("the program under test starts");
    let app = App::of(format!("http://{app}/v1/chat/completions"));
    eventually("it lives", async || {
        let asked = reqwest::get(format!("http://{ops}/livez")).await;
        asked.ok()?.status().is_success().then_some(())
    })
    .await;
    for number in 0..3 {
        let answer = app.call(&Ask::new(format!("unsaid-{number}"))).await;
        assert_eq!(answer.expect("an answer").status, 502);
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::TERM).expect("it runs");
    let ended = eventually("it ends", async || child.try_wait().expect("it is ours")).await;
    assert!(ended.success(), "{ended}");
}
