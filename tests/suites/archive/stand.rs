//! A stack that archives, and what its tables hold to the byte.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::{Chain, Directory, LogId, Manifest};
use billing::Period;
use billing::chargeback::{Dimension, Request, Synthetic, report};
use billing::period::zone;
use schemas::fs_names;
use store::{Client, Engine, User};
use tests::command::{Ended, command, run};
use tests::{Ask, KEYS, MODELS, Setup, Stack, eventually, read_journal, within};
use tokio::task::JoinSet;

pub(crate) const TABLES: [&str; 3] = ["audit_log", "usage_events", "cuts"];
const CLIENTS: u64 = 8;

pub(crate) fn setup(failpoint: Option<&str>) -> Setup {
    Setup {
        audit_seconds: 1,
        sections: "\n[archive]\ndir = \"archive\"\nage_seconds = 1\n".to_owned(),
        failpoint: failpoint.map(str::to_owned),
        simulator: simulator::Settings {
            cached_tokens: 3,
            p_429: 0.03,
            p_reset_mid: 0.03,
            p_no_usage: 0.03,
            ..simulator::Settings::default()
        },
        ..Setup::default()
    }
}

/// Sends a mix whose like depends on the numbers alone.
pub(crate) async fn send(stack: &Stack, numbers: std::ops::Range<u64>) {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (app, numbers) = (stack.app(), numbers.clone());
        clients.spawn(async move {
            for number in numbers.filter(|number| number % CLIENTS == client) {
                let at = usize::try_from(number).expect("few");
                let ask = Ask {
                    stream: number % 2 == 0,
                    ..Ask::new(format!("archive-{number}"))
                        .key(KEYS[at % KEYS.len()])
                        .model(MODELS[at % MODELS.len()])
                        .tokens(1 + number % 24)
                };
                drop(app.see(ask, None).await);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client ends");
    }
}

pub(crate) fn dir(stack: &Stack) -> PathBuf {
    stack.config_path().with_file_name("archive")
}

/// The manifests of the journal's log.
pub(crate) fn manifests(stack: &Stack) -> Vec<Manifest> {
    let shelf = Arc::new(Directory::new(dir(stack)));
    let Some(log) = logs(stack).pop() else {
        return Vec::new();
    };
    Chain::open(shelf, &log).expect("a chain").manifests
}

pub(crate) fn logs(stack: &Stack) -> Vec<LogId> {
    archive::logs(&Directory::new(dir(stack))).expect("an archive")
}

/// Waits until every usage record that is in the journal now is in a sealed segment.
pub(crate) async fn archived(stack: &Stack) {
    let journal = read_journal(&stack.data_dir());
    let last = *journal.published.keys().next_back().expect("records");
    eventually("the journal is archived", async || {
        let end = manifests(stack).last()?.last;
        (u64::try_from(end).ok()? >= last).then_some(())
    })
    .await;
}

/// Runs `tollgate archive verify`.
pub(crate) async fn verify(stack: &Stack) -> (Option<i32>, String) {
    let dir = dir(stack);
    let mut verifying = tokio::process::Command::new(tests::tollgate());
    verifying.args(["archive", "verify"]).arg(dir);
    let ended = within("the archive is verified", verifying.output()).await;
    let ended: Ended = ended.expect("the program starts").into();
    (ended.code, ended.out + &ended.err)
}

/// Runs `tollgate rebuild`.
pub(crate) async fn rebuild(stack: &Stack, more: &[&str]) -> Ended {
    let arguments = [&["rebuild"], more].concat();
    run(&arguments, &stack.config_path()).await
}

/// Runs `tollgate rebuild`, which is killed at a point.
pub(crate) async fn killed_rebuild(stack: &Stack, failpoint: &str, more: &[&str]) {
    let arguments = [&["rebuild"], more].concat();
    let mut rebuilding = command(&arguments, &stack.config_path());
    rebuilding.env(runtime::failpoint::VARIABLE, failpoint);
    let ended = within("the rebuild is killed", rebuilding.output()).await;
    let code = ended.expect("the program starts").status.code();
    assert_eq!(code, None, "killed at {failpoint}");
}

/// All that a store holds and says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    tables: Vec<Vec<u8>>,
    bill: String,
}

/// The rows of every table in order, as bytes, and the digest of the bill of all time.
pub(crate) async fn holdings(engine: &Engine) -> Holdings {
    let reader = engine.client(User::Reader, store::DATABASE);
    let mut tables = Vec::new();
    for sql in [
        "SELECT DISTINCT * FROM audit_log ORDER BY topic, partition, offset",
        "SELECT * FROM usage_events FINAL ORDER BY topic, partition, offset",
        "SELECT * EXCEPT (repair_epoch) FROM cuts FINAL ORDER BY topic, partition, first",
    ] {
        let rows = reader.query_bytes(sql, "RowBinary").await;
        tables.push(rows.expect("rows").to_vec());
    }
    assert!(tables.iter().all(|rows| !rows.is_empty()));
    Holdings {
        tables,
        bill: bill(&reader).await,
    }
}

async fn bill(reader: &Client) -> String {
    let prices = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prices.csv");
    let book = billing::prices::load(&prices).expect("a price book");
    let utc = zone("UTC").expect("a zone");
    let request = Request {
        period: Period::parse("2020-01-01T00:00Z/2100-01-01T00:00Z", utc).expect("a period"),
        by: Dimension::parse_list("tenant,project,key,model,outcome").expect("dimensions"),
        synthetic: Synthetic::Include,
        tenant: None,
    };
    let report = report(reader, &book, &request).await.expect("a report");
    assert!(report.totals.requests > 0);
    report.report_hash
}

pub(crate) async fn execute(engine: &Engine, sql: &str) {
    let writer = engine.client(User::Writer, store::DATABASE);
    let ran = writer.statement(sql).execute().await;
    ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub(crate) async fn count(engine: &Engine, sql: &str) -> u64 {
    let reader = engine.client(User::Reader, store::DATABASE);
    reader.query(sql).fetch_one().await.expect("a number")
}

/// The path of the first segment's records.
pub(crate) fn segment(stack: &Stack, number: usize) -> PathBuf {
    dir(stack).join(manifests(stack)[number].segment_name())
}

pub(crate) fn cursor(stack: &Stack) -> PathBuf {
    stack.data_dir().join(fs_names::CONSUMER_CURSOR)
}
