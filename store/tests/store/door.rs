//! The door: who may knock, and how loud. Passwords, Host, sizes, settings, sessions.

use crate::common::{Answer, TestEngine, send};
use std::io::{Read as _, Write as _};
use store::User;

#[tokio::test]
async fn only_a_known_user_with_its_password_comes_in() {
    let engine = TestEngine::start().await;
    let url = engine.ready().await.url;
    let http = reqwest::Client::new();
    let reader = engine.supervisor.credentials().reader.expose();
    for (user, password) in [
        ("reader", "wrong"),
        ("tollgate", reader),
        ("default", ""),
        ("nobody", reader),
    ] {
        let answer = send(
            http.post(format!("{url}/"))
                .basic_auth(user, Some(password))
                .body("SELECT 1"),
        )
        .await;
        assert_eq!(
            (answer.status, answer.code.as_deref()),
            (401, Some("516")),
            "{user}"
        );
        assert!(!answer.text.contains(reader));
    }
    let none = send(http.post(format!("{url}/")).body("SELECT 1")).await;
    assert_eq!(none.status, 401);
    let headers = http
        .post(format!("{url}/"))
        .header("X-ClickHouse-User", "reader")
        .header("X-ClickHouse-Key", reader);
    assert_eq!(send(headers.body("SELECT 1")).await.text, "1\n");
    let in_url = http.get(format!(
        "{url}/?user=reader&password={reader}&query=SELECT+2"
    ));
    assert_eq!(send(in_url).await.text, "2\n");
    assert_eq!(send(http.get(format!("{url}/ping"))).await.text, "Ok.\n");
    assert_eq!(send(http.get(format!("{url}/nope"))).await.status, 404);
}

#[tokio::test]
async fn a_foreign_host_header_is_refused() {
    let engine = TestEngine::start().await;
    let url = engine.ready().await.url;
    let http = reqwest::Client::new();
    for (host, status) in [("evil.example", 400), ("localhost:1", 400), ("", 400)] {
        for path in ["/ping", "/?query=SELECT+1"] {
            let answer = send(http.get(format!("{url}{path}")).header("Host", host)).await;
            assert_eq!(answer.status, status, "{host}{path}");
        }
    }
}

#[tokio::test]
async fn bodies_have_a_cap_announced_or_not() {
    let engine = TestEngine::start().await;
    // A client that sends first and reads then sees why: what is too much is read as well.
    for size in [1 << 20, 2 << 20, 8 << 20] {
        let large = format!("SELECT 1 -- {}", "x".repeat(size));
        let announced = engine.http(User::Reader, &[], large.clone()).await;
        assert_eq!(
            (announced.status, announced.code.as_deref()),
            (413, Some("307"))
        );
        let pieces: Vec<Result<String, std::io::Error>> = vec![Ok(large)];
        let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        assert_eq!(engine.http(User::Reader, &[], chunked).await.status, 413);
    }

    // Rows have a larger cap; the announcement alone is enough.
    let address = engine
        .ready()
        .await
        .url
        .trim_start_matches("http://")
        .to_owned();
    let password = engine.supervisor.credentials().writer.expose();
    let mut socket = std::net::TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /?query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: {address}\r\nContent-Length: 300000000\r\n\
         X-ClickHouse-User: tollgate\r\nX-ClickHouse-Key: {password}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut status = [0_u8; 12];
    socket.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[tokio::test]
async fn settings_come_from_a_list_and_never_outlive_their_request() {
    let engine = TestEngine::start().await;
    let ask = "SELECT getSetting('max_block_size')";
    let given = engine
        .http(User::Writer, &[("max_block_size", "4321")], ask)
        .await;
    assert_eq!(given.text, "4321\n");
    let next = engine.http(User::Writer, &[], ask).await;
    assert_ne!(next.text, "4321\n");
    let set = engine
        .http(User::Writer, &[], "SET max_block_size = 4321")
        .await;
    assert_eq!(set.status, 200);
    assert_ne!(engine.http(User::Writer, &[], ask).await.text, "4321\n");
    let unknown = engine.http(User::Writer, &[("allow_ddl", "1")], ask).await;
    assert_eq!(
        (unknown.status, unknown.code.as_deref()),
        (404, Some("115"))
    );
    let harmless = engine
        .http(
            User::Reader,
            &[("session_id", "x"), ("wait_end_of_query", "1")],
            "SELECT 1",
        )
        .await;
    assert_eq!(harmless.text, "1\n");
    let parameter = engine
        .http(User::Reader, &[("param_x", "it's")], "SELECT {x:String}")
        .await;
    assert_eq!(parameter.text, "it\\'s\n");
}

#[tokio::test]
async fn a_failed_query_leaves_nothing_for_the_next() {
    let engine = TestEngine::start().await;
    let failing = "SELECT throwIf(number = 5, 'x'), 'left behind' FROM numbers(10) SETTINGS max_block_size = 1";
    for _ in 0..3 {
        assert_ne!(engine.http(User::Writer, &[], failing).await.status, 200);
        assert_eq!(engine.http(User::Writer, &[], "SELECT 1").await.text, "1\n");
    }
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let engine = TestEngine::start().await;
    let url = engine.ready().await.url;
    let password = engine.supervisor.credentials().writer.expose();
    let get = reqwest::Client::new()
        .get(format!(
            "{url}/?query=CREATE+TABLE+tollgate.t+(a+Int64)+ENGINE+=+Memory"
        ))
        .basic_auth("tollgate", Some(password));
    let Answer { status, code, .. } = send(get).await;
    assert_eq!((status, code.as_deref()), (500, Some("164")));
}

#[tokio::test]
async fn errors_have_clickhouses_code_and_status() {
    let engine = TestEngine::start().await;
    for (sql, status, code) in [
        ("SELECT 1 +", 400, "62"),
        ("SELECT * FROM nope", 404, "60"),
        ("SELECT nope()", 404, "46"),
        ("SELECT 1 FORMAT Nope", 404, "73"),
        ("SELECT 1 INTO OUTFILE 'x'", 501, "48"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("INSERT INTO nope VALUES (1)", 404, "60"),
        ("SELECT throwIf(1)", 500, "395"),
    ] {
        let answer = engine
            .http(User::Writer, &[("database", "tollgate")], sql)
            .await;
        assert_eq!(
            (answer.status, answer.code.as_deref()),
            (status, Some(code)),
            "{sql}: {}",
            answer.text
        );
        assert!(
            answer.text.starts_with(&format!("Code: {code}. DB::")),
            "{}",
            answer.text
        );
    }
}
