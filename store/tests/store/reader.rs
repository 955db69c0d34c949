//! The reader cannot change a row, read a file, reach a host, or keep the writer out.

use crate::common::{DATABASE, TestEngine, eventually};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{Row, User};

#[derive(Debug, Clone, Row, Serialize, Deserialize)]
struct Number {
    a: i64,
}

const TABLE: &str = "CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10";

#[tokio::test]
async fn the_reader_changes_nothing_and_reaches_nothing() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    engine.run("INSERT INTO t VALUES (1)").await;
    let secrets = engine.folder.path().join("secrets/engine-writer");
    let secret = format!("SELECT file('{}')", secrets.display());
    let outfile = format!(
        "SELECT 1 INTO OUTFILE '{}'",
        engine.folder.path().join("engine/out").display()
    );
    for sql in [
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t SELECT 2",
        "ALTER TABLE t DELETE WHERE 1",
        "ALTER TABLE t ADD COLUMN b Int64",
        "DROP TABLE t",
        "TRUNCATE TABLE t",
        "CREATE TABLE u (a Int64) ENGINE = Memory",
        "CREATE TEMPORARY TABLE u (a Int64)",
        "OPTIMIZE TABLE t FINAL",
        "SET readonly = 0",
        "SET max_execution_time = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
        "USE system",
        "ATTACH DATABASE x",
        "SELECT file('/etc/passwd')",
        "SELECT `file`('/proc/self/environ')",
        secret.as_str(),
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "DESCRIBE TABLE file('/etc/passwd')",
        "SELECT * FROM default.`/etc/passwd`",
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString', 'a String')",
        "DESCRIBE TABLE url('http://127.0.0.1:9/')",
        "SELECT * FROM s3('http://127.0.0.1:9/b/k', 'LineAsString', 'a String')",
        "SELECT * FROM remote('127.0.0.1:9', system.one)",
        "SELECT * FROM mysql('127.0.0.1:9', 'a', 'b', 'c', 'd')",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        outfile.as_str(),
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
        "WITH 1 AS x INSERT INTO t SELECT x",
        "EXPLAIN SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString', 'a String')",
    ] {
        let answer = engine
            .http(User::Reader, &[("database", DATABASE)], sql.to_owned())
            .await;
        assert!(
            answer.status >= 400 && answer.code.is_some(),
            "{sql}: {answer:?}"
        );
        assert!(!answer.text.contains("root:"), "{sql}");
    }
    let setting = engine
        .http(User::Reader, &[("insert_deduplicate", "0")], "SELECT 1")
        .await;
    assert_eq!(
        (setting.status, setting.code.as_deref()),
        (404, Some("115"))
    );
    assert_eq!(engine.text("SELECT groupArray(a) FROM t").await, "[1]");
    assert!(!engine.folder.path().join("engine/out").exists());
}

#[tokio::test]
async fn the_reader_reads_what_people_read() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    for sql in [
        "SELECT count() FROM t",
        "WITH x AS (SELECT 1 AS y) SELECT y FROM x",
        "SHOW TABLES",
        "SHOW CREATE TABLE t",
        "DESCRIBE TABLE t",
        "EXISTS TABLE t",
        "EXPLAIN SELECT a FROM t",
        "SELECT name FROM system.columns WHERE table = 't'",
        "SELECT 1 FORMAT Parquet",
    ] {
        let answer = engine
            .http(User::Reader, &[("database", DATABASE)], sql)
            .await;
        assert_eq!(answer.status, 200, "{sql}: {answer:?}");
    }
}

/// Also the writer, whom nothing but the kernel keeps from files: its process is fenced in.
#[tokio::test]
async fn the_kernel_fences_the_whole_process_in() {
    assert_eq!(
        store::engine::landlock_status(),
        store::engine::FenceStatus::Full,
        "this test needs Landlock (Linux 6.7)"
    );
    let engine = TestEngine::start().await;
    let secrets = engine.folder.path().join("secrets/engine-reader");
    for path in [
        "/etc/passwd",
        &secrets.display().to_string(),
        "/root/.bashrc",
    ] {
        let answer = engine
            .http(User::Writer, &[], format!("SELECT file('{path}')"))
            .await;
        assert_eq!(answer.code.as_deref(), Some("76"), "{path}: {answer:?}");
        assert!(
            answer.text.contains("Permission denied"),
            "{path}: {answer:?}"
        );
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sql = format!(
        "SELECT * FROM url('{url}', 'LineAsString', 'a String') SETTINGS http_max_tries = 1"
    );
    assert_ne!(engine.http(User::Writer, &[], sql).await.status, 200);
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "nobody connected"
    );
}

#[tokio::test]
async fn a_slow_reader_does_not_hold_an_insert_up() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let reader = engine.reader();
    let slow = reader
        .query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1")
        .timeout(Duration::from_secs(50));
    let mut slow = tokio::task::JoinSet::from_iter([slow.execute()]);
    let running = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number) = 1%' AND query NOT LIKE '%processes%'";
    eventually("the slow query runs", async || {
        (engine.text(running).await == "1").then_some(())
    })
    .await;
    for round in 0..10 {
        engine
            .writer()
            .insert_block("t", &format!("t/{round}"), &[Number { a: round }])
            .await
            .unwrap();
    }
    assert_eq!(engine.text("SELECT count() FROM t").await, "10");
    assert!(slow.try_join_next().is_none(), "the reader still counts");
    assert_eq!(engine.text(running).await, "1");
    engine
        .run("KILL QUERY WHERE query LIKE '%sipHash64(number) = 1%' AND query NOT LIKE '%KILL%'")
        .await;
    assert!(slow.join_next().await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn the_readers_results_and_time_are_bounded() {
    let engine = TestEngine::start().await;
    let long = engine
        .http(
            User::Reader,
            &[("max_execution_time", "1")],
            "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1",
        )
        .await;
    assert_eq!((long.status, long.code.as_deref()), (408, Some("159")));
    for sql in [
        "SELECT randomPrintableASCII(1000) FROM numbers(1000000)",
        // A constant column, which the engine's own limit takes for a single value.
        "SELECT repeat('x', 1000) FROM numbers(300000)",
    ] {
        let large = engine.http(User::Reader, &[], sql).await;
        assert_eq!(large.code.as_deref(), Some("396"), "{sql}");
    }
    let greedy = engine
        .http(
            User::Reader,
            &[],
            "SELECT arraySort(groupArray(number)) FROM numbers(300000000)",
        )
        .await;
    assert_eq!(greedy.code.as_deref(), Some("241"), "{}", greedy.text.len());
    let asked = engine
        .http(
            User::Reader,
            &[("max_execution_time", "0")],
            "SELECT getSetting('max_execution_time')",
        )
        .await;
    assert_eq!(asked.text, "60\n");
}
