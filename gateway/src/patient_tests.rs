//! A provider that answers early and closes, many times over: its answer is read each time.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONNECTION, HeaderMap, HeaderValue};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::metrics::Metrics;
use crate::upload::Sent;
use crate::upstream::{CallError, Upstream};

const TRIES: usize = 200;
const ANSWER: &[u8] =
    b"HTTP/1.1 413 Payload Too Large\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"error\":\"big\"}";

/// Reads a little of each request, says so much of an answer, and closes with the rest unread: that resets the connection.
async fn refuse_early(listener: TcpListener, answer: &'static [u8]) {
    while let Ok((mut stream, _)) = listener.accept().await {
        answer_early(&mut stream, answer).await;
    }
}

async fn answer_early(stream: &mut TcpStream, answer: &[u8]) {
    let mut begun = [0; 1_024];
    if stream.read(&mut begun).await.is_ok() {
        // The app's side may be gone already.
        drop(stream.write_all(answer).await);
    }
}

async fn tries(answer: &'static [u8]) -> Vec<Result<(u16, Bytes), CallError>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/x", listener.local_addr().unwrap());
    let mut provider = tokio::task::JoinSet::new();
    provider.spawn(refuse_early(listener, answer));
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    let upstream = Upstream::new(Duration::from_secs(5), metrics).unwrap();
    let body = Bytes::from(vec![b'x'; 4 << 20]);
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let body = Sent::Whole(Full::new(body.clone()));
        // Each call on a connection of its own: whether the next one finds an old one closed is not asked here.
        let headers = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let calling = upstream.post(url.parse().unwrap(), headers, body);
        seen.push(match calling.await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let whole = answer.into_body().collect().await;
                Ok((
                    status,
                    whole
                        .map(http_body_util::Collected::to_bytes)
                        .unwrap_or_default(),
                ))
            }
            Err(error) => Err(error),
        });
    }
    provider.abort_all();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_is_read_though_the_body_could_not_be_sent() {
    let seen = tries(ANSWER).await;
    let wanted = Ok((413, Bytes::from_static(b"{\"error\":\"big\"}")));
    let others: Vec<_> = seen.iter().filter(|one| **one != wanted).collect();
    assert!(
        others.is_empty(),
        "{} of {TRIES}: {:?}",
        others.len(),
        others.first()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_no_answer_the_call_is_broken() {
    let seen = tries(b"HTTP/1.1 413 Pay").await;
    let others = seen.iter().filter(|one| **one != Err(CallError::Broken));
    assert_eq!(others.count(), 0);
}
