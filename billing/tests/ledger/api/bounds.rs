//! Who may not, what is wrong, and what is too much: each has its status, its code and its parameter. The store of most
//! of these tests takes calls and never answers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use axum::http::{Method, header};
use billing::api::{Access, ENDPOINTS};
use store::{Client, Password};
use tokio::task::JoinSet;

use super::door::{Answer, Door};
use crate::common::{Ledger, event};

const USED: &str = r#"{"input_text":1000,"output_text":37}"#;

fn client(address: SocketAddr) -> Client {
    Client::connect(
        format!("http://{address}"),
        "reader",
        Password::new("p"),
        "tollgate",
    )
}

/// A store that takes connections and says nothing.
fn silent() -> (Client, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    (client(listener.local_addr().expect("an address")), listener)
}

/// An endpoint's URL with what it must have.
fn url(path: &str) -> String {
    let kind = if path == "/v1/exports" {
        "?kind=trail"
    } else {
        ""
    };
    format!("{path}{kind}")
}

fn is(answer: &Answer, status: u16, code: &str, param: &str) {
    let wanted = (status, code.to_owned(), param.to_owned());
    assert_eq!(answer.error(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_a_token_and_only_what_a_reader_may() {
    let (client, _silent) = silent();
    let door = Door::open(client, "");
    for endpoint in ENDPOINTS {
        let url = url(endpoint.path);
        for method in [Method::POST, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            let answer = door.ask(method, "all", &url, &[]).await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, "GET"),
                "{url}"
            );
        }
        if endpoint.access == Access::Anybody {
            door.get("", &url).await.good();
            continue;
        }
        let answer = door.get("", &url).await;
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        is(&answer, 401, "no_token", "");
        // Before the query is even read.
        let wrong = format!("{}?colour=red", endpoint.path);
        is(&door.get("nobody", &wrong).await, 401, "wrong_token", "");
        let Access::Reader(needed) = endpoint.access else {
            door.get("reports", &url).await.good();
            continue;
        };
        for token in ["reports", "audit", "exports"]
            .into_iter()
            .filter(|t| *t != needed.as_str())
        {
            is(&door.get(token, &url).await, 403, "not_allowed", "");
        }
    }
    for nowhere in [
        "/v1",
        "/v1/chargeback/",
        "/v1/exports/../audit",
        "/V1/audit",
        "/metrics",
    ] {
        is(&door.get("all", nowhere).await, 404, "not_found", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_is_named_with_the_way_out() {
    let (client, _silent) = silent();
    let door = Door::open(client, "");
    for (url, param) in [
        ("/v1/chargeback?period=November", "period"),
        ("/v1/chargeback?period=2026-11-02/2026-11-01", "period"),
        ("/v1/chargeback?tz=Berlin", "tz"),
        ("/v1/chargeback?by=colour", "by"),
        ("/v1/chargeback?by=tenant,tenant", "by"),
        ("/v1/chargeback?synthetic=yes", "synthetic"),
        ("/v1/chargeback?format=xml", "format"),
        ("/v1/coverage?by=colour", "by"),
        ("/v1/audit?since=yesterday", "since"),
        ("/v1/audit?until=soon", "until"),
        ("/v1/audit?since=2026-11-02&until=2026-11-01", "since"),
        ("/v1/audit?outcome=fine", "outcome"),
        ("/v1/audit?label=team", "label"),
        ("/v1/audit?limit=0", "limit"),
        ("/v1/audit?limit=many", "limit"),
        ("/v1/audit?cursor=x", "cursor"),
        ("/v1/exports?kind=all", "kind"),
        ("/v1/exports?kind=trail&format=xlsx", "format"),
        ("/v1/prices?at=then", "at"),
    ] {
        is(&door.get("all", url).await, 400, "bad_parameter", param);
    }
    is(
        &door.get("all", "/v1/exports").await,
        400,
        "missing_parameter",
        "kind",
    );
    is(
        &door.get("all", "/v1/audit?tennant=acme").await,
        400,
        "unknown_parameter",
        "tennant",
    );
    is(
        &door.get("all", "/v1/audit?tenant=%FF").await,
        400,
        "bad_query",
        "",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_or_silent_is_told_apart() {
    let (_, listener) = silent();
    let gone = client(listener.local_addr().expect("an address"));
    drop(listener);
    let door = Door::open(gone, "");
    for endpoint in ["/v1/chargeback", "/v1/coverage", "/v1/audit", "/v1/exports"] {
        let answer = door.get("all", &url(endpoint)).await;
        assert_eq!(answer.header("retry-after"), "5");
        is(&answer, 503, "store_unavailable", "");
    }
    door.get("all", "/v1/prices").await.good();
    let (client, _silent) = silent();
    let door = Door::open(client, "query_timeout_ms = 300\nexport_timeout_ms = 300\n");
    is(
        &door.get("all", "/v1/chargeback").await,
        504,
        "query_timeout",
        "period",
    );
    is(
        &door.get("all", "/v1/audit").await,
        504,
        "query_timeout",
        "since",
    );
    is(
        &door.get("all", "/v1/exports?kind=trail").await,
        504,
        "query_timeout",
        "period",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_than_can_run_and_wait_comes_back_later() {
    let (client, _silent) = silent();
    let settings = "queries_at_once = 1\nwaiting = 1\nof_one_reader = 2\nquery_timeout_ms = 3000\nwait_ms = 60000\n";
    let door = std::sync::Arc::new(Door::open(client, settings));
    let mut asking = JoinSet::new();
    let ask = |asking: &mut JoinSet<_>, token: &'static str| {
        let door = door.clone();
        asking.spawn(async move { door.get(token, "/v1/chargeback?tenant=acme").await });
    };
    // One runs and one waits, in whatever order they come; the third is over a bound whichever comes last.
    for _ in 0..3 {
        ask(&mut asking, "all");
    }
    let first = asking
        .join_next()
        .await
        .expect("three were asked")
        .expect("no panic");
    assert_eq!(first.header("retry-after"), "2");
    is(&first, 429, "too_many_requests", "");
    let other = door.get("acme", "/v1/chargeback").await;
    is(&other, 429, "too_many_requests", "");
    // Who goes away gives its place back: both are dropped, and another one runs to its timeout.
    asking.shutdown().await;
    is(
        &door.get("reports", "/v1/chargeback").await,
        504,
        "query_timeout",
        "period",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_refused_before_it_is_sent() {
    let ledger = Ledger::start().await;
    let events: Vec<_> = (1..6).map(|number| event(number, &[("m", USED)])).collect();
    ledger.write(0, &events).await;
    let door = Door::open(ledger.reader(), "max_rows = 1\nmax_export_records = 4\n");
    door.get("all", "/v1/chargeback").await.good();
    ledger
        .write(10, &[crate::common::of(event(9, &[("m", USED)]), "globex")])
        .await;
    is(
        &door.get("all", "/v1/chargeback").await,
        400,
        "too_large",
        "by",
    );
    is(
        &door.get("all", "/v1/coverage").await,
        400,
        "too_large",
        "by",
    );
    is(
        &door.get("all", "/v1/exports?kind=trail").await,
        400,
        "too_large",
        "period",
    );
    door.get("all", "/v1/exports?kind=trail&tenant=globex")
        .await
        .good();
    // A database without our tables.
    let empty = Door::open(ledger.reader().in_database("default"), "");
    is(
        &empty.get("all", "/v1/audit").await,
        503,
        "store_not_ready",
        "",
    );
    let headers = [(header::ACCEPT, "text/html")];
    let page = door.ask(Method::GET, "", "/", &headers).await.good();
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
}
