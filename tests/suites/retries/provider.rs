//! A provider that fails as a test says and remembers what it was sent, by its length and digest.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What it does with one call of a request.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Reads all of it and answers with this status.
    Answer(u16),
    /// Reads so many bytes of its body and answers with this status; then takes no more than comes by itself.
    Early(usize, u16),
    /// The same, and asks for a long pause, keeps the connection, and is in no hurry to read on.
    Patient(usize, u16),
    /// Reads so many bytes of its body and goes away; what is still coming resets the connection.
    Reset(usize),
}

/// A body as it was read: whether to its end, its length and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub request: String,
    pub whole: bool,
    pub bytes: usize,
    pub sha256: String,
}

/// The provider. Ends when dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Body>>>,
    known: Arc<Known>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Known {
    made: Mutex<HashMap<String, usize>>,
    stalled: AtomicBool,
}

/// What it has not read does not wait in its own socket, so that a body which it leaves is one that did not pass.
const MOST_UNREAD_BYTES: u32 = 256 << 10;

/// A gateway that sends nothing for so long holds the call.
const STALL: Duration = Duration::from_millis(500);

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","model":"gpt-4o-mini","created":1,"data":[{"b64_json":"eA=="}],"choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6,"input_tokens":5,"output_tokens":1}}"#;

impl Provider {
    /// Starts one. The first call of a request meets the first act, and so on; the last one stays.
    pub fn start(acts: Vec<Act>) -> Self {
        Self::listen(tests::free_address(), acts)
    }

    /// The same at this address.
    pub fn listen(address: SocketAddr, acts: Vec<Act>) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("as a listener does");
        socket
            .set_recv_buffer_size(MOST_UNREAD_BYTES)
            .expect("a size");
        socket.bind(address).expect("a free port");
        let listener = socket.listen(128).expect("it listens");
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (acts, known, kept) = (Arc::new(acts), Arc::new(Known::default()), bodies.clone());
        let mut serving = JoinSet::new();
        let shared = known.clone();
        serving.spawn(async move {
            let mut running = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acts, known, kept) = (acts.clone(), known.clone(), kept.clone());
                running.spawn(async move {
                    if let Some(body) = serve(stream, &acts, &known).await {
                        kept.lock().push(body);
                    }
                });
            }
        });
        Self {
            address,
            bodies,
            known: shared,
            _serving: serving,
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Whether a call that was answered with patience sends nothing more.
    pub fn has_stalled(&self) -> bool {
        self.known.stalled.load(Ordering::Acquire)
    }

    /// All bodies, in the order in which they ended.
    pub fn bodies(&self) -> Vec<Body> {
        self.bodies.lock().clone()
    }
}

/// Serves one call, on a connection of its own; nothing for a connection without one.
async fn serve(mut stream: TcpStream, acts: &[Act], known: &Known) -> Option<Body> {
    let (head, rest) = read_head(&mut stream).await?;
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let request = field("x-client-request-id:")?;
    let made = {
        let mut known = known.made.lock();
        let made = known.entry(request.clone()).or_insert(0);
        *made += 1;
        *made - 1
    };
    let act = acts[made.min(acts.len() - 1)];
    let length: usize = field("content-length:")?.parse().ok()?;
    let mut body = Reading {
        stream,
        length,
        read: rest.len(),
        hash: Sha256::new_with_prefix(&rest),
    };
    let (until, status) = match act {
        Act::Answer(status) => (length, status),
        Act::Early(bytes, status) | Act::Patient(bytes, status) => (bytes, status),
        Act::Reset(bytes) => (bytes, 0),
    };
    body.read_to(until).await;
    if matches!(act, Act::Reset(_)) {
        return Some(body.ended(request));
    }
    let text = if status == 200 {
        ANSWER
    } else {
        r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#
    };
    let more = match act {
        Act::Patient(..) => "retry-after-ms: 4000",
        _ => "retry-after-ms: 1\r\nconnection: close",
    };
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    // A gateway that has given the call up is gone.
    drop(body.stream.write_all(answer.as_bytes()).await);
    if matches!(act, Act::Patient(..)) {
        tokio::time::sleep(STALL).await;
        while timeout(STALL, body.read_piece()).await == Ok(true) {}
        known.stalled.store(true, Ordering::Release);
    } else {
        drop(body.stream.shutdown().await);
    }
    body.read_to(length).await;
    Some(body.ended(request))
}

struct Reading {
    stream: TcpStream,
    length: usize,
    read: usize,
    hash: Sha256,
}

impl Reading {
    fn ended(self, request: String) -> Body {
        Body {
            request,
            whole: self.read == self.length,
            bytes: self.read,
            sha256: hex::encode(self.hash.finalize()),
        }
    }

    async fn read_to(&mut self, until: usize) {
        while self.read < until.min(self.length) && self.read_piece().await {}
    }

    /// Whether anything came.
    async fn read_piece(&mut self) -> bool {
        let mut piece = vec![0; 64 << 10];
        match self.stream.read(&mut piece).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.hash.update(&piece[..count]);
                self.read += count;
                true
            }
        }
    }
}

/// The head in lower case, and what came after it.
async fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut came = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let end = came.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let rest = came.split_off(end + 4);
            let head = String::from_utf8_lossy(&came).to_ascii_lowercase();
            return Some((head, rest));
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => came.extend_from_slice(&piece[..count]),
        }
    }
}
