//! A provider that answers early and closes, many times over: its answer is read each time.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Uri;
use axum::http::header::{CONNECTION, HeaderMap, HeaderValue};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::rt::{Read, ReadBufCursor, Write};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Patient;
use crate::metrics::Metrics;
use crate::upload::Sent;
use crate::upstream::pool::{Connect, Pool};
use crate::upstream::wire::Wire;
use crate::upstream::{CallError, Upstream, post};

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

/// What each call gave, and whether it is known that its body was not all taken.
async fn tries(answer: &'static [u8]) -> Vec<(Result<(u16, Bytes), CallError>, bool)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/x", listener.local_addr().unwrap());
    let mut provider = tokio::task::JoinSet::new();
    provider.spawn(refuse_early(listener, answer));
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    let upstream = Upstream::new(Duration::from_secs(5), metrics).unwrap();
    // More than the buffers between two sockets take: 4 MB now and then fit.
    let body = Bytes::from(vec![b'x'; 16 << 20]);
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let body = Sent::Whole(Full::new(body.clone()));
        // Each call on a connection of its own: whether the next one finds an old one closed is not asked here.
        let headers = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let (calling, line) = upstream.post(url.parse().unwrap(), headers, body);
        let called = match calling.await {
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
        };
        seen.push((called, line.is_deaf()));
    }
    provider.abort_all();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_is_read_though_the_body_could_not_be_sent() {
    let seen = tries(ANSWER).await;
    let wanted = Ok((413, Bytes::from_static(b"{\"error\":\"big\"}")));
    let others: Vec<_> = seen.iter().filter(|(one, _)| *one != wanted).collect();
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
    let broken = (Err(CallError::Broken), true);
    let others: Vec<_> = seen.iter().filter(|one| **one != broken).collect();
    assert!(
        others.is_empty(),
        "it is known that not all was taken: {others:?}"
    );
}

/// A connection whose other side answers every request at once, keeps it open, and takes nothing any more: so it looks
/// from here between a reset and the moment at which it is read.
#[derive(Debug)]
struct Deafened {
    is_asked: bool,
    left: &'static [u8],
}

impl Read for Deafened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_asked {
            cx.waker().wake_by_ref();
        }
        if !self.is_asked || self.left.is_empty() {
            return Poll::Pending;
        }
        let now = self.left.len().min(buf.remaining());
        buf.put_slice(&self.left[..now]);
        self.left = &self.left[now..];
        Poll::Ready(Ok(()))
    }
}

impl Write for Deafened {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Counts the connections that it makes.
struct Deaf(Arc<AtomicUsize>);

impl Connect for Deaf {
    fn connect(&self, _: Uri) -> BoxFuture<'static, Result<Wire, CallError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            let deafened = Deafened {
                is_asked: false,
                left: ANSWER,
            };
            Ok(Wire::over(Patient::new(deafened)))
        })
    }
}

#[tokio::test]
async fn no_other_call_gets_a_connection_that_takes_nothing_any_more() {
    let made = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new(Deaf(made.clone()));
    let url: Uri = "http://provider/v1/x".parse().unwrap();
    for calls in 1..=3 {
        let body = Sent::Whole(Full::new(Bytes::from_static(b"{}")));
        let (calling, line) = post(&pool, url.clone(), HeaderMap::new(), body);
        let answer = calling.await.unwrap();
        assert_eq!(answer.status().as_u16(), 413);
        let whole = answer.into_body().collect().await.unwrap();
        assert_eq!(whole.to_bytes().len(), 15);
        assert!(line.is_deaf());
        assert_eq!(made.load(Ordering::Relaxed), calls, "each has its own");
    }
}
