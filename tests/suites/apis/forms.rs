//! Forms pass while they come; what turns out wrong on the way is refused and recorded.

use tests::raw::post;
use tests::{Rig, eventually, read_journal};

use super::plan::{ALIAS, JSON, LIMITED, SECRET, call, events_by_id, form, id, start};

/// Peak of the serving process's memory, in KiB.
fn peak_kib(rig: &Rig) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.pid()));
    let status = status.expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.expect("it has a peak")
}

#[tokio::test(flavor = "multi_thread")]
async fn large_forms_pass_without_being_held() {
    let rig = start().await;
    let (kind, small) = ("multipart/form-data; boundary=b", 100);
    let body = form(&[("model", ALIAS)], small, "--b--\r\n");
    assert_eq!(
        call(&rig, SECRET, "/v1/images/edits", kind, &body)
            .await
            .status,
        200
    );
    let before = peak_kib(&rig);
    let large = form(&[("model", ALIAS)], 20 << 20, "--b--\r\n");
    let calls = (0..8).map(async |_| call(&rig, SECRET, "/v1/images/edits", kind, &large).await);
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let grown = peak_kib(&rig) - before;
    assert!(grown < 48 << 10, "eight times 20 MiB took {grown} KiB");
    let events = rig.events().await;
    let whole = events
        .iter()
        .filter(|event| event["request_bytes"] == large.len());
    assert_eq!(whole.count(), 8, "the record says how long each was");
}

#[tokio::test]
async fn a_form_that_turns_out_wrong_after_it_has_begun_is_refused_and_recorded() {
    let rig = start().await;
    let kind = "multipart/form-data; boundary=b";
    let again =
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nforbidden\r\n--b--\r\n";
    let mut expected = Vec::new();
    for (end, code) in [
        (again, "duplicate_parameter"),
        ("--b\r\n", "invalid_form"),
        ("--b--\r\nmore", "invalid_form"),
    ] {
        for file_bytes in [100, 3_000_000] {
            let body = form(&[("model", ALIAS)], file_bytes, end);
            let answer = call(&rig, SECRET, "/v1/images/edits", kind, &body).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, code),
                "{}",
                answer.text()
            );
            expected.push((id(&answer), code));
        }
    }
    let events = events_by_id(&rig).await;
    for (id, code) in &expected {
        let event = &events[id];
        assert_eq!(
            ["outcome", "outcome_detail", "billable"].map(|name| event[name].as_str()),
            [Some("refused_invalid"), Some(*code), Some("no")],
            "{event}"
        );
    }
    let truth = rig.simulator.truth().since(0);
    let answered = truth.iter().filter(
        |record| matches!(record, simulator::Record::Answer(answer) if answer.status == 200),
    );
    assert_eq!(answered.count(), 0, "no provider had a whole request");
}

/// Whatever comes when: a count that is above its bound does not reach the provider.
#[tokio::test]
async fn a_count_that_comes_late_is_held_to_its_bound_too() {
    use tokio::io::AsyncWriteExt as _;
    let rig = start().await;
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"f\"\r\n\r\nx\r\n";
    for (n, status) in [("3", 400), ("2", 200)] {
        let first = format!(
            "{}{}{file}",
            field("model", "bounded"),
            field("prompt", "hello")
        );
        let rest = format!("{}--b--\r\n", field("n", n));
        let length = first.len() + rest.len();
        let head = format!(
            "POST /v1/images/edits HTTP/1.1\r\nhost: g\r\nconnection: close\r\napi-key: {SECRET}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: {length}\r\n\r\n{first}"
        );
        let before = read_journal(&rig.data_dir()).admissions.len();
        let mut stream = tokio::net::TcpStream::connect(rig.app())
            .await
            .expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        eventually("it is admitted by its model", async || {
            let admitted = read_journal(&rig.data_dir()).admissions.len();
            (admitted > before).then_some(())
        })
        .await;
        let answer = tests::raw::finish(stream, rest.as_bytes()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let code = if status == 200 {
            ""
        } else {
            "parameter_above_limit"
        };
        assert_eq!(answer.code(), code);
    }
}

/// Apps send a large body on while they are refused by its head: they must see why.
#[tokio::test]
async fn who_is_refused_while_it_sends_sees_the_answer() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let rig = start().await;
    let form = form(&[("model", ALIAS)], 8 << 20, "--b--\r\n");
    let json = format!(r#"{{"model":"{ALIAS}","input":"{}"}}"#, "x".repeat(8 << 20));
    for (path, kind, key, body, status) in [
        (
            "/v1/audio/transcriptions",
            "multipart/form-data; boundary=b",
            "wrong",
            &form,
            "401",
        ),
        (
            "/v1/images/edits",
            "multipart/form-data; boundary=b",
            LIMITED,
            &form,
            "403",
        ),
        ("/v1/embeddings", JSON, "wrong", &json, "401"),
        ("/v1/files", JSON, SECRET, &json, "400"),
    ] {
        let headers = format!("api-key: {key}\r\ncontent-type: {kind}\r\n");
        let request = post(path, &headers, body.as_bytes());
        let mut stream = tokio::net::TcpStream::connect(rig.app())
            .await
            .expect("it listens");
        stream.write_all(&request[..400]).await.expect("it reads");
        // The refusal is on its way before the rest is sent.
        let mut answer = [0; 12];
        if status == "401" {
            stream.read_exact(&mut answer).await.expect("it answers");
        }
        stream
            .write_all(&request[400..])
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        if status != "401" {
            stream.read_exact(&mut answer).await.expect("it answers");
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(answer, format!("HTTP/1.1 {status}"), "{path}");
    }
}

#[tokio::test]
async fn an_app_that_leaves_while_its_form_passes_used_nothing() {
    use tokio::io::AsyncWriteExt as _;
    let rig = start().await;
    let body = form(&[("model", ALIAS)], 2_000_000, "--b--\r\n");
    let headers = format!("api-key: {SECRET}\r\ncontent-type: multipart/form-data; boundary=b\r\n");
    let request = post("/v1/images/edits", &headers, body.as_bytes());
    let mut stream = tokio::net::TcpStream::connect(rig.app())
        .await
        .expect("it listens");
    stream
        .write_all(&request[..1_000_000])
        .await
        .expect("it reads");
    eventually("it is admitted", async || {
        let journal = read_journal(&rig.data_dir());
        (!journal.admissions.is_empty()).then_some(())
    })
    .await;
    drop(stream);
    let event = eventually("its record is there", async || rig.events().await.pop()).await;
    assert_eq!(
        ["outcome", "billable", "usage_source"].map(|name| event[name].as_str()),
        [Some("client_aborted"), Some("no"), Some("none")],
        "{event}"
    );
}
