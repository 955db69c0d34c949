//! Completeness from end to end: whatever kills the gateway, each start accounts for every request it let in, and what is
//! taken from the tables afterwards is named by the command.

use std::process::Output;

use schemas::fs_names;
use serde_json::Value;
use store::User;
use tests::command::run;
use tests::{Ask, Hurt, Setup, Stack, eventually, hurt, tollgate};

/// Long after today: the day is over, and every claim is due.
const LATER: &str = "2199-01-01T00:00:00Z";

fn numbers<'a>(report: &'a Value, name: &str) -> Vec<Option<i64>> {
    let boots = report["boots"].as_array().expect("starts");
    let of = |boot: &'a Value| boot[name].as_i64();
    boots.iter().map(of).collect()
}

async fn audit(stack: &Stack, end: &str, code: i32) -> Value {
    let period = format!("2026-01-01T00:00:00Z/{end}");
    let arguments = [
        "audit",
        "completeness",
        "--period",
        &period,
        "--as-of",
        LATER,
        "--format",
        "json",
    ];
    let ended = run(&arguments, &stack.config_path()).await;
    assert_eq!(ended.code, Some(code), "{}{}", ended.err, ended.out);
    serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}", ended.err))
}

/// Starts streams that are running when this returns.
async fn streams(stack: &Stack, names: &[&str]) -> Vec<reqwest::Response> {
    let mut running = Vec::new();
    for name in names {
        let ask = Ask::new(*name)
            .streamed()
            .tokens(400)
            .ordering("chunk_delay=200");
        let mut response = stack.app().begin(&ask).await.expect("the stream begins");
        assert!(response.chunk().await.expect("a chunk").is_some());
        running.push(response);
    }
    running
}

async fn calls(stack: &Stack, prefix: &str, count: usize) {
    for number in 0..count {
        let whole = stack
            .app()
            .call(&Ask::new(format!("{prefix}-{number}")))
            .await;
        assert_eq!(whole.expect("an answer").status, 200);
    }
}

/// Waits until the store has so many starts that ended, and what they say.
async fn ended_starts(stack: &Stack, count: u64) {
    let reader = stack.engine(User::Reader).await;
    eventually("the store has heard of the ends of starts", async || {
        let sql = "SELECT uniqExact(boot) FROM producer_log WHERE kind = 'closed'";
        let starts: Vec<u64> = reader.fetch_all(sql).await.ok()?;
        (starts == [count]).then_some(())
    })
    .await;
}

/// The end of a period that holds everything so far, once a gateway has spoken after it.
async fn spoken_past(stack: &Stack) -> String {
    let end = runtime::clock::now_us() / 1_000_000 + 1;
    let reader = stack.engine(User::Reader).await;
    eventually("a gateway speaks after the end of the period", async || {
        let sql = "SELECT toInt64(toUnixTimestamp(max(clock))) FROM producer_log WHERE kind = 'heartbeat'";
        let newest: Vec<i64> = reader.fetch_all(sql).await.ok()?;
        (*newest.first()? > end).then_some(())
    })
    .await;
    let end = chrono::DateTime::from_timestamp(end, 0).expect("a time");
    end.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_start_accounts_for_what_it_let_in_whatever_killed_it() {
    let mut stack = Stack::start(Setup::default()).await;
    calls(&stack, "first", 7).await;
    let mut bad = Ask::new("refused");
    bad.key.secret = "tg-nobody";
    assert_eq!(stack.app().call(&bad).await.expect("an answer").status, 401);
    let running = streams(&stack, &["cut-1", "cut-2", "cut-3"]).await;
    stack.restart().await;
    drop(running);
    calls(&stack, "second", 4).await;
    // Killed at once after it let one in, and the one after that as well, before it served anybody.
    stack.kill();
    stack.start_again(Some("gateway.after_admission:1"));
    stack.ready().await;
    assert!(stack.app().call(&Ask::new("unheard")).await.is_err());
    stack.serving.end().await;
    stack.start_again(None);
    stack.ready().await;
    calls(&stack, "last", 2).await;
    ended_starts(&stack, 3).await;
    drop(stack.settled().await);
    let end = spoken_past(&stack).await;
    stack.terminate().await;

    let report = audit(&stack, &end, 0).await;
    assert_eq!(report["verdicts"]["completeness"], "complete", "{report:#}");
    assert_eq!(report["verdicts"]["integrity"], "intact", "{report:#}");
    assert_eq!(numbers(&report, "missing"), [Some(0); 4]);
    assert_eq!(
        numbers(&report, "admitted"),
        [Some(10), Some(4), Some(1), Some(2)]
    );
    assert_eq!(
        numbers(&report, "settled"),
        [Some(7), Some(4), Some(0), Some(2)]
    );
    assert_eq!(
        numbers(&report, "unknown"),
        [Some(3), Some(0), Some(1), Some(0)]
    );
    assert_eq!(
        numbers(&report, "recovered"),
        [Some(0), Some(3), Some(0), Some(1)]
    );
    assert_eq!(
        numbers(&report, "refused"),
        [Some(1), Some(0), Some(0), Some(0)]
    );
    let boots = report["boots"].as_array().expect("starts");
    assert!(
        boots.iter().all(|boot| boot["balanced"] == true),
        "{report:#}"
    );

    let engine = stack.own_engine().await;
    let writer = engine.client(User::Writer, store::DATABASE);
    for table in ["audit_log", "usage_events"] {
        let sql = format!("DELETE FROM {table} WHERE producer_seq = 5 AND boot LIKE '2-%'");
        writer.statement(&sql).execute().await.expect("a deletion");
    }
    engine.stop().await;
    let report = audit(&stack, &end, 1).await;
    assert_eq!(report["verdicts"]["completeness"], "incomplete");
    let boot = &report["boots"][1];
    assert_eq!(
        boot["gaps"],
        serde_json::json!([{"first": 5, "last": 5}]),
        "{report:#}"
    );
}

/// Of the tables and the topic see `billing`'s suite `completeness`, and `kafka_consumer`.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_taken_from_the_journal_or_changed_in_it_is_named_by_number_and_place() {
    for what in [Hurt::Taken, Hurt::Flipped] {
        let mut stack = Stack::start(Setup::default()).await;
        calls(&stack, "told", 6).await;
        drop(stack.settled().await);
        let end = spoken_past(&stack).await;
        stack.terminate().await;
        let data = stack.data_dir();
        let folder = data.join(fs_names::JOURNAL_DIR);
        let place = hurt(&folder, what, 3);
        // The tables are made again of what the journal has.
        std::fs::remove_dir_all(data.join(fs_names::ENGINE_DIR)).expect("tables");
        std::fs::remove_file(data.join(fs_names::CONSUMER_CURSOR)).expect("a cursor");
        stack.start_again(None);
        stack.ready().await;
        let reader = stack.engine(User::Reader).await;
        eventually("the tables have what the journal has", async || {
            let sql = "SELECT uniqExact(producer_seq) FROM usage_events";
            let events: Vec<u64> = reader.fetch_all(sql).await.ok()?;
            (events == [5]).then_some(())
        })
        .await;
        ended_starts(&stack, 1).await;
        let log = stack.serving.log();
        // Where a frame is gone, so is the one that stands in its place.
        let named = format!("offsets {place} to ");
        let is_named = |line: &str| line.contains(&named) && line.contains("can not be read");
        assert!(log.lines().any(is_named), "{what:?}: {log}");
        stack.terminate().await;

        let report = audit(&stack, &end, 1).await;
        assert_eq!(report["verdicts"]["completeness"], "incomplete", "{what:?}");
        let boot = &report["boots"][0];
        assert_eq!(
            boot["gaps"],
            serde_json::json!([{"first": 3, "last": 3}]),
            "{what:?}: {report:#}"
        );
        assert_eq!(
            boot["producer"],
            stack.journal().events[0].producer.as_str()
        );
        let mut inspect = std::process::Command::new(tollgate());
        inspect.args(["journal", "inspect"]).arg(folder);
        let inspected = inspect.output().expect("the program under test starts");
        assert_eq!(inspected.status.code(), Some(1), "{what:?}: {inspected:?}");
        let document = stated(&mut stack).await;
        names_the_lost_one(&stack, &document, 3);
    }
}

/// The statement of the day of what was written, when that is over, as anybody reads it who has the public key.
async fn stated(stack: &mut Stack) -> Value {
    end_the_day(stack).await;
    let written = stack.journal().events[0].received_us;
    let day = chrono::DateTime::from_timestamp_micros(written.0).expect("a time");
    let day = day.format("%Y-%m-%d").to_string();
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (key, out) = (path("key"), path("day.statement"));
    let made = statement(&["keygen", "--name", "example.com/t", "--out", &key]);
    let public = String::from_utf8(made.stdout).expect("text");
    let issue = ["statement", "--day", &day, "--key", &key, "--out", &out];
    let issued = run(&issue, &stack.config_path()).await;
    assert_eq!(issued.code, Some(1), "{issued:?}");
    let signed = ["verify", &out, "--public-key", public.trim()];
    let checked = statement(&[&signed[..], &["--format", "json"]].concat());
    assert!(checked.status.success(), "{checked:?}");
    serde_json::from_slice(&checked.stdout).expect("what is signed")
}

fn statement(arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(tollgate());
    command.arg("statement").args(arguments);
    command.output().expect("the program under test starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_made_once_and_checked_by_nothing_but_its_key() {
    let mut stack = Stack::start(Setup::default()).await;
    calls(&stack, "stated", 3).await;
    drop(stack.settled().await);
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (key, stated) = (path("key"), path("day.statement"));
    let made = statement(&["keygen", "--name", "example.com/t", "--out", &key]);
    let public = String::from_utf8(made.stdout)
        .expect("text")
        .trim()
        .to_owned();
    assert!(
        made.status.success() && public.starts_with("example.com/t+"),
        "{public}"
    );
    let access = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&key).expect("a key").permissions(),
    );
    assert_eq!(access & 0o777, 0o600);
    let again = statement(&["keygen", "--name", "example.com/t", "--out", &key]);
    assert_eq!(again.status.code(), Some(2));

    let now = chrono::DateTime::from_timestamp_micros(runtime::clock::now_us());
    let today = now.expect("a time").format("%Y-%m-%d").to_string();
    let issue = [
        "statement",
        "--day",
        &today,
        "--key",
        &key,
        "--out",
        &stated,
    ];
    let issued = run(&issue, &stack.config_path()).await;
    // It is made and says so: the day is not over.
    assert_eq!(issued.code, Some(1), "{}{}", issued.err, issued.out);
    let over = run(&issue, &stack.config_path()).await;
    assert_eq!(over.code, Some(2), "{}", over.err);
    assert!(over.err.contains("overwritten"), "{}", over.err);

    let checked = statement(&["verify", &stated, "--public-key", &public]);
    let told = String::from_utf8(checked.stdout).expect("text");
    assert!(
        checked.status.success() && told.contains("provisional"),
        "{told}"
    );
    let text = std::fs::read_to_string(&stated).expect("a statement");
    assert!(!text.contains("acme"), "no tenant is in it");
    let changed = path("changed");
    std::fs::write(&changed, text.replacen("\"found\":3", "\"found\":4", 1)).expect("a file");
    let refused = statement(&["verify", &changed, "--public-key", &public]);
    assert_eq!(refused.status.code(), Some(1));
    let other = statement(&["keygen", "--name", "example.com/t", "--out", &path("other")]);
    let other = String::from_utf8(other.stdout).expect("text");
    let refused = statement(&["verify", &stated, "--public-key", other.trim()]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        statement(&["verify", &stated, "--public-key", "nonsense"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(statement(&[]).status.code(), Some(2));

    let corrected = path("corrected");
    let correct = [&issue[..5], &["--corrects", &stated, "--out", &corrected]].concat();
    lose_a_record(&mut stack).await;
    let issued = run(&correct, &stack.config_path()).await;
    assert_eq!(issued.code, Some(1), "{}{}", issued.err, issued.out);
    let signed = ["verify", &corrected, "--public-key", &public];
    let checked = statement(&[&signed[..], &["--format", "json"]].concat());
    assert!(checked.status.success(), "{checked:?}");
    let document = serde_json::from_slice(&checked.stdout).expect("what is signed");
    names_the_lost_one(&stack, &document, 1);
}

/// The day is over, and a record of it is gone.
async fn lose_a_record(stack: &mut Stack) {
    end_the_day(stack).await;
    let engine = stack.own_engine().await;
    let writer = engine.client(User::Writer, store::DATABASE);
    for table in ["audit_log", "usage_events"] {
        let sql = format!("DELETE FROM {table} WHERE producer_seq = 1");
        writer.statement(&sql).execute().await.expect("a deletion");
    }
    engine.stop().await;
}

fn names_the_lost_one(stack: &Stack, document: &Value, number: i64) {
    assert_eq!(document["status"], "final", "{document:#}");
    assert_eq!(document["completeness"], "incomplete", "{document:#}");
    assert_eq!(document["totals"]["missing"], 1, "{document:#}");
    let boots = document["boots"].as_array().expect("starts");
    let lacks = |boot: &&Value| boot["missing"] != 0;
    let lacking: Vec<_> = boots.iter().filter(lacks).collect();
    let [boot] = lacking[..] else {
        panic!("one start lacks a record: {document:#}");
    };
    let written = &stack.journal().events[0];
    assert_eq!(boot["producer"], written.producer.as_str());
    assert_eq!(boot["boot"], written.boot.to_string());
    let gaps = serde_json::json!([{"first": number, "last": number}]);
    assert_eq!(boot["gaps"], gaps);
}

/// Ends the day of what was written: a start whose clock is more than a day ahead says so.
async fn end_the_day(stack: &mut Stack) {
    stack.terminate().await;
    stack.start_again(Some("clock:90000"));
    stack.ready().await;
    let tomorrow = runtime::clock::now_us() / 1_000_000 + 86_400;
    let reader = stack.engine(User::Reader).await;
    eventually("a gateway speaks after the day", async || {
        let sql = "SELECT toInt64(toUnixTimestamp(max(clock))) FROM producer_log WHERE kind = 'heartbeat'";
        let newest: Vec<i64> = reader.fetch_all(sql).await.ok()?;
        (*newest.first()? > tomorrow).then_some(())
    })
    .await;
    stack.terminate().await;
}
