//! HTTP by hand: requests as bytes, answers as bytes, so that nothing is corrected on the way. Also a provider that
//! answers every call with the same bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::wait::within;

/// An answer as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status; 0 where the connection ended without an answer.
    pub status: u16,
    /// Names in lower case, and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body without the framing of chunks.
    pub body: Vec<u8>,
    /// Whether the body ended as it should.
    pub whole: bool,
}

impl RawAnswer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The machine code of an error in the provider's shape; empty if it is none.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// Sends pieces, each in a write of its own, and reads until the other side closes.
///
/// # Panics
/// If nobody listens, or the other side never closes.
pub async fn send(address: SocketAddr, pieces: &[&[u8]]) -> RawAnswer {
    parse(&converse(address, pieces).await)
}

/// Sends pieces and gives all that is answered until the other side closes: more than one answer, where more was asked.
///
/// # Panics
/// If nobody listens, or the other side never closes.
pub async fn read_to_close(address: SocketAddr, pieces: &[&[u8]]) -> String {
    String::from_utf8_lossy(&converse(address, pieces).await).into_owned()
}

async fn converse(address: SocketAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    stream.set_nodelay(true).expect("a socket can be set");
    for piece in pieces {
        // The other side may refuse and close before it has read everything.
        if stream.write_all(piece).await.is_err() {
            break;
        }
        drop(stream.flush().await);
    }
    let mut answer = Vec::new();
    // A reset after the answer is an end too: the answer shows whether it is whole.
    drop(within("the other side closes", stream.read_to_end(&mut answer)).await);
    answer
}

/// Sends the last piece of a request and reads until the other side closes.
///
/// # Panics
/// If the other side never closes.
pub async fn finish(mut stream: TcpStream, piece: &[u8]) -> RawAnswer {
    // The other side may refuse and close before it has read everything.
    drop(stream.write_all(piece).await);
    let mut answer = Vec::new();
    drop(within("the other side closes", stream.read_to_end(&mut answer)).await);
    parse(&answer)
}

/// A POST with its body, closing the connection after it.
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn parse(bytes: &[u8]) -> RawAnswer {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return RawAnswer::default();
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<(String, String)> = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = RawAnswer {
        status: status.unwrap_or(0),
        headers,
        ..RawAnswer::default()
    };
    let rest = &bytes[end + 4..];
    if answer
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        (answer.body, answer.whole) = unchunk(rest);
    } else {
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok());
        answer.whole = length.is_none_or(|length| length == rest.len());
        answer.body = rest.to_vec();
    }
    answer
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(rest, b"\r\n") else {
            return (body, false);
        };
        let size = std::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        rest = &rest[end + 2..];
        match size {
            Some(0) => return (body, rest.starts_with(b"\r\n")),
            Some(size) if rest.len() >= size + 2 => {
                body.extend_from_slice(&rest[..size]);
                rest = &rest[size + 2..];
            }
            _ => {
                body.extend_from_slice(rest);
                return (body, false);
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A provider that reads a request to its end, answers with the same bytes every time and closes. Ends when dropped.
#[derive(Debug)]
pub struct OddProvider {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl OddProvider {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let answer: Arc<[u8]> = answer.into().into();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut running = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                running.spawn(answer_one(stream, answer.clone()));
            }
        });
        Self {
            address,
            calls,
            _serving: serving,
        }
    }

    /// Connections so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

async fn answer_one(mut stream: TcpStream, answer: Arc<[u8]>) {
    read_request(&mut stream).await;
    drop(stream.write_all(&answer).await);
    drop(stream.shutdown().await);
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = find(request, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| {
        line.strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    });
    request.len() >= end + 4 + length.unwrap_or(0)
}
