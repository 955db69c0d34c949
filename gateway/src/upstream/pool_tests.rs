//! Calls on real sockets: which connection a call gets, and what becomes of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::patient::Patient;
use crate::upstream::post;

/// Connects, and counts.
#[derive(Clone)]
struct Counting {
    address: std::net::SocketAddr,
    made: Arc<AtomicUsize>,
}

impl Connect for Counting {
    fn connect(&self, _: Uri) -> BoxFuture<'static, Result<Wire, CallError>> {
        self.made.fetch_add(1, Ordering::Relaxed);
        let address = self.address;
        Box::pin(async move {
            let stream = TcpStream::connect(address).await;
            let stream = stream.map_err(|_| CallError::Unreachable)?;
            Ok(Wire::over(Patient::new(TokioIo::new(stream))))
        })
    }
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";

/// What a provider does on one connection: answers each request so, one after the other, and closes then.
type Answers = Vec<&'static str>;

/// A provider whose connections, in their order, answer so; what it read of each is told when it is closed by the caller.
struct Provider {
    pool: Arc<Pool>,
    made: Arc<AtomicUsize>,
    closed: tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>,
    _serving: tokio::task::JoinSet<()>,
}

impl Provider {
    async fn start(connections: Vec<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let made = Arc::new(AtomicUsize::new(0));
        let address = listener.local_addr().unwrap();
        let (tell, closed) = tokio::sync::mpsc::unbounded_channel();
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            for answers in connections {
                let (stream, _) = listener.accept().await.unwrap();
                running.spawn(serve(stream, answers, tell.clone()));
            }
            running.join_all().await;
        });
        let pool = Pool::new(Counting {
            address,
            made: made.clone(),
        });
        Self {
            pool,
            made,
            closed,
            _serving: serving,
        }
    }

    async fn call(&self, body: Bytes) -> Result<Answer, CallError> {
        let url = "http://provider/v1/x?y=z".parse().unwrap();
        let body = Sent::Whole(Full::new(body));
        post(&self.pool, url, HeaderMap::new(), body).0.await
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> usize {
        self.pool.waiting()
    }
}

/// Reads a request to the end of what `content-length` says, and answers it, so often as there are answers.
async fn serve(
    mut stream: TcpStream,
    answers: Answers,
    tell: tokio::sync::mpsc::UnboundedSender<Vec<u8>>,
) {
    let mut all = Vec::new();
    for answer in answers {
        let begun = all.len();
        loop {
            let text = String::from_utf8_lossy(&all[begun..]).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let mut more = [0; 4_096];
            match stream.read(&mut more).await {
                Ok(0) | Err(_) => {
                    drop(tell.send(all));
                    return;
                }
                Ok(read) => all.extend_from_slice(&more[..read]),
            }
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    drop(stream);
}

async fn whole(answer: Answer) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn one_connection_serves_one_call_after_the_other_in_origin_form() {
    let mut provider =
        Provider::start(vec![vec![WHOLE, CHUNKED, WHOLE, CHUNKED, WHOLE, "-"]]).await;
    for _ in 0..2 {
        for _ in 0..2 {
            let answer = provider.call(Bytes::from_static(b"abc")).await.unwrap();
            assert_eq!(whole(answer).await, "{}");
            assert_eq!(provider.waiting(), 1);
        }
    }
    // A server that said how long its answer is stops asking for more with the last byte.
    let answer = provider.call(Bytes::new()).await.unwrap();
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "{}");
    assert!(body.is_end_stream());
    drop(body);
    assert_eq!((provider.made(), provider.waiting()), (1, 1));
    // Too old a connection is closed.
    provider.pool.sweep_once(Instant::now() + IDLE);
    assert_eq!(provider.waiting(), 0);
    let read = provider.closed.recv().await.unwrap();
    let read = String::from_utf8(read).unwrap();
    assert!(read.starts_with("POST /v1/x?y=z HTTP/1.1\r\n"), "{read}");
    assert!(read.contains("\r\nhost: provider\r\n"), "{read}");
    assert_eq!(read.matches("abc").count(), 4);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used() {
    let provider = Provider::start(vec![vec![WHOLE], vec![WHOLE], vec![WHOLE]]).await;
    for calls in 1..=3 {
        let answer = provider.call(Bytes::new()).await.unwrap();
        assert_eq!(whole(answer).await, "{}");
        assert_eq!(provider.made(), calls);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nor does it wait until somebody asks.
    provider.pool.sweep_once(Instant::now());
    assert_eq!(provider.waiting(), 0);
}

#[tokio::test]
async fn a_sweep_finds_all_that_were_closed() {
    const MANY: usize = 400;
    let provider = Provider::start(vec![vec![WHOLE]; MANY]).await;
    let calls =
        (0..MANY).map(|_| async { whole(provider.call(Bytes::new()).await.unwrap()).await });
    futures_util::future::join_all(calls).await;
    assert_eq!(provider.made(), MANY, "each waited for one of its own");
    tokio::time::sleep(Duration::from_millis(100)).await;
    provider.pool.sweep_all().await;
    assert_eq!(provider.waiting(), 0);
}

#[tokio::test]
async fn an_answer_that_nobody_wants_to_its_end_closes_its_connection() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
    let mut provider = Provider::start(vec![vec![begun, WHOLE], vec![WHOLE, WHOLE]]).await;
    let answer = provider.call(Bytes::new()).await.unwrap();
    let mut body = answer.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    provider.closed.recv().await.expect("it is closed");
    // A call that is dropped before its answer does as well.
    let call = provider.call(Bytes::new()).await.unwrap();
    assert_eq!(whole(call).await, "{}");
    assert_eq!((provider.made(), provider.waiting()), (2, 1));
    let url = "http://provider/".parse().unwrap();
    let body = Sent::Whole(Full::new(Bytes::from_static(b"0123456789")));
    let (mut calling, _line) = post(&provider.pool, url, HeaderMap::new(), body);
    drop(futures_util::poll!(&mut calling));
    assert_eq!(provider.waiting(), 0);
    drop(calling);
    assert_eq!(provider.waiting(), 0);
}

#[tokio::test]
async fn a_break_in_mid_answer_is_an_error_and_no_second_call() {
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
    let provider = Provider::start(vec![vec![WHOLE, begun], vec![WHOLE]]).await;
    assert_eq!(
        whole(provider.call(Bytes::new()).await.unwrap()).await,
        "{}"
    );
    let answer = provider.call(Bytes::new()).await.unwrap();
    assert!(answer.into_body().collect().await.is_err());
    assert_eq!((provider.made(), provider.waiting()), (1, 0));
    let provider = Provider::start(vec![vec![WHOLE, "HTTP/1.1 20"], vec![WHOLE]]).await;
    assert_eq!(
        whole(provider.call(Bytes::new()).await.unwrap()).await,
        "{}"
    );
    let broken = provider.call(Bytes::new()).await;
    assert_eq!(broken.map(|_| ()), Err(CallError::Broken));
    assert_eq!(
        provider.made(),
        1,
        "what may have been read is not sent again"
    );
}

/// The provider answers before it has read the request: the rest of it is sent, and the connection serves another call.
#[tokio::test]
async fn an_early_answer_does_not_cost_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let pool = Pool::new(Counting {
        address: listener.local_addr().unwrap(),
        made: made.clone(),
    });
    let long = Bytes::from(vec![b'x'; 16 << 20]);
    let url: Uri = "http://provider/v1/x".parse().unwrap();
    let body = Sent::Whole(Full::new(long.clone()));
    let (calling, _line) = post(&pool, url, HeaderMap::new(), body);
    let provider = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut begun = [0; 1_024];
        let mut read = stream.read(&mut begun).await.unwrap();
        stream.write_all(WHOLE.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut more = vec![0; 1 << 20];
        while read < long.len() {
            read += stream.read(&mut more).await.unwrap();
        }
        stream
    };
    let call = async {
        let answer = calling.await.unwrap();
        assert_eq!(whole(answer).await, "{}");
    };
    let (_open, ()) = tokio::join!(provider, call);
    let waits = async || pool.idle.lock().values().map(Vec::len).sum::<usize>();
    while waits().await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[test]
fn the_host_is_named_with_its_port_where_that_is_not_the_usual_one() {
    for (address, wanted) in [
        ("http://a.example/x", "a.example"),
        ("http://a.example:80/x", "a.example"),
        ("http://a.example:8080/x", "a.example:8080"),
        ("https://a.example:443/x", "a.example"),
        ("https://a.example:80/x", "a.example:80"),
        ("http://me:secret@a.example:8080/x", "a.example:8080"),
        ("http://[::1]:9/x", "[::1]:9"),
    ] {
        let mut request = Request::new(Sent::Whole(Full::new(Bytes::new())));
        *request.uri_mut() = address.parse().unwrap();
        to_origin_form(&mut request).unwrap();
        assert_eq!(request.headers()[header::HOST], wanted, "{address}");
        assert_eq!(request.uri(), "/x");
    }
}

/// A connection that is sound for so many looks, and closed at the next.
struct Fading(usize);

impl hyper::rt::Read for Fading {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.0.checked_sub(1) {
            None => Poll::Ready(Ok(())),
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
        }
    }
}

impl hyper::rt::Write for Fading {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Never connects.
struct Hanging(Arc<AtomicUsize>);

impl Connect for Hanging {
    fn connect(&self, _: Uri) -> BoxFuture<'static, Result<Wire, CallError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

/// Whether it was closed before it was taken or just after: nothing of the request was written.
#[tokio::test]
async fn a_call_that_connects_anew_has_no_connection_until_it_is_there() {
    let mut anew = 0;
    for looks in 0..8 {
        let made = Arc::new(AtomicUsize::new(0));
        let pool = Pool::new(Hanging(made.clone()));
        let wire = Wire::over(Patient::new(Fading(looks)));
        let key = (Scheme::HTTP, Authority::from_static("provider"));
        pool.clone().put(key, Box::new(wire));
        let body = Sent::Whole(Full::new(Bytes::from_static(b"{}")));
        let url = "http://provider/v1/x".parse().unwrap();
        let (mut calling, line) = post(&pool, url, HeaderMap::new(), body);
        let first = calling
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if first.is_pending() && made.load(Ordering::Relaxed) == 1 {
            anew += 1;
            assert!(line.never_was(), "{looks}");
        }
    }
    assert!(anew > 0);
}
