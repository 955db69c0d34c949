//! Forms that are answered before they are whole, and after, on connections that wake only whoever they promised to.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use axum::body::Body as AppBody;
use axum::http::{HeaderMap, Uri};
use futures_util::future::BoxFuture;
use futures_util::stream;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::super::pool::Connect;
use super::super::{CallError, post};
use super::*;
use crate::door::FormScan;
use crate::patient::Patient;
use crate::upload::{Bounds, Sent};

/// Less than anything that is sent.
const PIPE_BYTES: usize = 1_000;
/// Of the file in a form.
const FILE_BYTES: usize = 200_000;

/// Gives one end of a pipe, once.
struct Once(Mutex<Option<DuplexStream>>);

impl Connect for Once {
    fn connect(&self, _: Uri) -> BoxFuture<'static, Result<Wire, CallError>> {
        let end = self.0.lock().take();
        Box::pin(async move {
            let end = end.ok_or(CallError::Unreachable)?;
            Ok(Wire::over(Patient::new(TokioIo::new(end))))
        })
    }
}

fn pool() -> (Arc<Pool>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    (Pool::new(Once(Mutex::new(Some(ours)))), theirs)
}

type Piece = Result<Bytes, Error>;

/// A form that comes as it is told to.
fn form(pieces: mpsc::UnboundedReceiver<Piece>) -> Sent {
    let coming = stream::unfold(pieces, async |mut pieces| {
        let piece: Piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let bounds = Bounds {
        limit: 100 << 20,
        time_ms: 60_000,
        until: Instant::now() + Duration::from_mins(1),
        n: None,
    };
    let upload = crate::upload::Upload::new(
        Vec::new(),
        0,
        Some(AppBody::from_stream(coming)),
        FormScan::new("b"),
        bounds,
        TaskTracker::new(),
    );
    Sent::Passing(Box::new(upload))
}

/// The bytes of a form, in its beginning and its end.
fn bytes() -> (Bytes, Bytes) {
    let file: String = ('a'..='w').cycle().take(FILE_BYTES).collect();
    let begin = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n";
    (
        Bytes::from(format!("{begin}{file}")),
        Bytes::from_static(b"\r\n--b--\r\n"),
    )
}

/// Reads a request in chunks to its end, and gives its body.
async fn read_to_end(stream: &mut DuplexStream, mut all: Vec<u8>) -> Vec<u8> {
    let mut more = [0; 777];
    loop {
        let begins = all.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(begins) = begins {
            let mut decoder = Decoder::chunked();
            let (mut rest, mut body) = (&all[begins + 4..], Vec::new());
            while let Some(data) = decoder.next(&mut rest) {
                body.extend_from_slice(data);
            }
            if decoder.is_at_end() {
                return body;
            }
        }
        let read = stream.read(&mut more).await.expect("it goes on");
        assert!(read > 0, "the request ends before its end");
        all.extend_from_slice(&more[..read]);
    }
}

async fn begin(stream: &mut DuplexStream) -> Vec<u8> {
    let mut begun = vec![0; 5_000];
    stream.read_exact(&mut begun).await.expect("it begins");
    begun
}

fn call(pool: &Arc<Pool>, body: Sent) -> super::super::Calling {
    let url = "http://provider/v1/x".parse().expect("an address");
    post(pool, url, HeaderMap::new(), body).0
}

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";

#[tokio::test]
async fn a_form_arrives_byte_for_byte_and_its_connection_serves_on() {
    let (pool, mut provider) = pool();
    let (tell, pieces) = mpsc::unbounded_channel();
    let (first, last) = bytes();
    let whole = [&first[..], &last].concat();
    tell.send(Ok(first)).expect("it is read");
    tell.send(Ok(last)).expect("it is read");
    drop(tell);
    let serving = async {
        let body = read_to_end(&mut provider, Vec::new()).await;
        provider.write_all(WHOLE).await.expect("it is read");
        body
    };
    let calling = async {
        let answer = call(&pool, form(pieces)).await.expect("an answer");
        let body = answer.into_body().collect().await.expect("all of it");
        assert_eq!(body.to_bytes(), "{}");
    };
    let (sent, ()) = tokio::join!(serving, calling);
    assert!(sent == whole, "{} of {} bytes", sent.len(), whole.len());
    assert_eq!(pool.waiting(), 1);
}

/// Its app sends all of it before it reads anything.
#[tokio::test]
async fn a_form_goes_on_while_nobody_reads_its_answer() {
    let (pool, mut provider) = pool();
    let (tell, pieces) = mpsc::unbounded_channel();
    let (first, last) = bytes();
    let whole = [&first[..], &last].concat();
    tell.send(Ok(first)).expect("it is read");
    let calling = call(&pool, form(pieces));
    let serving = async {
        let begun = begin(&mut provider).await;
        provider.write_all(BEGUN).await.expect("it is read");
        begun
    };
    let (answer, begun) = tokio::join!(calling, serving);
    let mut body = answer.expect("an answer").into_body();
    tell.send(Ok(last)).expect("it is read");
    drop(tell);
    let sent = read_to_end(&mut provider, begun).await;
    assert!(sent == whole, "{} of {} bytes", sent.len(), whole.len());
    provider.write_all(b"0\r\n\r\n").await.expect("it is read");
    let piece = body.frame().await.expect("a piece").expect("no fault");
    assert_eq!(piece.into_data().expect("data"), "{}");
    assert!(body.frame().await.is_none());
    drop(body);
    assert_eq!(pool.waiting(), 0, "it serves no other call");
}

#[tokio::test]
async fn an_answer_that_has_come_is_one_whatever_becomes_of_its_form() {
    for (answered, is_whole) in [(WHOLE, true), (BEGUN, false)] {
        let (pool, mut provider) = pool();
        let (tell, pieces) = mpsc::unbounded_channel();
        tell.send(Ok(bytes().0)).expect("it is read");
        let calling = call(&pool, form(pieces));
        let serving = async {
            begin(&mut provider).await;
            provider.write_all(answered).await.expect("it is read");
        };
        let (answer, ()) = tokio::join!(calling, serving);
        let body = answer.expect("an answer").into_body();
        let broken = Err(Error::from(ErrorKind::ConnectionReset));
        tell.send(broken).expect("it is read");
        // The task of the form is to see it first.
        let mut reading = tokio::task::JoinSet::new();
        reading.spawn(async move {
            let mut rest = Vec::new();
            provider.read_to_end(&mut rest).await
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let collected = body.collect().await;
        let collected = collected.map(http_body_util::Collected::to_bytes);
        match collected {
            Ok(bytes) => assert!(is_whole && bytes == "{}"),
            Err(error) => assert_eq!((is_whole, error), (false, BadAnswer::NotSent)),
        }
        assert_eq!(pool.waiting(), 0);
        let read = reading.join_next().await.expect("it was spawned");
        read.expect("no panic").expect("it is closed");
    }
}

#[tokio::test]
async fn who_wants_no_more_of_an_answer_sends_no_more_of_its_form() {
    let (pool, mut provider) = pool();
    let (tell, pieces) = mpsc::unbounded_channel();
    tell.send(Ok(bytes().0)).expect("it is read");
    let calling = call(&pool, form(pieces));
    let serving = async {
        begin(&mut provider).await;
        provider.write_all(BEGUN).await.expect("it is read");
    };
    let (answer, ()) = tokio::join!(calling, serving);
    drop(answer);
    let mut rest = Vec::new();
    provider.read_to_end(&mut rest).await.expect("it is closed");
    assert!(rest.len() < FILE_BYTES);
    assert!(tell.send(Ok(Bytes::new())).is_err(), "nobody reads it");
}

/// A provider that has answered, reads nothing more and says nothing more holds no task for ever.
#[tokio::test]
async fn what_is_left_of_a_request_is_not_written_for_ever() {
    let (ours, mut provider) = tokio::io::duplex(PIPE_BYTES);
    let most = Duration::from_millis(50);
    let pool = Pool::writing_for(Once(Mutex::new(Some(ours))), most);
    let long = Bytes::from(vec![b'x'; FILE_BYTES]);
    let calling = call(&pool, Sent::Whole(http_body_util::Full::new(long)));
    let serving = async {
        begin(&mut provider).await;
        provider.write_all(WHOLE).await.expect("it is read");
    };
    let (answer, ()) = tokio::join!(calling, serving);
    let body = answer.expect("an answer").into_body();
    assert_eq!(body.collect().await.expect("all of it").to_bytes(), "{}");
    tokio::time::sleep(10 * most).await;
    let mut rest = Vec::new();
    provider.read_to_end(&mut rest).await.expect("it is closed");
    assert!(rest.len() < FILE_BYTES);
    assert_eq!(pool.waiting(), 0);
}
