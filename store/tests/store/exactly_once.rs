//! A repeated insert is harmless: the same token does nothing, also after the engine was killed; an insert is one block.

use crate::common::{DATABASE, TestEngine, eventually};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use store::{Class, Row};

#[derive(Debug, Clone, Row, Serialize, Deserialize)]
struct Record {
    offset: i64,
    bytes: String,
}

const TABLE: &str = "CREATE TABLE log (offset Int64, bytes String) ENGINE = MergeTree ORDER BY offset \
    SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1";

fn records(from: i64, count: i64, bytes: &str) -> Vec<Record> {
    (from..from + count)
        .map(|offset| Record {
            offset,
            bytes: bytes.to_owned(),
        })
        .collect()
}

const COUNT: &str = "SELECT count(), uniqExact(offset), sum(length(bytes)) FROM log";

#[tokio::test]
async fn a_token_counts_once_also_after_a_kill() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let writer = engine.writer();
    for _ in 0..3 {
        writer
            .insert_block("log", "log/0-99", &records(0, 100, "x"))
            .await
            .unwrap();
    }
    assert_eq!(engine.text(COUNT).await, "100\t100\t100");
    for round in 0..3 {
        let from = 1_000 * (round + 1);
        let token = format!("log/{from}");
        writer
            .insert_block("log", &token, &records(from, 1_000, "y"))
            .await
            .unwrap();
        engine.kill().await;
        // The same client follows the engine to its new address.
        writer
            .insert_block("log", &token, &records(from, 1_000, "y"))
            .await
            .unwrap();
        writer
            .insert_block("log", "log/0-99", &records(0, 100, "x"))
            .await
            .unwrap();
        let expected = 100 + 1_000 * (round + 1);
        assert_eq!(
            engine.text(COUNT).await,
            format!("{expected}\t{expected}\t{expected}")
        );
    }
}

#[tokio::test]
async fn the_largest_batch_is_one_block() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let rows = records(0, 65_536, &"\n\nwide ".repeat(150));
    for _ in 0..2 {
        engine
            .writer()
            .insert_block("log", "wide", &rows)
            .await
            .unwrap();
    }
    assert_eq!(
        engine.text(COUNT).await,
        format!("65536\t65536\t{}", 65_536 * 150 * 7)
    );
    let parts =
        format!("SELECT count() FROM system.parts WHERE database = '{DATABASE}' AND table = 'log'");
    assert_eq!(engine.text(&parts).await, "1");
}

#[tokio::test]
async fn failures_have_a_class() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let writer = engine.writer();
    let row = records(0, 1, "x");
    assert_eq!(
        writer
            .insert_block("nope", "t", &row)
            .await
            .unwrap_err()
            .class(),
        Class::Rejected
    );
    assert_eq!(
        writer
            .insert_block("log", "", &row)
            .await
            .unwrap_err()
            .class(),
        Class::Rejected
    );
    assert_eq!(
        writer
            .query("SELECT 1 +")
            .execute()
            .await
            .unwrap_err()
            .code(),
        Some(62)
    );
    let nobody = store::Client::connect(
        "http://127.0.0.1:9",
        "tollgate",
        store::Password::new("x"),
        DATABASE,
    );
    assert_eq!(nobody.ping().await.unwrap_err().class(), Class::Unavailable);
    engine.supervisor.stop().await;
    assert_eq!(
        writer
            .insert_block("log", "t", &row)
            .await
            .unwrap_err()
            .class(),
        Class::Unavailable
    );
}

#[tokio::test]
async fn rows_that_stand_in_the_statement_are_taken_whole() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    engine
        .run("INSERT INTO log VALUES (1, 'a;b\n\nc'), (2, ')')")
        .await;
    engine
        .run("INSERT INTO log (offset, bytes) SETTINGS async_insert = 0 FORMAT TSV\n3\tx;\n4\ty\n")
        .await;
    engine.run("INSERT INTO log SELECT 5, 'z'").await;
    let all = "SELECT groupArray(hex(bytes)) FROM (SELECT bytes FROM log ORDER BY offset)";
    assert_eq!(
        engine.text(all).await,
        "['613B620A0A63','29','783B','79','7A']"
    );
}

/// The consumer's loop in small: the same batches with the same tokens, repeated until they are acknowledged.
#[tokio::test]
async fn random_kills_neither_lose_nor_double_a_row() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let writer = engine.writer();
    let kills = Cell::new(0);
    let inserting = async {
        let mut batches = 0;
        while kills.get() < KILLS {
            let token = format!("log/{batches}");
            let rows = records(batches * 500, 500, "\n\n");
            eventually("the batch is acknowledged", async || {
                match writer.insert_block("log", &token, &rows).await {
                    Ok(()) => Some(()),
                    Err(error) if error.class() == Class::Rejected => panic!("{error}"),
                    Err(_) => None,
                }
            })
            .await;
            batches += 1;
        }
        batches
    };
    let killing = async {
        while kills.get() < KILLS {
            engine.kill().await;
            kills.set(kills.get() + 1);
        }
    };
    let (batches, ()) = tokio::join!(inserting, killing);
    let rows = batches * 500;
    assert_eq!(
        engine.text(COUNT).await,
        format!("{rows}\t{rows}\t{}", rows * 2)
    );
}

const KILLS: u32 = 5;

#[tokio::test]
async fn half_an_insert_is_none() {
    let engine = TestEngine::start().await;
    engine.run(TABLE).await;
    let url = engine.ready().await.url;
    let address = url.trim_start_matches("http://").to_owned();
    let password = engine.supervisor.credentials().writer.expose();
    for framing in [
        "Transfer-Encoding: chunked\r\n\r\n8\r\n1\ta\n2\tb\n\r\n",
        "Content-Length: 12\r\n\r\n1\ta\n2\tb\n",
    ] {
        let mut socket = std::net::TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST /?database={DATABASE}&query=INSERT+INTO+log+FORMAT+TSV HTTP/1.1\r\nHost: {address}\r\n\
             X-ClickHouse-User: tollgate\r\nX-ClickHouse-Key: {password}\r\n{framing}"
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // The engine may just hang up: then there is no answer, which is as good.
        drop(socket.read_to_end(&mut answer));
        assert!(
            !answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(engine.text("SELECT count() FROM log").await, "0");
}
