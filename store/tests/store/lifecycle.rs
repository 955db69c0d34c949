//! The engine's process: restarted when killed, refused where it may not run, gone with its parent.

use crate::common::{DEADLINE, TestEngine, eventually, kill, options};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use store::supervisor::{StartError, State, Supervisor};
use store::{DataDir, Endpoint, Engine, User};

#[tokio::test]
async fn a_killed_engine_comes_back_with_all_that_it_acknowledged() {
    let engine = TestEngine::start().await;
    engine
        .run("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
        .await;
    let first = engine.ready().await;
    for round in 1..=3 {
        engine.run(&format!("INSERT INTO t VALUES ({round})")).await;
        let next = engine.kill().await;
        assert_ne!(next.pid, first.pid);
        assert_eq!(
            engine.text("SELECT count() FROM t").await,
            round.to_string()
        );
    }
    assert_eq!(
        engine
            .reader()
            .fetch_all::<i64>("SELECT a FROM t ORDER BY a")
            .await
            .unwrap(),
        [1, 2, 3]
    );
}

#[tokio::test]
async fn an_ordered_stop_ends_the_process_and_its_traces() {
    let engine = TestEngine::start().await;
    let data_dir = DataDir::new(engine.folder.path());
    let endpoint = Endpoint::of_running(&data_dir).expect("a published endpoint");
    assert_eq!(endpoint, engine.ready().await);
    let mode = std::fs::metadata(data_dir.endpoint_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let state = engine.supervisor.state();
    engine.supervisor.stop().await;
    assert_eq!(*state.borrow(), State::Stopped);
    assert_eq!(Endpoint::of_running(&data_dir), None);
    assert!(!data_dir.endpoint_file().exists());
}

#[tokio::test]
async fn a_second_engine_on_a_directory_is_refused_in_words() {
    let engine = TestEngine::start().await;
    let second = Supervisor::start(options(engine.folder.path())).unwrap();
    let mut state = second.state();
    let down = state.wait_for(|state| matches!(state, State::Down { .. }));
    let down = tokio::time::timeout(DEADLINE, down)
        .await
        .unwrap()
        .unwrap()
        .clone();
    let State::Down {
        reason,
        fault: store::supervisor::Fault::InUse,
    } = down
    else {
        panic!("{down:?}")
    };
    assert!(reason.contains("another engine is running on"), "{reason}");
    assert_eq!(engine.text("SELECT 1").await, "1");
}

#[tokio::test]
async fn commands_use_the_running_engine_or_start_their_own() {
    let engine = TestEngine::start().await;
    engine
        .run("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
        .await;
    let options = options(engine.folder.path());
    let shared = Engine::connect_or_start(&options).await.unwrap();
    assert!(!shared.is_private());
    assert_eq!(shared.endpoint(), &engine.ready().await);
    shared.stop().await;
    assert_eq!(engine.text("SELECT count() FROM t").await, "0");
    engine.supervisor.stop().await;

    let (first, second) = tokio::join!(private_count(&options), private_count(&options));
    assert_eq!((first, second), (vec![0], vec![0]));
}

/// Two commands at once: one waits for the other's engine to end.
async fn private_count(options: &store::supervisor::Options) -> Vec<u64> {
    let engine = Engine::connect_or_start(options).await.expect("an engine");
    assert!(engine.is_private());
    let rows = engine
        .client(User::Reader, "tollgate")
        .fetch_all("SELECT count() FROM t")
        .await
        .expect("an engine");
    engine.stop().await;
    rows
}

async fn refusal(options: store::supervisor::Options) -> String {
    let error = Engine::connect_or_start(&options)
        .await
        .expect_err("a refusal");
    match error {
        store::EngineError::Start(StartError::Refused(reason)) => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_missing_or_newer_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut missing = options(folder.path());
    missing.library = Some("/nowhere/libchdb.so".into());
    let reason = refusal(missing).await;
    assert!(
        reason.contains("the embedded engine is missing") && reason.contains("scripts/engine.sh"),
        "{reason}"
    );

    let no_engine = folder.path().join("libchdb.so");
    std::fs::write(&no_engine, "not a library").unwrap();
    let mut unfit = options(folder.path());
    unfit.library = Some(no_engine);
    let reason = refusal(unfit).await;
    assert!(
        reason.contains("cannot be loaded as the embedded engine"),
        "{reason}"
    );

    std::fs::write(
        folder.path().join("engine.json"),
        r#"{"layout":99,"engine":"99.1.1.1"}"#,
    )
    .unwrap();
    let reason = refusal(options(folder.path())).await;
    assert!(
        reason.contains("layout 99, engine 99.1.1.1") && reason.contains("use the newer tollgate"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_parents_death_is_the_engines() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::new(folder.path());
    let mut parent = Command::new(env!("CARGO_BIN_EXE_store-test-engine"))
        .arg("parent")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let endpoint = Endpoint::of_running(&data_dir).expect("an engine");
    assert_eq!(line.trim(), endpoint.url);
    kill(parent.id());
    parent.wait().unwrap();
    eventually("the engine is gone", async || {
        Endpoint::of_running(&data_dir).is_none().then_some(())
    })
    .await;
    assert!(
        reqwest::get(format!("{}/ping", endpoint.url))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_engine_started_by_hand_takes_its_passwords_from_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::new(folder.path());
    let mut engine = Command::new(env!("CARGO_BIN_EXE_store-test-engine"))
        .arg("hand")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("an endpoint", async || Endpoint::of_running(&data_dir)).await;
    let shared = Engine::connect_or_start(&options(folder.path()))
        .await
        .unwrap();
    assert!(!shared.is_private());
    shared.client(User::Writer, "system").ping().await.unwrap();
    let pid = rustix::process::Pid::from_child(&engine);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(engine.wait().unwrap().success());
}

#[tokio::test]
async fn the_process_shows_no_secret() {
    let engine = TestEngine::start().await;
    let pid = engine.ready().await.pid;
    for file in ["cmdline", "environ"] {
        let mut bytes = Vec::new();
        // As root the environment can be read although the process is not dumpable; then it must hold nothing.
        if let Ok(mut file) = std::fs::File::open(format!("/proc/{pid}/{file}")) {
            drop(file.read_to_end(&mut bytes));
        }
        let text = String::from_utf8_lossy(&bytes);
        for user in [User::Writer, User::Reader] {
            assert!(
                !text.contains(engine.supervisor.credentials().of(user).expose()),
                "{file}"
            );
        }
        assert!(!text.contains("HOME="), "the child's environment is bare");
    }
}

#[tokio::test]
async fn a_long_query_does_not_hold_an_ordered_stop_up() {
    let engine = TestEngine::start().await;
    let endless = engine
        .reader()
        .query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1");
    let mut endless = tokio::task::JoinSet::from_iter([endless.execute()]);
    let running =
        "SELECT count() FROM system.processes WHERE query LIKE 'SELECT count() FROM numbers(%'";
    eventually("the query runs", async || {
        (engine.text(running).await == "1").then_some(())
    })
    .await;
    let data_dir = DataDir::new(engine.folder.path());
    engine.supervisor.stop().await;
    assert_eq!(Endpoint::of_running(&data_dir), None);
    assert!(
        endless
            .join_next()
            .await
            .expect("a task")
            .expect("no panic")
            .is_err()
    );
}
